"""What a process that starts needs to know of what is stored: series, recent ids, and `latest` mended."""

import pyarrow as pa

from metering.repeats import Sieve
from store.client import Store

_MARGIN = (
    600  # s; more than `latest` may be behind `samples` (sinks.latest), and the feeds' disorder
)


def recalled_sieve(store: Store, remembered_ids: int, lateness: float, now: int) -> Sieve:
    """Return a sieve that knows the stored series, and the ids of the last `lateness` s before `now`."""
    sieve = Sieve(remembered_ids)
    series = store.query_arrow(
        "SELECT meter::String AS meter, resource_id, max(newest.timestamp) AS newest"
        f" FROM {store.name}.latest GROUP BY meter, resource_id"
    )
    if series.num_rows:
        newest = series["newest"].combine_chunks().cast(pa.timestamp("ms"))
        sieve.remember_series(series["meter"], series["resource_id"], newest)
    ids = store.query_arrow(
        f"SELECT message_id FROM {store.name}.samples"
        " WHERE recorded_at >= toDateTime({since:UInt32}) AND message_id != ''"
        " ORDER BY recorded_at DESC LIMIT {most:UInt64}",
        {"since": max(now - int(lateness), 0), "most": remembered_ids // 2},
    )
    if ids.num_rows:
        sieve.remember_ids(ids["message_id"])
    return sieve


def catch_up_latest(store: Store) -> None:
    """Bring `latest` up to what `samples` holds, should the last process have ended between the two."""
    store.command(
        f"INSERT INTO {store.name}.latest"
        " SELECT resource_id, meter, project_id, user_id, source, min(timestamp) AS first,"
        " max((timestamp, volume, type::String, unit::String, metadata::String)) AS newest"
        f" FROM {store.name}.samples FINAL WHERE recorded_at >="
        f" (SELECT max(newest.timestamp) FROM {store.name}.latest) - {_MARGIN}"
        " GROUP BY resource_id, meter, project_id, user_id, source"
    )
