"""The whole job in process: one fused stage, everything stored before it is acknowledged, no leak."""

import gc
import types
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from jobs import pipeline, resources
from jobs.embedded import EmbeddedJob
from metering.config import Config, Database, Job
from metering.config import Spool as SpoolConfig
from store.client import Store
from tests.servers.rabbitmq import wait_until
from tests.test_decode import SAMPLE, batch, enveloped, message

STEPS = [
    "DecodePayloads",
    "DeriveMeters",
    "EvaluateAlarms",
    "EvaluateEventAlarms",
    "GatherReaders",
    "MatchAlarms",
    "NormalizeSamples",
    "NotifyActions",
    "NotifyEventActions",
    "ReadFeeds",
    "WindowUsage",
    "WriteEvents",
    "WriteInvalid",
    "WriteLate",
    "WriteRevised",
    "WriteSamples",
    "WriteSettled",
    "WriteUsage",
]


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Config:
    return Config(
        database=Database(path=store.database.path, name=store.name),
        spool=SpoolConfig(path=tmp_path / "spool"),
        job=Job(tick=0.1),
    )


def test_the_graph_is_one_fused_stage(config: Config) -> None:
    job = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=PipelineOptions(["--streaming"]))
    pipeline.build(job, config, resources.parts(config))
    _, stages = fn_runner.FnApiRunner().create_stages(job.to_runner_api())
    # Before the endless source stand only what makes its one element and its restriction.
    names = [
        {label.partition("/")[0] for t in stage.transforms if (label := t.unique_name)[0].isupper()}
        for stage in stages
    ]
    assert [sorted(of_stage) for of_stage in names if of_stage - {"ReadFeeds"}] == [STEPS]


def test_what_is_pushed_is_stored_then_acknowledged(config: Config, store: Store) -> None:
    held = resources.resources(config)
    job = EmbeddedJob(held)
    job.start()
    conflict = {**SAMPLE, "counter_volume": 11}
    held.spool.append([enveloped(batch(SAMPLE, SAMPLE)), b"nonsense"])
    wait_until(lambda: held.spool.status()["records"] == 0, "the first records to be acknowledged")
    held.spool.append([enveloped(batch(conflict)), enveloped(message("x.y", {"a": 1}))])
    wait_until(lambda: held.spool.status()["records"] == 0, "the second records to be acknowledged")
    job.stop()
    held.close()
    assert job.failure is None
    found = store.query(f"SELECT meter, volume, message_id FROM {store.name}.v_samples").result_rows
    assert found == [("cpu", 11.0, "id-1")]
    reasons = store.query(f"SELECT reason FROM {store.name}.v_invalid ORDER BY reason").result_rows
    assert reasons == [("bad_json",), ("conflict",)]
    events = store.query(f"SELECT event_type FROM {store.name}.v_events").result_rows
    assert events == [("x.y",)]


def test_a_bundle_that_fails_ends_the_job_and_acknowledges_nothing(
    config: Config, store: Store
) -> None:
    held = resources.resources(config)
    store.command(f"DROP TABLE {store.name}.invalid")
    job = EmbeddedJob(held)
    job.start()
    held.spool.append([b"nonsense"])
    wait_until(job.ended.is_set, "the job to fail")
    job.stop()
    assert "invalid" in str(job.failure)
    assert held.spool.status()["records"] == 1
    held.close()


def test_the_runner_keeps_no_memory_a_bundle(config: Config) -> None:
    held = resources.resources(config)
    job = EmbeddedJob(held)
    job.start()
    for number in range(30):
        held.spool.append([enveloped(message("x.y", {}, message_id=f"m{number}"))])
        wait_until(lambda: held.spool.status()["records"] == 0, "a bundle")
    job.stop()
    held.close()

    generators = [o for o in gc.get_objects() if isinstance(o, types.GeneratorType)]
    assert [g.__name__ for g in generators if g.__name__ == "consolidate"] == []
