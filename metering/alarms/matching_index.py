"""What alarms watch, found by meter, and from there by what tells selections apart.

State: every selection that is watched; a number each, which stays while it is watched.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

from metering.alarms.matching_filters import LOOKED_AT, Subject, looked_at, takes, telling, text_of
from metering.alarms.selection import Compare, Selection

_RESOURCE: Final = Compare("resource_id", (), "eq", "")


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """One selection that an alarm watches: of its rule, or of a part of it.

    Units: in ms `period`, and `span`: how far back from the newest it looks.
    """

    alarm_id: str
    part: int  # which part of the rule
    selection: Selection
    period: int
    span: int
    detailed: bool = False  # its statistic takes the samples themselves
    latest: bool = False  # only the newest sample of each series counts


class MeterIndex:
    """The selections that are watched on one meter."""

    def __init__(self, meter: str) -> None:
        self.meter = meter
        self.numbers: set[int] = set()
        self.needs: set[str] = set()  # of LOOKED_AT
        self.generation = 0  # another one whenever what was found before may not hold any more
        self._anything: set[int] = set()
        self._told: dict[tuple[str | None, tuple[str, ...]], dict[str | None, set[int]]] = {}
        self._compared: dict[tuple[str | None, tuple[str, ...]], Compare] = {}

    def add(self, number: int, selection: Selection) -> None:
        """Take a selection."""
        self.numbers.add(number)
        self.needs |= looked_at(selection)
        for place in self._places(selection):
            place.add(number)

    def remove(self, number: int, selection: Selection) -> None:
        """Forget a selection."""
        self.numbers.discard(number)
        for place in self._places(selection):
            place.discard(number)

    def candidates(self, subject: Subject) -> Iterator[int]:
        """Yield the selections that may take a subject, each at least once."""
        yield from self._anything
        for key, told in self._told.items():
            yield from told.get(text_of(subject.value(self._compared[key])), ())

    def about(self, resource: str) -> set[int]:
        """Return the selections that may take samples of a resource, whatever else these have."""
        key = (_RESOURCE.column, _RESOURCE.keys)
        others = (told for other, told in self._told.items() if other != key)
        found = self._anything.union(*(numbers for told in others for numbers in told.values()))
        return found | self._told.get(key, {}).get(resource, set())

    def _places(self, selection: Selection) -> Iterator[set[int]]:
        if selection.series is not None:
            resources = {resource for resource, meter in selection.series if meter == self.meter}
            for resource in resources:
                yield self._place(_RESOURCE, resource)
            return
        found = telling(selection)
        yield self._anything if found is None else self._place(found, text_of(found.value))

    def _place(self, compared: Compare, text: str | None) -> set[int]:
        key = (compared.column, compared.keys)
        self._compared[key] = compared
        return self._told.setdefault(key, {}).setdefault(text, set())


class WatchIndex:
    """All that is watched."""

    def __init__(self) -> None:
        self.meters: dict[str, MeterIndex] = {}
        self.watched: list[Watched | None] = []
        self._of: dict[str, list[int]] = {}  # by alarm
        self._free: list[int] = []
        self._changes = 0

    def watch(self, watched: Iterable[Watched]) -> None:
        """Take selections."""
        for one in watched:
            number = self._number(one)
            self._of.setdefault(one.alarm_id, []).append(number)
            for meter in one.selection.meters:
                index = self.meters.setdefault(meter, MeterIndex(meter))
                index.add(number, one.selection)
                self._changed(index)

    def forget(self, alarm_id: str) -> None:
        """Forget what an alarm watches."""
        for number in self._of.pop(alarm_id, ()):
            one = self.watched[number]
            assert one is not None
            for meter in one.selection.meters:
                index = self.meters[meter]
                index.remove(number, one.selection)
                self._changed(index)
                if not index.numbers:
                    del self.meters[meter]
            self.watched[number] = None
            self._free.append(number)

    def about(self, meter: str, resource: str) -> list[Watched]:
        """Return what is watched on a meter that may take samples of a resource."""
        index = self.meters.get(meter)
        numbers = sorted(index.about(resource)) if index else []
        return [one for one in map(self.watched.__getitem__, numbers) if one is not None]

    def taking(self, subject: Subject) -> list[int]:
        """Return the numbers of the selections that take a subject."""
        found = set(self.meters[subject.columns["meter"]].candidates(subject))
        return sorted(number for number in found if self._takes(number, subject))

    def needs(self) -> list[str]:
        """Return which of LOOKED_AT any selection looks at."""
        needed: set[str] = set().union(*(index.needs for index in self.meters.values()))
        return [name for name in LOOKED_AT if name in needed]

    def _changed(self, index: MeterIndex) -> None:
        self._changes += 1
        index.generation = self._changes

    def _takes(self, number: int, subject: Subject) -> bool:
        one = self.watched[number]
        return one is not None and takes(one.selection, subject)

    def _number(self, one: Watched) -> int:
        if self._free:
            number = self._free.pop()
            self.watched[number] = one
            return number
        self.watched.append(one)
        return len(self.watched) - 1
