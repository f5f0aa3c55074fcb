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
    " toUnixTimestamp(recorded_at) AS arrived, variant, version, is_deleted"
)
_Key = tuple[str, str, str, int]  # meter, project, resource, ms
_Item = TypeVar("_Item")


def incumbents(store: Store, drafts: Sequence[Draft], contested: Sequence[str]) -> list[Stored]:
    """Return the stored samples that these may meet, directly or through others.

    By series and moment, and by message id for the contested ids that were not found so. Rows set
    aside are among them. Raises StoreAwayError.
    """
    found: dict[tuple[_Key, int], Stored] = {}
    asked_keys: set[_Key] = set()
    asked_ids: set[str] = set()
    keys, ids = {_key(draft) for draft in drafts}, set(contested)
    for _ in range(_ROUNDS):
        rows = list(_by_key(store, sorted(keys - asked_keys)))
        asked_keys |= keys
        ids -= {row.draft.message_id for row in rows if row.counts} | asked_ids
        rows += _by_id(store, sorted(ids))
        asked_ids |= ids
        fresh = {(_key(row.draft), row.variant): row for row in rows}
        for place, row in fresh.items():
            if place not in found or found[place].version < row.version:
                found[place] = row
        keys = {_key(row.draft) for row in found.values()} - asked_keys
        # Why a row was set aside may stand elsewhere: under its id, at another moment.
        ids = {row.draft.message_id for row in found.values() if not row.counts} - asked_ids - {""}
        if not keys and not ids:
            break
    return list(found.values())


def _by_key(store: Store, keys: Sequence[_Key]) -> Iterator[Stored]:
    where = (
        "(meter, project_id, resource_id, timestamp) IN (SELECT arrayJoin(arrayZip("
        "{meters:Array(String)}, {projects:Array(String)}, {resources:Array(String)},"
        " arrayMap(ms -> fromUnixTimestamp64Milli(ms, 'UTC'), {moments:Array(Int64)}))))"
    )
    for some in _parts(keys):
        meters, projects, resources, moments = map(list, zip(*some, strict=True))
        asked = {"meters": meters, "projects": projects, "resources": resources}
        yield from _rows(store, where, {**asked, "moments": moments})


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
        recorded_at, variant, version, is_deleted = rest
        newest[_key(draft), variant] = Stored(draft, recorded_at, variant, version, not is_deleted)
    return iter(newest.values())


def _key(draft: Draft) -> _Key:
    return (draft.meter, draft.project_id, draft.resource_id, draft.timestamp)


def _parts(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    for start in range(0, len(items), _ASKED):
        yield list(items[start : start + _ASKED])
