"""The load: recorded notifications over and over, each time about new resources, at a time
of its own. Projects and users stay as they are.
"""

import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sources.demo import Corpus
from sources.files import unwrapped
from sources.lines import Lines
from sources.shift import message_time, shifted

CORPUS: Final = Path(__file__).parent.parent / "etc" / "demo" / "corpus"
KINDS: Final = (b"compute.instance.", b"volume.", b"image.")
_ID: Final = re.compile(rb"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


def notifications(count: int) -> Iterator[bytes]:
    """Yield so many notifications, a second apart up to now, with new ids in each repeat."""
    texts = [text for text in _recorded() if _kind(text).startswith(KINDS)]
    staying = Corpus.of(texts).staying
    recorded = [message_time(text) or 0.0 for text in texts]
    start = time.time() - count
    new: dict[bytes, bytes] = {}
    for number in range(count):
        which = number % len(texts)
        if which == 0:
            new.clear()
        seconds = math.floor(start + number - recorded[which])
        pieces = _ID.split(shifted(texts[which], seconds))
        pieces[1::2] = [_renamed(id_, new, staying) for id_ in pieces[1::2]]
        yield b"".join(pieces)


def _recorded() -> Iterator[bytes]:
    for path in sorted(CORPUS.glob("*.jsonl*")):
        yield from (unwrapped(line) for line in Lines(path) if line.strip())


def _kind(text: bytes) -> bytes:
    _, _, rest = text.partition(b'\\"event_type\\": \\"')
    return rest.partition(b"\\")[0]


def _renamed(id_: bytes, new: dict[bytes, bytes], staying: frozenset[bytes]) -> bytes:
    if id_ not in new:
        new[id_] = id_ if id_.replace(b"-", b"") in staying else _new_id()
    return new[id_]


def _new_id() -> bytes:
    digits = os.urandom(16).hex()
    parts = (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
    return "-".join(parts).encode()
