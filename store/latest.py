"""The table `latest`, made again from `samples` where adding to it is not enough."""

from collections.abc import Sequence
from typing import Final

from metering.places import WHOLE, Place
from store.client import Store
from store.lately import came, revised
from store.placed import placed

_BEHIND: Final = 600  # s; more than `latest` may be behind `samples` (sinks.latest)
_ASKED: Final = 1000  # series a statement names
_FROM_SAMPLES: Final = (
    "INSERT INTO {database}.latest"
    " SELECT resource_id, meter, project_id, user_id, source, min(timestamp) AS first,"
    " max((timestamp, volume, type::String, unit::String, metadata::String)) AS newest"
    " FROM {database}.samples FINAL WHERE {where}"
    " GROUP BY resource_id, meter, project_id, user_id, source"
)
_SERIES: Final = (
    "(resource_id, meter) IN"
    " (SELECT arrayJoin(arrayZip({resources:Array(String)}, {meters:Array(String)})))"
)

Series = tuple[str, str]  # resource_id, meter


def mend_latest(store: Store, series: Sequence[Series]) -> None:
    """Make these series' rows again, as a sample that they may name does not count any more.

    Errors: StoreAwayError; made again, it ends the same.
    """
    for start in range(0, len(series), _ASKED):
        resources, meters = map(list, zip(*series[start : start + _ASKED], strict=True))
        named = {"resources": resources, "meters": meters}
        store.query(f"DELETE FROM {store.name}.latest WHERE {_SERIES}", named)
        # The key begins with the meter; the pair alone would read the whole table.
        where = f"meter IN {{meters:Array(String)}} AND {_SERIES}"
        store.query(_statement(store, where), named)


def catch_up_latest(store: Store, place: Place = WHOLE) -> None:
    """Bring a place's rows up to what `samples` holds, should the last process have ended between the two."""
    again = revised(store, _BEHIND)
    for lately in (came(store, _BEHIND), again):
        store.command(_statement(store, f"{lately} AND {placed(place)}"))
    overruled = store.query(
        f"SELECT DISTINCT resource_id, meter::String FROM {store.name}.samples"
        f" WHERE is_deleted AND version > 0 AND {again} AND {placed(place)}"
    )
    mend_latest(store, [(resource, meter) for resource, meter in overruled.result_rows])


def _statement(store: Store, where: str) -> str:
    return _FROM_SAMPLES.replace("{database}", store.name).replace("{where}", where)
