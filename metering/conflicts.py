"""Repeats and conflicts, sample by sample: which of several are one, and which one counts.

The rules (docs/decisions/0003-repeats.md), which know no order of arrival:
- the same message id and the same content is one sample; a repeat is dropped;
- of the variants under one message id the smallest (volume, content) counts, the others conflict;
- of the samples of a gauge or cumulative series at one moment the largest volume counts, the
  others are set aside; deltas of one moment all count.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import xxhash

from metering.draft import Draft
from metering.identity import variant

Name = tuple[object, ...]

_LABELS: Final = (
    "meter", "type", "unit", "project_id", "user_id", "resource_id", "source", "metadata",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A sample in the store: where it stands (variant), since when (version), and if it counts.

    `late` is 0 in time, 1 once its window was final when it came, 2 once that was restated.
    """

    draft: Draft
    recorded_at: int  # s
    variant: int
    version: int
    counts: bool
    late: int = 0


@dataclasses.dataclass(slots=True)
class Settled:
    """What to write so that the store says what counts; conflicts are (loser, winner)."""

    writes: list[Stored]
    conflicts: list[tuple[Draft, Draft]]
    repeats: int
    set_aside: int


def settle(arrived: Iterable[tuple[Draft, int]], stored: Iterable[Stored]) -> Settled:
    """Decide among samples that arrived, with their recorded_at (s), and those they may meet.

    `stored` holds every stored row that shares a message id or a series and moment with one that
    arrived, or with one that does. Settling again what was written writes nothing.
    """
    known = list(stored)
    fresh, named, repeats = _fresh(arrived, known)
    # What was set aside and has lost its id since can't be weighed again: it stays aside.
    weighed = [row.draft for row in known if row.counts or row.draft.message_id]
    winners, conflicts = _one_an_id(weighed + [row.draft for row in fresh])
    counting = _one_a_moment(winners)
    writes = [
        dataclasses.replace(row, version=row.version + 1, counts=not row.counts)
        for row in known
        if row.counts != (_name(row.draft) in counting)
    ]
    writes += [dataclasses.replace(row, counts=_name(row.draft) in counting) for row in fresh]
    conflicts = [pair for pair in conflicts if not named.isdisjoint(map(_name, pair))]
    losers = {_name(loser) for loser, _ in conflicts}
    set_aside = [row for row in fresh if _name(row.draft) not in counting | losers]
    return Settled(writes, conflicts, repeats, len(set_aside))


def _fresh(
    arrived: Iterable[tuple[Draft, int]], known: list[Stored]
) -> tuple[list[Stored], set[Name], int]:
    """Return the rows of samples the store does not have, every name that came, and the repeats."""
    there = {_name(row.draft) for row in known}
    forgotten = {_content(row.draft) for row in known if not row.draft.message_id}
    taken = {_place(row.draft) for row in known if row.variant == _usual_variant(row.draft)}
    fresh: list[Stored] = []
    named: set[Name] = set()
    repeats = 0
    for draft, recorded_at in arrived:
        name = _name(draft)
        if name in there or name in named or _content(draft) in forgotten:
            repeats += 1
        else:
            usual = _place(draft) not in taken
            variant = _usual_variant(draft) if usual else _own_variant(draft)
            taken.add(_place(draft))
            fresh.append(Stored(draft, recorded_at, variant, 0, counts=True))
        named.add(name)
    return fresh, named, repeats


def _one_an_id(drafts: list[Draft]) -> tuple[list[Draft], list[tuple[Draft, Draft]]]:
    """Return of each message id the variant that counts, and the pairs (loser, winner)."""
    variants: dict[str, list[Draft]] = defaultdict(list)
    winners, conflicts = [], []
    for draft in drafts:
        if draft.message_id:
            variants[draft.message_id].append(draft)
        else:
            winners.append(draft)  # its id is forgotten; it stands for itself
    for rivals in variants.values():
        first, *others = sorted(rivals, key=lambda draft: (draft.volume, _content(draft)))
        winners.append(first)
        conflicts += [(other, first) for other in others]
    return winners, conflicts


def _one_a_moment(winners: list[Draft]) -> set[Name]:
    """Return the names of the samples that count: the largest of a series' moment, every delta."""
    counting = {_name(draft) for draft in winners if draft.type == "delta"}
    rivals: dict[tuple[str, str, int], list[Draft]] = defaultdict(list)
    for draft in winners:
        if draft.type != "delta":
            rivals[draft.meter, draft.resource_id, draft.timestamp].append(draft)
    for group in rivals.values():
        counting.add(_name(max(group, key=lambda draft: (draft.volume, _name(draft)))))
    return counting


def _content(draft: Draft) -> Name:
    return (*(getattr(draft, name) for name in _LABELS), draft.timestamp, draft.volume + 0.0)


def _name(draft: Draft) -> Name:
    return (draft.message_id, *_content(draft))


def _place(draft: Draft) -> Name:
    """Return where the row of a sample stands: the store's sort key, but for the variant."""
    return (
        draft.meter,
        draft.project_id,
        draft.resource_id,
        draft.timestamp,
        _usual_variant(draft),
    )


def _usual_variant(draft: Draft) -> int:
    return variant(draft.message_id) if draft.type == "delta" else 0


def _own_variant(draft: Draft) -> int:
    return xxhash.xxh32_intdigest(repr(_name(draft)).encode()) | 1
