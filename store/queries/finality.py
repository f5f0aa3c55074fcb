"""Up to when windows are final, as known now or at a time."""

from typing import Final

_UNTIL: Final = (
    "(SELECT if(count() = max(shards), min(until), toDateTime64(0, 3, 'UTC'))"
    " FROM (SELECT shards, shard, max(until) AS until FROM {database}.usage_final"
    " WHERE KNOWN AND shards = (SELECT argMax(shards, at) FROM {database}.usage_final WHERE KNOWN)"
    " GROUP BY shards, shard))"
)


def final_until(as_of: str | None = None) -> str:
    """Return the SQL of the time up to which every shard's windows are final: 1970 where there is none.

    `as_of` is the SQL of a time; what became known later does not count. Every shard of the newest
    number of shards must have said so, else nothing is final.
    """
    return _UNTIL.replace("KNOWN", "1" if as_of is None else f"at <= {as_of}")
