"""The same samples through Ceilometer 9.0.7's own transformers and through ours: the same comes out.

Where it does not, both results are told here and in docs/derived.md.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.definitions.reading import DefinitionError
from metering.derived.deriver import Deriver
from metering.derived.filters import MeterFilter, filter_fault
from metering.derived.pipeline_file import SHIPPED, read_pipeline
from metering.draft import Draft
from metering.elements import Tick
from metering.metadata import flatten
from metering.timestamps import parse_ms
from tests.derived_job import Job
from tests.packages import fetched

T0 = 1_795_000_020  # s; the start of a minute
GAP = 3_900_000  # ms

Ask = Callable[[dict[str, Any]], Any]
Sample = dict[str, Any]
Row = tuple[Any, ...]  # name, type, unit, volume, project, user, resource, s since T0, metadata


@pytest.fixture(scope="module")
def package() -> Path:
    return fetched("ceilometer", "9.0.7")


@pytest.fixture(scope="module")
def ask(package: Path) -> Iterator[Ask]:
    script = Path(__file__).with_name("ceilometer_pipeline.py")
    command = [sys.executable, str(script), str(package)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def answer(question: dict[str, Any]) -> Any:
        print(json.dumps(question), file=stdin, flush=True)
        return json.loads(stdout.readline())

    with process:
        yield answer
        stdin.close()
    assert process.returncode == 0


def sample(
    name: str, s: float, volume: float, kind: str = "cumulative", unit: str = "B", **more: Any
) -> Sample:
    about = {
        "user_id": "u",
        "project_id": "p",
        "resource_id": "r",
        "resource_metadata": {"vcpus": 2},
    }
    time = datetime.fromtimestamp(T0 + s, timezone.utc).isoformat()
    return (
        about
        | {"name": name, "type": kind, "unit": unit, "volume": volume, "timestamp": time}
        | more
    )


def sink(*transformers: dict[str, Any], meters: tuple[str, ...] = ("*",)) -> dict[str, Any]:
    """Return a pipeline with one sink."""
    source = {"name": "source", "meters": list(meters), "sinks": ["sink"]}
    return {
        "sources": [source],
        "sinks": [{"name": "sink", "transformers": list(transformers), "publishers": ["test"]}],
    }


def transformer(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def theirs(ask: Ask, pipeline: dict[str, Any], *batches: list[Sample]) -> list[Row]:
    """Return what Ceilometer makes of batches, each flushed a second after its newest sample."""
    timed = [(_seconds(batch[-1]) + T0 + 1, batch) for batch in batches]
    made = ask({"pipeline": pipeline, "batches": timed})
    rows = [
        (
            one["name"], one["type"], one["unit"], round(one["volume"], 6), one["project_id"],
            one["user_id"], one["resource_id"], _seconds(one), flatten(one["resource_metadata"]),
        )
        for one in made
    ]  # fmt: skip
    return sorted(rows)


def ours(tmp_path: Path, pipeline: dict[str, Any], *batches: list[Sample]) -> list[Row]:
    """Return what is in the store when the same batches have come, and an hour later."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(pipeline))
    job = Job(Deriver(read_pipeline(path, GAP)))
    for number, batch in enumerate(batches):
        drafts = [_draft(one, f"{number}-{i}") for i, one in enumerate(batch)]
        job.bundle(drafts, Tick((T0 + number) * 1000, None))
    for number in (1, 2):
        job.bundle([], Tick((T0 + 100 + number) * 1000, (T0 + 100_000) * 1000))
    return sorted(_row(draft) for draft in job.derived())


def _draft(one: Sample, message_id: str) -> Draft:
    return Draft(
        one["name"], one["type"], one["unit"], float(one["volume"]), one["project_id"], one["user_id"],
        one["resource_id"], parse_ms(one["timestamp"]), flatten(one["resource_metadata"]), "openstack",
        message_id,
    )  # fmt: skip


def _row(draft: Draft) -> Row:
    metadata = json.loads(draft.metadata)
    del metadata["derived.parents"], metadata["derived.version"]
    return (
        draft.meter, draft.type, draft.unit, round(draft.volume, 6), draft.project_id, draft.user_id,
        draft.resource_id, draft.timestamp / 1000 - T0, flatten(metadata),
    )  # fmt: skip


def _seconds(one: Sample) -> float:
    return parse_ms(one["timestamp"]) / 1000 - T0


def short(rows: list[Row]) -> list[tuple[str, float, float]]:
    """Return name, second and volume, in order of time."""
    return sorted(((row[0], row[7], row[3]) for row in rows), key=lambda row: row[1:])


def polled(name: str, kind: str, unit: str) -> st.SearchStrategy[list[Sample]]:
    """Return samples of two resources in order of time, each at a moment of its own."""
    volume = st.sampled_from([0, 1, 5, 7.5, 1e9, 3e9, 1e12])
    metadata = st.sampled_from(
        [{"vcpus": 2}, {"cpu_number": 4}, {}, {"cpu_number": None, "x": {"y": 1}}]
    )
    made = st.fixed_dictionaries(
        {
            "volume": volume,
            "resource_metadata": metadata,
            "resource_id": st.sampled_from(["r", "q"]),
        }
    )
    gaps = st.lists(st.sampled_from([0.001, 1, 10, 59.5]), min_size=12, max_size=12)
    return st.tuples(st.lists(made, max_size=12), gaps).map(
        lambda both: [
            sample(name, round(sum(both[1][:i]), 3), one["volume"], kind, unit) | one
            for i, one in enumerate(both[0])
        ]
    )


CPU = polled("cpu", "cumulative", "ns")
DISK = polled("disk.read.bytes", "cumulative", "B")
PACKETS = polled("network.incoming.packets", "cumulative", "packet")


def in_order(*parts: list[Sample]) -> list[Sample]:
    return sorted((one for part in parts for one in part), key=_seconds)


@settings(max_examples=30)
@given(CPU, DISK, PACKETS)
def test_their_own_pipeline_makes_the_same_samples_but_for_growth_after_a_reset(
    ask: Ask,
    package: Path,
    tmp_path_factory: pytest.TempPathFactory,
    cpu: list[Sample],
    disk: list[Sample],
    packets: list[Sample],
) -> None:
    pipeline = yaml.safe_load((package / "ceilometer/pipeline/data/pipeline.yaml").read_text())
    batch = in_order(cpu, disk, packets)
    if batch:
        made = ours(tmp_path_factory.mktemp("p"), pipeline, batch)
        known = theirs(ask, pipeline, batch)
        more = [row for row in made if row not in known]
        assert [row for row in made if row not in more] == known
        assert [row[0] for row in more] == ["cpu.delta"] * _resets(batch)


def _resets(batch: list[Sample]) -> int:
    """Return how often `cpu` of some resource fell."""
    newest: dict[str, float] = {}
    resets = 0
    for one in batch:
        if one["name"] == "cpu":
            resets += one["volume"] < newest.get(one["resource_id"], 0)
            newest[one["resource_id"]] = one["volume"]
    return resets


@settings(max_examples=20)
@given(CPU, DISK)
def test_the_shipped_pipeline_makes_what_ceilometer_makes_of_it(
    ask: Ask, tmp_path_factory: pytest.TempPathFactory, cpu: list[Sample], disk: list[Sample]
) -> None:
    pipeline = yaml.safe_load(SHIPPED.read_text())
    for each in pipeline["sinks"]:
        each["publishers"] = ["test"]
    batch = in_order(cpu, disk)
    if batch:
        assert ours(tmp_path_factory.mktemp("p"), pipeline, batch) == theirs(ask, pipeline, batch)


SCALES = [
    2,
    0.5,
    0,
    "volume * 1.8 + 32",
    "volume / resource_metadata.vcpus",
    "volume if volume > 5 else -volume",
    "volume + (resource_metadata.x.y or 3)",
    "(volume and resource_metadata.vcpus) or 7",
    "volume - 1 if not volume % 2 else 9",
]
CONVERSIONS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(
            [{}, {"unit": "B"}, {"unit": "GB"}, {"map_from": {"name": "never"}}]
        ),
        "target": st.fixed_dictionaries(
            {"name": st.just("made")},
            optional={
                "unit": st.just("K"),
                "type": st.just("gauge"),
                "max": st.sampled_from([0, 6]),
                "scale": st.sampled_from(SCALES),
            },
        ),
    }
)


@settings(max_examples=30)
@given(CONVERSIONS, polled("temperature", "delta", "B"))
def test_conversions_are_the_same(
    ask: Ask,
    tmp_path_factory: pytest.TempPathFactory,
    parameters: dict[str, Any],
    batch: list[Sample],
) -> None:
    source, target = parameters["source"], parameters["target"]
    if "map_from" in source:
        target = target | {"map_to": {"name": "nothing"}}
    parameters = {"source": source, "target": target}
    pipeline = sink(transformer("unit_conversion", **parameters))
    if batch:
        known = [row for row in theirs(ask, pipeline, batch) if row[0] != "temperature"]
        assert ours(tmp_path_factory.mktemp("p"), pipeline, batch) == known


def usage_and_memory() -> st.SearchStrategy[list[list[Sample]]]:
    """Return polls of two meters at one moment each."""
    volumes = st.sampled_from([0, 1, 100, 2048])
    poll = st.tuples(volumes, volumes, st.sampled_from(["r", "q"]))
    return st.lists(poll, min_size=1, max_size=8).map(
        lambda polls: [
            [
                sample("memory.usage", 10 * i, used, "gauge", "MiB", resource_id=resource),
                sample("memory", 10 * i, whole, "gauge", "MiB", resource_id=resource),
            ]
            for i, (used, whole, resource) in enumerate(polls)
        ]
    )


@settings(max_examples=20)
@given(
    st.sampled_from(
        ["100 * $(memory.usage) / $(memory)", "$(memory) - $(memory.usage)", "$(memory) * 2",
         "$(memory) / $(memory.usage).resource_metadata.vcpus"]
    ),
    usage_and_memory(),
)  # fmt: skip
def test_arithmetic_is_the_same_where_all_operands_come_together(
    ask: Ask, tmp_path_factory: pytest.TempPathFactory, expr: str, batches: list[list[Sample]]
) -> None:
    target = {"name": "made", "unit": "u", "type": "gauge", "expr": expr}
    pipeline = sink(transformer("arithmetic", target=target))
    known = theirs(ask, pipeline, *batches)
    assert ours(tmp_path_factory.mktemp("p"), pipeline, *batches) == known


@pytest.mark.parametrize("kind", ["gauge", "delta", "cumulative"])
@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"timestamp": "last", "resource_metadata": "first"},
        {"project_id": "last", "user_id": "first", "resource_metadata": "drop"},
    ],
)
def test_an_aggregate_of_a_whole_window_is_the_same(
    ask: Ask, tmp_path: Path, kind: str, policy: dict[str, str]
) -> None:
    batches = [
        [
            sample("m", minute * 60 + s, 5 * s + minute, kind, project_id=project, user_id=user,
                   resource_metadata={"x": s})
            for s, project, user in ((0, "p", "u"), (20, "q", "u"), (40, "p", "v"), (50, "p", "u"))
        ]
        for minute in range(3)
    ]  # fmt: skip
    pipeline = sink(transformer("aggregator", size=4, retention_time=60, **policy), RENAMED)
    known = theirs(ask, pipeline, *batches)
    assert len(known) >= 3
    assert ours(tmp_path, pipeline, *batches) == known


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(
            ["*", "cpu", "disk.*", "*.rate", "d[ai]sk.*", "!cpu", "!disk.*", "!*.rate", "a:*"]
        ),
        max_size=4,
    ),
)
def test_sources_take_and_refuse_the_same_meters(ask: Ask, meters: list[str]) -> None:
    names = ["cpu", "cpu_util", "disk.read", "disk.read.rate", "dask.x", "a:b", "Disk.read"]
    known = ask({"meters": meters, "names": names})
    if not meters or filter_fault(meters):
        assert known is None
    else:
        assert known == [MeterFilter(meters).takes(name) for name in names]


RENAMED = transformer("unit_conversion", target={"name": "made"})
RATE = transformer("rate_of_change", target={"name": "rate", "type": "gauge"})
GROWTH = transformer("delta", target={"name": "grown"}, growth_only=True)
SHARE = transformer(
    "arithmetic", target={"name": "share", "unit": "%", "type": "gauge", "expr": "$(a) / $(b)"}
)


def _gauge(name: str, s: float, volume: float, **more: Any) -> Sample:
    return sample(name, s, volume, "gauge", **more)


# What comes; the transformer; what Ceilometer makes; what we do. In docs/derived.md, row by row.
DIFFERENCES: dict[str, tuple[list[list[Sample]], dict[str, Any], list[Any], list[Any]]] = {
    "a sample out of order": (
        [[sample("m", 0, 0)], [sample("m", 20, 40)], [sample("m", 10, 10)]],
        RATE,
        [("rate", 20, 2)],
        [("rate", 10, 1), ("rate", 20, 3)],
    ),
    "a sample out of order, delta": (
        [[sample("m", 0, 0)], [sample("m", 20, 40)], [sample("m", 10, 10)]],
        GROWTH,
        [("grown", 20, 40)],
        [("grown", 10, 10), ("grown", 20, 30)],
    ),
    "a counter that fell, delta with growth_only": (
        [[sample("m", 0, 50), sample("m", 10, 20)]],
        GROWTH,
        [],
        [("grown", 10, 20)],
    ),
    "two samples of one moment": (
        [[sample("m", 0, 1, "delta"), sample("m", 10, 2, "delta"), sample("m", 10, 2, "delta")]],
        RATE,
        [("rate", 10, 0), ("rate", 10, 0.1)],
        [("rate", 10, 0.1)],
    ),
    "another type or unit than before": (
        [[sample("m", 0, 10), sample("m", 10, 30, unit="kB")]],
        RATE,
        [("rate", 10, 2)],
        [],
    ),
    "a monotonic time, from a clock that was set": (
        [[sample("m", 0, 0, monotonic_time=5.0), sample("m", 10, 40, monotonic_time=25.0)]],
        RATE,
        [("rate", 10, 2)],
        [("rate", 10, 4)],
    ),
    "a rate with a number as scale": (
        [[sample("m", 0, 0), sample("m", 10, 40)]],
        transformer("rate_of_change", target={"name": "rate", "type": "gauge", "scale": 2}),
        [("rate", 10, 320)],
        [("rate", 10, 8)],
    ),
    "an operand that comes seldom": (
        [[_gauge("a", 0, 10), _gauge("b", 0, 2)], [_gauge("a", 10, 20)], [_gauge("a", 20, 30)]],
        SHARE,
        [("share", 0, 5)],
        [("share", 0, 5), ("share", 10, 10), ("share", 20, 15)],
    ),
    "operands of several moments": (
        [[_gauge("a", 0, 10), _gauge("b", 1, 2)], [_gauge("a", 10, 20), _gauge("b", 11, 4)]],
        SHARE,
        [("share", 1, 5), ("share", 11, 5)],
        [("share", 1, 5), ("share", 10, 10), ("share", 11, 5)],
    ),
    "an aggregate without a size": (
        [[_gauge("m", 0, 1), _gauge("m", 20, 3)], [_gauge("m", 30, 8)]],
        transformer("aggregator", retention_time=60),
        [("made", 0, 2), ("made", 30, 8)],
        [("made", 0, 4)],
    ),
    "an aggregate that is not full": (
        [[_gauge("m", 0, 1), _gauge("m", 20, 3)]],
        transformer("aggregator", size=3),
        [],
        [("made", 0, 2)],
    ),
    "an aggregate of several resources": (
        [[_gauge("m", 0, 1), _gauge("m", 20, 3, resource_id="q")], [_gauge("m", 40, 5)]],
        transformer("aggregator", size=2),
        [("made", 0, 1), ("made", 20, 3)],
        [("made", 0, 3), ("made", 20, 3)],
    ),
    "a counter aggregated into a gauge": (
        [[sample("m", 0, 10), sample("m", 20, 30)]],
        transformer("aggregator", size=2, target={"type": "gauge"}),
        [("made", 0, 15)],
        [("made", 0, 30)],
    ),
    "a mean that is renamed": (
        [[_gauge("m", 0, 1), _gauge("m", 20, 3)]],
        transformer("aggregator", size=2, target={"name": "mean"}),
        [],
        [("mean", 0, 2)],
    ),
    "samples that wait to be sent together": (
        [[_gauge("m", 0, 1), _gauge("m", 10, 2)]],
        transformer("accumulator", size=3),
        [],
        [("made", 0, 1), ("made", 10, 2)],
    ),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_where_they_differ_both_results_are_told(ask: Ask, tmp_path: Path, what: str) -> None:
    batches, each, known, made = DIFFERENCES[what]
    named = "name" in each["parameters"].get("target", {})
    pipeline = sink(each) if named else sink(each, RENAMED)
    assert short(theirs(ask, pipeline, *batches)) == known
    assert short(ours(tmp_path, pipeline, *batches)) == made


def test_the_documents_list_every_difference() -> None:
    told = (Path(__file__).parent.parent / "docs" / "derived.md").read_text()
    rows = [line for line in told.split("## Beside Ceilometer")[1].splitlines() if line[:2] == "| "]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[1:]] == list(DIFFERENCES)


def test_what_they_take_and_we_refuse_is_told_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    mean = transformer("aggregator", size=2, target={"name": "mean"})
    path.write_text(yaml.safe_dump(sink(mean, RATE)))
    with pytest.raises(
        DefinitionError, match="aggregator and rate_of_change can't follow each other"
    ):
        read_pipeline(path, GAP)
