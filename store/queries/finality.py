"""Up to when windows are final, as known now or at a time."""

from typing import Final

_UNTIL: Final = (
    "(SELECT max(all_until) FROM (SELECT if(count() = shards, min(until), toDateTime64(0, 3, 'UTC'))"
    " AS all_until FROM (SELECT shards, shard, max(until) AS until FROM {database}.usage_final"
    " WHERE KNOWN GROUP BY shards, shard) GROUP BY shards))"
)


def final_until(as_of: str | None = None) -> str:
    """Return the SQL of the time up to which every shard's windows are final: 1970 where there is none.

    `as_of` is the SQL of a time; what became known later does not count. Of a number of shards all must
    have said so. The latest of such numbers counts: what was final stays so when their number changes.
    """
    return _UNTIL.replace("KNOWN", "1" if as_of is None else f"at <= {as_of}")
