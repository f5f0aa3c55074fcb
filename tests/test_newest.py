"""The newest sample of every series, found by numbers, is the one that texts and times say."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from metering.batches import together
from metering.schema import SAMPLES
from store.newest import NEEDED, decisive, latest_rows
from tests.tables import samples

FEW = st.sampled_from(["", "a", "b", "ä", "aa"])
ROW = st.fixed_dictionaries(
    {
        **dict.fromkeys(("meter", "resource_id", "project_id", "user_id", "source"), FEW),
        "type": st.sampled_from(["gauge", "delta", "cumulative"]),
        "unit": FEW,
        "metadata": st.sampled_from(["{}", '{"a":1}', '{"a":10}', '{"ä":"x"}']),
        "volume": st.sampled_from([-1.0, 0.0, 1.0, 1e300]),
        "timestamp": st.integers(1_795_000_000_000, 1_795_000_000_003),
    }
)
SERIES = ("resource_id", "meter", "project_id", "user_id", "source")
NEWEST = ("timestamp", "volume", "type", "unit", "metadata")


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return samples(**{name: [row[name] for row in rows] for name in rows[0]}).select(NEEDED)


@given(st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=4), st.integers(0, 4))
def test_of_each_series_the_greatest_by_time_volume_and_labels_is_found(batches, thinned):
    expected: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in (row for batch in batches for row in batch):
        key = tuple(row[name] for name in SERIES)
        expected.setdefault(key, []).append(tuple(row[name] for name in NEWEST))
    tables = [_table(batch) for batch in batches]
    few = [decisive(together(tables[:thinned]))] if thinned else []
    found = latest_rows(together(few + tables[thinned:]))
    moment = SAMPLES.field("timestamp").type
    first = found["first"].cast(moment).cast(pa.int64()).to_pylist()
    newest = pa.Table.from_struct_array(found["newest"])
    columns = [newest["timestamp"].cast(pa.int64()), *(newest[name] for name in NEWEST[1:])]
    rows = zip(first, *(column.to_pylist() for column in columns), strict=True)
    keys = list(zip(*(found[name].to_pylist() for name in SERIES), strict=True))
    assert len(set(keys)) == len(keys)
    assert dict(zip(keys, rows, strict=True)) == {
        key: (min(sample[0] for sample in of_series), *max(of_series))
        for key, of_series in expected.items()
    }
