"""What a process that starts needs to know of what is stored: series and recent ids."""

from typing import Final

import pyarrow as pa

from metering.contested import IdContents
from metering.derived.lineage import PREFIX
from metering.places import WHOLE, Place
from metering.repeats import Sieve, ids_of
from metering.schema import IDS
from store.client import Store
from store.placed import placed
from store.rows import SAMPLE_COLUMNS, samples_of

_WHOLE: Final = 300_000  # samples recalled whole: about what a broker delivers again after a kill


def recalled_sieve(
    store: Store, remembered_ids: int, lateness: float, now: int, place: Place = WHOLE
) -> Sieve:
    """Return a sieve that knows a place's stored series, and its ids of the last `lateness` s before `now`."""
    sieve = Sieve(remembered_ids)
    series = store.query_arrow(
        "SELECT meter::String AS meter, resource_id, max(newest.timestamp) AS newest"
        f" FROM {store.name}.latest WHERE {placed(place)} GROUP BY meter, resource_id"
    )
    if series.num_rows:
        newest = series["newest"].combine_chunks().cast(pa.timestamp("ms"))
        sieve.remember_series(series["meter"], series["resource_id"], newest)
    since = max(now - int(lateness), 0)
    ids = _recent(store, place, "message_id", since, remembered_ids // 2)
    if ids.num_rows:
        sieve.remember_ids(ids["message_id"])
    whole = _recent(store, place, SAMPLE_COLUMNS, since, min(_WHOLE, remembered_ids // 2))
    if whole.num_rows:
        sieve.remember(samples_of(whole))
    return sieve


def recalled_ids(store: Store, remembered_ids: int, lateness: float, now: int) -> IdContents:
    """Return what knows the newest stored ids of the last `lateness` s before `now`, of all places."""
    since = max(now - int(lateness), 0)
    whole = _recent(store, WHOLE, SAMPLE_COLUMNS, since, min(_WHOLE, remembered_ids // 2))
    stored = ids_of(samples_of(whole)) if whole.num_rows else IDS.empty_table()
    return IdContents(remembered_ids, stored)


def _recent(store: Store, place: Place, columns: str, since: int, most: int) -> pa.Table:
    """Return columns of the newest samples to arrive, those set aside too, that have their ids.

    What is derived of them comes with them, and does not come again.
    """
    return store.query_arrow(
        f"SELECT {columns} FROM {store.name}.samples"
        " WHERE recorded_at >= toDateTime({since:UInt32}) AND message_id != ''"
        f" AND NOT startsWith(message_id, '{PREFIX}') AND {placed(place)}"
        " ORDER BY recorded_at DESC LIMIT {most:UInt64}",
        {"since": since, "most": most},
    )
