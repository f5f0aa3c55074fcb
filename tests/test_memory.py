"""The hash tables of 64-bit numbers behave as a dict does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metering.memory import NumberMap, RecentIds

NUMBERS = st.one_of(st.integers(1, 50), st.integers(1, 2**64 - 1))
PAIRS = st.lists(st.tuples(NUMBERS, st.integers(0, 2**64 - 1)), max_size=60)


def _columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([key for key, _ in pairs], np.uint64),
        np.array([value for _, value in pairs], np.uint64),
    )


@given(st.lists(PAIRS, max_size=8), st.lists(NUMBERS, max_size=40))
def test_a_number_map_answers_as_a_dict(
    puts: list[list[tuple[int, int]]], asked: list[int]
) -> None:
    table, plain = NumberMap(), {}
    for pairs in puts:
        table.put(*_columns(pairs))
        plain.update(pairs)
    values, found = table.get(np.array(asked, np.uint64))
    answers = [
        value if there else None for value, there in zip(values.tolist(), found, strict=True)
    ]
    assert answers == [plain.get(key) for key in asked]
    assert len(table) == len(plain)


def test_a_number_map_grows_past_its_first_size() -> None:
    table = NumberMap()
    keys = np.arange(1, 100_001, dtype=np.uint64)
    table.put(keys, keys * np.uint64(3))
    values, found = table.get(keys)
    assert found.all()
    assert (values == keys * np.uint64(3)).all()
    assert not table.get(np.array([100_001], np.uint64))[1].any()


def test_recent_ids_keep_the_newest_half_and_forget_the_oldest() -> None:
    ids = RecentIds(200)
    for start in range(1, 1001, 50):
        numbers = np.arange(start, start + 50, dtype=np.uint64)
        ids.put(numbers, numbers)
    assert ids.get(np.arange(901, 1001, dtype=np.uint64))[1].all()
    assert not ids.get(np.arange(1, 700, dtype=np.uint64))[1].any()
