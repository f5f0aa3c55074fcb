"""The worked examples of docs/usage.md come out as they say, by the job's code and by the oracle."""

from collections.abc import Sequence

import pytest

from tests.usage.histories import Arrival, Tick
from tests.usage.oracle import Row, Sample, Settings, usage
from tests.usage.stream import Stream
from tests.usage_examples import Example, UsageOf, examples, rows_of

EXAMPLES = examples()


def job(samples: Sequence[Sample], watermark: int, settings: Settings) -> list[Row]:
    """Return the rows that the job's windows tell."""
    stream = Stream(settings)
    arrivals = tuple(Arrival(f"{n:06}", sample) for n, sample in enumerate(samples))
    stream.run([arrivals, Tick(watermark, watermark)])
    stream.all_told()
    return stream.usage_rows()


@pytest.mark.parametrize("usage_of", [job, usage], ids=["job", "oracle"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_an_example_comes_out_as_it_says(example: Example, usage_of: UsageOf) -> None:
    assert rows_of(example, usage_of) == example.rows


def test_there_are_examples_of_every_type() -> None:
    assert len(EXAMPLES) >= 12
    assert {example.samples[0].type for example in EXAMPLES} == {"cumulative", "delta", "gauge"}
    assert all(example.rows for example in EXAMPLES)
