"""What the store holds that a sample out of order may repeat or contradict."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from metering.conflicts import Stored
from metering.draft import Draft
from store.client import Store

_ASKED: Final = 1000  # keys or ids a query asks for
_ROUNDS: Final = 8  # how far a chain of conflicts (same id, other moment, other id ...) is followed
_REMEMBERED: Final = 86_400  # s; how long the store keeps message ids
_COLUMNS: Final = (
    "meter, type, unit, volume, project_id, user_id, resource_id,"
    " toUnixTimestamp64Milli(timestamp) AS ms, metadata, source, message_id,"
    " toUnixTimestamp(recorded_at) AS arrived, variant, version, is_deleted, late"
)
_Moment = tuple[str, str, int]  # meter, resource, ms; whatever the project
_Place = tuple[_Moment, str, int]  # moment, project, variant
_Item = TypeVar("_Item")


def incumbents(store: Store, drafts: Sequence[Draft], contested: Sequence[str]) -> list[Stored]:
    """Return the stored samples that these may meet, directly or through others.

    By series and moment, and by message id for the contested ids that were not found so. Rows set
    aside are among them. Raises StoreAwayError.
    """
    found: dict[_Place, Stored] = {}
    asked_moments: set[_Moment] = set()
    asked_ids: set[str] = set()
    moments, ids = {_moment(draft) for draft in drafts}, set(contested)
    for _ in range(_ROUNDS):
        rows = list(_by_moment(store, sorted(moments - asked_moments)))
        asked_moments |= moments
        ids -= {row.draft.message_id for row in rows if row.counts} | asked_ids
        rows += _by_id(store, sorted(ids))
        asked_ids |= ids
        for row in rows:
            place = _place(row.draft, row.variant)
            if place not in found or found[place].version < row.version:
                found[place] = row
        moments = {_moment(row.draft) for row in found.values()} - asked_moments
        # Why a row was set aside may stand elsewhere: under its id, at another moment.
        ids = {row.draft.message_id for row in found.values() if not row.counts} - asked_ids - {""}
        if not moments and not ids:
            break
    return list(found.values())


def _by_moment(store: Store, moments: Sequence[_Moment]) -> Iterator[Stored]:
    # The first two conditions are for the primary key and the index on resources.
    where = (
        "meter IN {meters:Array(String)} AND resource_id IN {resources:Array(String)}"
        " AND (meter, resource_id, timestamp) IN (SELECT arrayJoin(arrayZip("
        "{meters:Array(String)}, {resources:Array(String)},"
        " arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), {moments:Array(Int64)}))))"
    )
    for some in _parts(moments):
        meters, resources, times = map(list, zip(*some, strict=True))
        yield from _rows(store, where, {"meters": meters, "resources": resources, "moments": times})


def _by_id(store: Store, ids: Sequence[str]) -> Iterator[Stored]:
    since = dt.datetime.now(dt.timezone.utc).timestamp() - _REMEMBERED
    where = "message_id IN {ids:Array(String)} AND recorded_at >= toDateTime({since:UInt32})"
    for some in _parts(ids):
        yield from _rows(store, where, {"ids": some, "since": int(since)})


def _rows(store: Store, where: str, parameters: dict[str, Any]) -> Iterator[Stored]:
    sql = f"SELECT {_COLUMNS} FROM {store.name}.samples WHERE {where} ORDER BY version"
    newest = {}
    for row in store.query(sql, parameters).result_rows:
        meter, kind, unit, volume, project, user, resource, ms, metadata, source, name, *rest = row
        draft = Draft(
            meter, kind, unit, volume, project, user, resource, ms, metadata, source, name
        )
        recorded_at, variant, version, is_deleted, late = rest
        newest[_place(draft, variant)] = Stored(
            draft, recorded_at, variant, version, not is_deleted, late
        )
    return iter(newest.values())


def _moment(draft: Draft) -> _Moment:
    return (draft.meter, draft.resource_id, draft.timestamp)


def _place(draft: Draft, variant: int) -> _Place:
    return (_moment(draft), draft.project_id, variant)


def _parts(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    for start in range(0, len(items), _ASKED):
        yield list(items[start : start + _ASKED])
