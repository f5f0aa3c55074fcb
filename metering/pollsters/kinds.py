"""A kind of resource that is polled: the call that lists it, a call for each, and their meters.

A kind is data: adding one is adding a value to the tables beside this module.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Read = Callable[[Any], Any]  # takes a value out of an answer; None where the answer has none


def at(path: str) -> Read:
    """Return what reads a value below dotted keys; None where one is missing or null."""
    keys = path.split(".")

    def read(value: Any) -> Any:
        for key in keys:
            if value is None:
                return None
            value = value.get(key)
        return value

    return read


def ranked(path: str, ranks: Mapping[str, int]) -> Read:
    """Return what reads a state's number, whatever its letters' case; -1 is a state not known."""
    read = at(path)
    return lambda value: ranks.get(str(read(value) or "").lower(), -1)


def always(value: float) -> Read:
    """Return what reads the same number of everything that is there."""
    return lambda _: value


def nobody(_: Any) -> None:
    """Return no owner: what belongs to the cloud itself."""


def fields(*names: str, **others: str) -> Callable[[Any], dict[str, Any]]:
    """Return what reads metadata: values under their own names, and under others (name=path)."""
    reads = {name: at(path) for name, path in {**{n: n for n in names}, **others}.items()}
    return lambda value: {name: read(value) for name, read in reads.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """One meter, and its volume in what was read; nothing is metered where that is None."""

    name: str
    unit: str
    volume: Read
    type: str = "gauge"


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A call that lists resources, page by page.

    `path` may hold a query; `entries` is the dotted key of the list in its answer. `also` is a query
    besides it that lists the others, where one does not list all.
    """

    service: str  # its type in the catalog
    path: str
    entries: str
    microversion: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    limit: bool = True  # whether it takes the number of entries a page
    also: str | None = None

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries that together list all."""
        query = self.path.partition("?")[2]
        return (query,) if self.also is None else (query, f"{query}&{self.also}")

    @property
    def key(self) -> str:
        """What the links to the next page are named after."""
        return self.entries.rpartition(".")[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Detail:
    """A call for each resource; `{id}` in its path is the resource's.

    A resource that answers 404 is gone; one that answers with a status of `silent` is there and has
    nothing to say.
    """

    service: str
    path: str
    method: str = "GET"
    microversion: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    silent: frozenset[int] = frozenset()
    marker: str | None = None  # the field of a page's last entry that the next page begins after


@dataclasses.dataclass(frozen=True, slots=True)
class Thing:
    """A resource as listed: what of its entry is needed, and its metadata, encoded once."""

    id: str
    project_id: str | None
    user_id: str | None
    entry: Mapping[str, Any]
    metadata: bytes  # JSON object


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a poll read of a thing: the answer to its own call, where there is such a call."""

    thing: Thing
    answer: Any = None  # JSON, None where it had nothing to say
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _entry_itself(reading: Reading) -> Iterable[Any]:
    return [reading.thing.entry]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Meters of one kind of item in a reading: of the thing itself, or of each of its disks.

    `resource` returns an item's resource id, the thing's own where it is None; `extra` metadata.
    """

    meters: tuple[Meter, ...]
    items: Callable[[Reading], Iterable[Any]] = _entry_itself
    resource: Callable[[Thing, Any], str] | None = None
    extra: Callable[[Any], dict[str, Any]] | None = None


_ID, _PROJECT, _USER, _NOTHING = at("id"), at("project_id"), at("user_id"), fields()


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `keep` are the fields of an entry that later calls and meters need."""

    name: str
    listing: Listing
    parts: tuple[Part, ...]
    id: Read = _ID
    project: Read = _PROJECT
    user: Read = _USER
    metadata: Callable[[Any], dict[str, Any]] = _NOTHING
    detail: Detail | None = None
    keep: tuple[str, ...] = ()
    local: bool = False  # whether another region may have the same ids

    @property
    def meters(self) -> frozenset[str]:
        """The names of its meters."""
        return frozenset(meter.name for part in self.parts for meter in part.meters)

    @property
    def services(self) -> tuple[str, ...]:
        """The types of the services it asks."""
        asked = [self.listing.service, *([self.detail.service] if self.detail else [])]
        return tuple(dict.fromkeys(asked))
