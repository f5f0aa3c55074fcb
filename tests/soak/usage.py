"""The usage tables against the oracle of usage, over the samples that the store has."""

from collections import defaultdict
from typing import Any, Final

from tests.soak.comparison import SHOWN, Query
from tests.usage.oracle import Row, Sample, Settings, usage

SETTINGS: Final = Settings(
    periods=(300, 3600),
    segments={"flavor": ("flavor.name", "flavor_name", "instance_type")},
    ends=("*.delete.end",),
)
_SAMPLES: Final = (
    "SELECT meter, type, unit, volume, project_id, user_id, resource_id,"
    " toUnixTimestamp64Milli(timestamp), resource_metadata FROM metering.v_samples"
    " WHERE late != 'late' ORDER BY meter, resource_id, timestamp, volume, message_id"
)
_ROWS: Final = (
    "SELECT meter, type::String, unit, project_id, user_id, resource_id, segment, period,"
    " toUnixTimestamp(start), count, first, last, sum, min, max,"
    " if(type = 'gauge' AND covered > 0, usage / (covered / 3600), NULL), usage, covered, cadence,"
    " toUnixTimestamp64Milli(first_at), toUnixTimestamp64Milli(last_at), interim"
    " FROM metering.usage FINAL"
)
_HELD: Final = ("average", "usage", "covered")  # of an open window: as of when it was told


def usage_differences(query: Query, open_windows: bool) -> list[str]:
    """Return where usage is otherwise than the samples say, a line each; nothing where they agree.

    Without `open_windows` those of a series' last sample are left out: where there are many, how soon
    they are told is a matter of what else is written (docs/usage.md), and after a start nothing else is.
    """
    series: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for values in query(_SAMPLES):
        sample = Sample(*values)
        series[sample.meter, sample.resource_id].append(sample)
    wanted = {row[:9]: row for samples in series.values() for row in usage(samples, None, SETTINGS)}
    found, interim = {}, set()
    for *values, may_grow in query(_ROWS):
        row = Row(*values, final=False)
        found[row[:9]] = row
        interim |= {row[:9]} if may_grow else set()
    open_ = {
        (meter, resource, period, samples[-1].timestamp_ms // (period * 1000) * period)
        for (meter, resource), samples in series.items()
        for period in SETTINGS.periods
    }
    for rows in () if open_windows else (wanted, found):
        for key in [k for k, row in rows.items() if _window(row) in open_]:
            del rows[key]
    lines = [f"usage missing: {wanted[key]}" for key in wanted.keys() - found.keys()]
    # Beyond its last sample a gauge is held up to the watermark: in a window of no samples, too.
    beyond = {key for key in interim & found.keys() if not found[key].count}
    lines += [f"usage not expected: {found[k]}" for k in found.keys() - wanted.keys() - beyond]
    for key in wanted.keys() & found.keys():
        there, should = found[key], wanted[key]
        if key in interim and there.type == "gauge":
            there, should = _without_held(there), _without_held(should)
        if there != should:
            lines.append(f"usage {there} is to be {should}")
    return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])


def _window(row: Row) -> tuple[str, str, int, int]:
    return row.meter, row.resource_id, row.period, row.start


def _without_held(row: Row) -> Any:
    return row._replace(**dict.fromkeys(_HELD))
