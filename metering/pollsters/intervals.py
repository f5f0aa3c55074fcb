"""Which meters are polled how often: Ceilometer's polling.yaml.

Source: Ceilometer's polling definition: sources of name, interval and meters; a filter is a name, a
    pattern of the shell's (`disk.*`), or either after `!` to leave it out.
"""

import dataclasses
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from metering.definitions.reading import Entry, Faults, read_yaml

_KNOWN: Final = ("name", "interval", "meters")
# Ceilometer calls the pollster otherwise than its meter; either may be named.
_ALSO: Final = {"radosgw.api.request": "radosgw.usage"}
# Of Ceilometer's own discovery and coordination: taken, without effect here.
WITHOUT_EFFECT: Final = ("resources", "discovery", "group_id_coordination_expression")


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Meters that are polled together, every `interval` s."""

    name: str
    interval: float
    filters: tuple[str, ...]
    without_effect: tuple[str, ...] = ()

    def wants(self, meter: str) -> bool:
        """Return whether the filters let a meter pass: what is left out stays out."""
        out = [each[1:] for each in self.filters if each.startswith("!")]
        within = [each for each in self.filters if not each.startswith("!")]
        if any(_named(meter, pattern) for pattern in out):
            return False
        return not within or any(_named(meter, pattern) for pattern in within)


def _named(meter: str, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (meter, _ALSO.get(meter, meter)))


def everything(interval: float) -> tuple[Source, ...]:
    """Return the source that polls every meter there is."""
    return (Source("everything", interval, ("*",)),)


def intervals_of(sources: Iterable[Source], meters: Iterable[str]) -> dict[float, frozenset[str]]:
    """Return what is polled at each interval; a meter of several is polled at each of them."""
    found: dict[float, set[str]] = {}
    meters = list(meters)
    for source in sources:
        found.setdefault(source.interval, set()).update(filter(source.wants, meters))
    return {interval: frozenset(wanted) for interval, wanted in found.items() if wanted}


def not_polled(sources: Iterable[Source], meters: frozenset[str]) -> list[str]:
    """Return the meters that sources name and nothing polls."""
    named = {each for source in sources for each in source.filters if each[0] not in "!*"}
    return sorted(each for each in named if not any(_named(meter, each) for meter in meters))


def load_sources(path: Path) -> tuple[Source, ...]:
    """Return the sources of a polling.yaml. Raises DefinitionError with every fault and its line."""
    faults = Faults(path)
    content = read_yaml(path)
    entries = content.get("sources") if isinstance(content, Entry) else None
    if not isinstance(entries, list) or not entries:
        faults.add(1, "sources: must be a list of sources")
        entries = []
    found = [_source(entry, faults) for entry in entries]
    faults.check()
    return tuple(source for source in found if source is not None)


def _source(entry: Any, faults: Faults) -> Source | None:
    if not isinstance(entry, Entry):
        faults.add(1, "sources: each must be a mapping of name, interval and meters")
        return None
    for key in entry:
        if key not in (*_KNOWN, *WITHOUT_EFFECT):
            faults.add(entry.line_of(key), f"{key}: unknown field of a source")
    return Source(
        str(entry.get("name")) if "name" in entry else _missing(entry, "name", faults),
        _interval(entry, faults),
        _filters(entry, faults),
        tuple(key for key in WITHOUT_EFFECT if entry.get(key)),
    )


def _missing(entry: Entry, key: str, faults: Faults) -> str:
    faults.add(entry.line, f"{key}: is required")
    return ""


def _interval(entry: Entry, faults: Faults) -> float:
    try:
        seconds = int(entry["interval"])
    except KeyError:
        _missing(entry, "interval", faults)
    except (TypeError, ValueError):
        faults.add(entry.line_of("interval"), "interval: must be a whole number of seconds")
    else:
        if seconds > 0:
            return float(seconds)
        faults.add(entry.line_of("interval"), "interval: must be above 0")
    return 1.0


def _filters(entry: Entry, faults: Faults) -> tuple[str, ...]:
    given = entry.get("meters")
    line = entry.line_of("meters")
    if not isinstance(given, list) or not given or not all(isinstance(e, str) and e for e in given):
        faults.add(line, "meters: must be a list of names and patterns")
        return ()
    named = [each for each in given if each[0] not in "!*"]
    beside = [each for each in given if each == "*" or each[0] == "!"]
    if named and beside:
        faults.add(line, f"meters: {named[0]!r} cannot stand beside {beside[0]!r}")
    return tuple(given)
