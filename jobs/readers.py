"""Who reads what on a cluster: feeds are dealt out to readers, and each reader has a slot of its own.

Source: Flink 1.19's KeyGroupRangeAssignment and MathUtils.murmurHash, by which it sends what has one
key, here a reader's number, to one of the slots.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

Shares = Mapping[int, tuple[str, ...]]  # the feeds of each reader, by its number

_NUMBERS: Final = 128  # numbers that are one byte to Flink
_LEAST_GROUPS: Final = 128
_WORD: Final = 0xFFFFFFFF


def shares_of(feeds: Sequence[str], slots: int) -> Shares:
    """Return readers for feeds: as many as both are, each with about as many of the feeds."""
    count = max(min(len(feeds), slots), 1)
    return {number: tuple(feeds[at::count]) for at, number in enumerate(_numbers(count, slots))}


def slot_of(number: int, slots: int) -> int:
    """Return which slot of a step Flink sends a reader to."""
    groups = max(_LEAST_GROUPS, 1 << (slots + slots // 2 - 1).bit_length())
    return _murmur(31 + number) % groups * slots // groups


def _numbers(count: int, slots: int) -> list[int]:
    """Return numbers of readers that come to different slots, as far as there are such."""
    found = {slot_of(number, slots): number for number in reversed(range(_NUMBERS))}
    rest = (number for number in range(_NUMBERS) if number not in found.values())
    return list(itertools.islice(itertools.chain(sorted(found.values()), rest), count))


def _murmur(code: int) -> int:
    code = _turned(code * 0xCC9E2D51 & _WORD, 15) * 0x1B873593 & _WORD
    code = (_turned(code, 13) * 5 + 0xE6546B64 & _WORD) ^ 4
    code = (code ^ code >> 16) * 0x85EBCA6B & _WORD
    code = (code ^ code >> 13) * 0xC2B2AE35 & _WORD
    code ^= code >> 16
    return code if code < 1 << 31 else (1 << 32) - code & (1 << 31) - 1


def _turned(code: int, by: int) -> int:
    return (code << by | code >> 32 - by) & _WORD
