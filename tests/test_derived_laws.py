"""Derived samples in the store are the same whatever the order, the repetition and the cut of the stream."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.batches import touched_by
from metering.derived.chain import Chain
from metering.derived.deriver import Deriver
from metering.derived.pipeline_file import read_pipeline
from metering.draft import Draft
from metering.elements import Tick
from tests.derived_job import ARRIVED, Job
from tests.derived_oracle import GAP, PIPELINE, Row, derived

T0 = 1_795_000_020_000  # ms; the start of a minute
METERS = ["cpu", "disk", "network.delta", "memory", "memory.usage"]


def _draft(name: str, meter: str, volume: float, s: int, resource: str, about: str) -> Draft:
    kind = {"cpu": "cumulative", "network.delta": "delta"}.get(meter, "gauge")
    project, user, unit, metadata = about
    text = '{"vcpus":2}' if metadata == "2" else "{}"
    return Draft(
        meter,
        kind,
        unit,
        volume,
        project,
        user,
        resource,
        T0 + s * 1000,
        text,
        "o",
        f"{meter}{name}",
    )


DRAFTS = st.lists(
    st.builds(
        _draft,
        name=st.sampled_from("abcdefgh"),
        meter=st.sampled_from(METERS),
        volume=st.sampled_from([0.0, 1.0, 2.5, 40.0]),
        s=st.sampled_from([0, 1, 10, 20, 59, 60, 61, 90, 130, 5000]),
        resource=st.sampled_from(["r", "r", "q"]),
        about=st.sampled_from(["puB2", "puB2", "puB-", "quB2", "pvB2", "puG2"]),
    ),
    min_size=1,
    max_size=14,
)


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> list[Chain]:
    path: Path = tmp_path_factory.mktemp("pipeline") / "pipeline.yaml"
    path.write_text(PIPELINE)
    return read_pipeline(path, GAP)


def _row(draft: Draft) -> Row:
    metadata: dict[str, Any] = json.loads(draft.metadata)
    metadata.pop("derived.version")
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    return (
        draft.meter, draft.type, draft.unit, round(draft.volume, 9), draft.project_id, draft.user_id,
        draft.resource_id, draft.timestamp, text,
    )  # fmt: skip


def _cut(drafts: list[Draft], cuts: list[int]) -> list[list[Draft]]:
    edges = sorted({0, len(drafts), *(cut for cut in cuts if cut < len(drafts))})
    return [drafts[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=150)
@given(DRAFTS, st.data())
def test_any_order_repetition_and_cut_gives_the_same_derived_samples(
    chains: list[Chain], drafts: list[Draft], data: st.DataObject
) -> None:
    repeated = drafts + data.draw(st.lists(st.sampled_from(drafts), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    cuts = data.draw(st.lists(st.integers(1, 20), max_size=6))
    job, newest = Job(Deriver(chains)), T0
    for number, part in enumerate(_cut(shuffled, cuts)):
        newest = max(newest, *(draft.timestamp for draft in part))
        ticks = data.draw(st.booleans())
        mark = newest - data.draw(st.sampled_from([0, 30_000, 300_000]))
        job.bundle(part, Tick(ARRIVED * 1000 + number * 1000, mark) if ticks else None)
    for number in (100, 101):
        job.bundle([], Tick((ARRIVED + number) * 1000, newest + 120_000))
    made = {_row(draft) for draft in job.derived()}
    assert made == derived(job.parents(), newest + 120_000)


def test_nothing_is_written_again_where_nothing_changed(chains: list[Chain]) -> None:
    drafts = [_draft(f"{s}", meter, 1.0 + s, s, "r", "puB2") for s in range(5) for meter in METERS]
    job = Job(Deriver(chains))
    job.bundle(drafts, None)
    job.deriver.touch(touched_by(drafts))
    tick = Tick(ARRIVED * 1000, T0)
    assert job.deriver.tick([tick], job.shelf.history) is None


def test_what_is_settled_in_two_windows_at_once_is_derived_in_the_later_one(
    chains: list[Chain],
) -> None:
    job = Job(Deriver(chains))
    loser, winner = (
        _draft("a", "network.delta", volume, s, "r", "puB2") for volume, s in [(2.0, 0), (1.0, 60)]
    )
    job.bundle([loser, winner], None)
    for number, mark in enumerate([T0 + 60_000, T0 + 120_000]):
        job.bundle([], Tick((ARRIVED + number) * 1000, mark))
    minutes = {(d.timestamp, d.volume) for d in job.derived() if d.meter == "minute"}
    assert minutes == {(T0 + 60_000, 1.0)}
