"""The ids of samples made of a notification: the same whenever the notification comes again."""

from hashlib import blake2b


def id_prefix(message_id: str) -> str:
    """Return the part that all samples of a notification share (in a UUID's form)."""
    h = blake2b(message_id.encode("utf-8", "backslashreplace"), digest_size=10).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:]}-"


def id_suffix(definition: str, meter: str, index: int = 0) -> str:
    """Return the part that tells a notification's samples apart."""
    text = f"{definition}\0{meter}\0{index}"
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
