"""The load: recorded notifications over and over, each time about new resources, and made fast.

What never changes of a recorded message is cut out once; projects and users stay as they are.
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
    """Yield so many notifications as of a minute ago, with new ids in each repeat."""
    texts = [text for text in _recorded() if _kind(text).startswith(KINDS)]
    staying = Corpus.of(texts).staying
    moment = time.time() - 60
    cut = [_ID.split(_moved(text, moment)) for text in texts]
    new: dict[bytes, bytes] = {}
    for number in range(count):
        if number % len(cut) == 0:
            new = {id_: id_ for pieces in cut for id_ in pieces[1::2]}
            new |= {id_: _new_id() for id_ in new if id_.replace(b"-", b"") not in staying}
        pieces = cut[number % len(cut)].copy()
        pieces[1::2] = [new[id_] for id_ in pieces[1::2]]
        yield b"".join(pieces)


def _recorded() -> Iterator[bytes]:
    for path in sorted(CORPUS.glob("*.jsonl*")):
        yield from (unwrapped(line) for line in Lines(path) if line.strip())


def _kind(text: bytes) -> bytes:
    _, _, rest = text.partition(b'\\"event_type\\": \\"')
    return rest.partition(b"\\")[0]


def _moved(text: bytes, moment: float) -> bytes:
    recorded = message_time(text)
    return text if recorded is None else shifted(text, math.floor(moment - recorded))


def _new_id() -> bytes:
    digits = os.urandom(16).hex()
    parts = (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
    return "-".join(parts).encode()
