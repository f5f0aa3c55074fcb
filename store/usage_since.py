"""Since when usage holds every sample, by period.

Samples that were stored before a period was worked out are in none of its windows: of the time before
them only samples tell.
"""

from collections.abc import Iterable

from store.client import Store


def keep_usage_since(store: Store, periods: Iterable[int]) -> None:
    """Remember since when each of these periods (s) is worked out, and forget the others.

    Called before the job starts. Natural key: the period; one that is known already keeps its time.
    """
    known = store.query(f"SELECT period FROM {store.name}.usage_since FINAL").result_rows
    wanted, there = set(periods), {int(period) for (period,) in known}
    for period in sorted(wanted ^ there):
        store.query(
            f"INSERT INTO {store.name}.usage_since SELECT {{period:UInt32}} AS of,"
            " toDateTime(if(count() = 0, 0, intDiv(toUnixTimestamp(max(timestamp)), of) * of + of), 'UTC'),"
            f" {{gone:UInt8}}, toUnixTimestamp64Milli(now64(3)) FROM {store.name}.samples",
            {"period": period, "gone": int(period in there)},
        )
