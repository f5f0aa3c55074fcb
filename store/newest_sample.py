"""The time of the newest sample: what an API without a job knows of how far that is."""

from store.client import Store


def newest_sample(store: Store) -> int | None:
    """Return the greatest timestamp (ms) of samples; None without any. Raises StoreAwayError.

    The engine keeps it for each part of the table, as it is split by month: no rows are read.
    """
    ((count, newest),) = store.query(
        f"SELECT count(), toUnixTimestamp64Milli(max(timestamp)) FROM {store.name}.samples"
    ).result_rows
    return int(newest) if count else None
