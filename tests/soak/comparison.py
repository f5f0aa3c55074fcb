"""The tables against the oracle, row by row; a small report of what differs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from tests.soak.oracle import Expected, Row

SHOWN: Final = 8  # differences of a kind that are printed
Query = Callable[[str], list[tuple[Any, ...]]]

_CAME: Final = "NOT mapContains(resource_metadata, 'derived.version')"  # and is not derived
SAMPLES: Final = (
    "SELECT meter, type, unit, volume, resource_id, project_id, user_id,"
    " toUnixTimestamp64Milli(timestamp), source, resource_metadata, message_id"
    f" FROM metering.v_samples WHERE {_CAME}"
)
EVENTS: Final = (
    "SELECT event_type, toUnixTimestamp64Milli(generated), message_id FROM metering.v_events"
)
INVALID: Final = "SELECT reason, count() FROM metering.v_invalid GROUP BY reason"
LATEST: Final = (
    "SELECT resource_id, meter, project_id, user_id, source, type, unit, volume,"
    " toUnixTimestamp64Milli(timestamp), toUnixTimestamp64Milli(first_timestamp), resource_metadata"
    f" FROM metering.v_latest WHERE {_CAME}"
)


def differences(query: Query, expected: Expected) -> list[str]:
    """Return what the tables hold otherwise than they must, a line each; nothing where they agree."""
    rows = [_row(values) for values in query(SAMPLES)]
    found = _ids(rows, expected.ids)
    rows = [row if row.message_id in expected.ids else row._replace(message_id="") for row in rows]
    found += _samples(rows, expected)
    found += _counts("event", Counter(query(EVENTS)), Counter(expected.events))
    refused = Counter(reason for reason, _ in expected.invalid)
    found += _counts("refused", Counter(dict(query(INVALID))), refused)
    latest = [(*values[:-1], _flat(values[-1])) for values in query(LATEST)]
    there, wanted = Counter(latest), Counter(_latest(rows))
    return found + _counts("latest", there, wanted)


def _row(values: tuple[Any, ...]) -> Row:
    *columns, metadata, message_id = values
    return Row(*columns, metadata=_flat(metadata), message_id=message_id)


def _flat(metadata: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(metadata.items()))


def _ids(rows: list[Row], sent: set[str]) -> list[str]:
    """Ids that are not ours to know: every one is there and names one sample."""
    own = Counter(row.message_id for row in rows if row.message_id not in sent)
    return [f"id {name!r} names {n} samples" for name, n in own.items() if n > 1 or not name]


def _samples(rows: list[Row], expected: Expected) -> list[str]:
    there: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        there[row.place()].append(row)
    lines = {
        "sample missing": [v for k, v in expected.samples.items() if k not in there],
        "sample not expected": [v for k, v in there.items() if k not in expected.samples],
        "sample in one place": [v for v in there.values() if len(v) > 1],
        "sample other than": [
            (there[k][0], v)
            for k, v in expected.samples.items()
            if k in there and there[k][0] not in v
        ],
        "ties decided by arrival": _undecided(there, expected),
    }
    return [line for what, them in lines.items() for line in _some(what, them)]


def _undecided(there: dict[Any, list[Row]], expected: Expected) -> list[Any]:
    """Return ties of the same contents that came out differently."""
    picks = defaultdict(set)
    for place, allowed in expected.samples.items():
        if len(allowed) > 1 and place in there:
            contents = frozenset(row._replace(message_id="") for row in allowed)
            picks[contents].add(there[place][0]._replace(message_id=""))
    return [picked for picked in picks.values() if len(picked) > 1]


def _latest(rows: list[Row]) -> Iterable[tuple[Any, ...]]:
    """Return the rows of v_latest that these samples make."""
    series = defaultdict(list)
    for row in rows:
        owner = row.resource_id, row.meter, row.project_id, row.user_id, row.source
        series[owner].append(row)
    for owner, own in series.items():
        newest = max(own, key=lambda row: (row.timestamp, row.volume))
        first = min(row.timestamp for row in own)
        said = newest.type, newest.unit, newest.volume, newest.timestamp, first, newest.metadata
        yield (*owner, *said)


def _counts(what: str, there: Counter[Any], wanted: Counter[Any]) -> list[str]:
    missing, extra = list((wanted - there).items()), list((there - wanted).items())
    return _some(f"{what} missing", missing) + _some(f"{what} not expected", extra)


def _some(what: str, things: list[Any]) -> list[str]:
    shown = [f"{what}: {thing}" for thing in things[:SHOWN]]
    left = len(things) - len(shown)
    return [*shown, f"{what}: {left} more"] if left > 0 else shown
