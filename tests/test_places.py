"""Places: what each has is its own, read from the store or from the stream, and together it is all."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from hypothesis import given
from hypothesis import strategies as st

from jobs import pipeline
from jobs.resources import parts, resources
from metering.batches import sample_table, touched_by
from metering.config import Config, Database, Decode, Job, Spool
from metering.draft import Draft
from metering.places import WHOLE, Places, divided, shards_of
from metering.usage.rules import UsageRules
from store.client import Store
from store.latest import catch_up_latest
from store.placed import placed
from store.recall import recalled_sieve
from store.rows import insert_samples
from store.usage import recalled_windows
from tests.servers.rabbitmq import wait_until
from tests.soak.comparison import differences
from tests.soak.notifications import MAX_PAYLOAD
from tests.soak.oracle import expected
from tests.soak.traffic import traffic

NOW = 1_795_003_200  # s
resource_ids = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30)


def draft(resource: str, number: int, at: int = 0) -> Draft:
    metadata = f'{{"name":"{number}"}}'
    moment = (NOW - 60 + at) * 1000 + number
    return Draft("cpu", "gauge", "%", 1.0, "p", "u", resource, moment, metadata, "s", f"m{number}")


def named(rows: pa.Table) -> list[tuple[str, str]]:
    return list(zip(rows["resource_id"].to_pylist(), rows["message_id"].to_pylist(), strict=True))


@given(resource_ids, st.integers(1, 5), st.integers(0, 20))
def test_each_sample_goes_to_the_place_of_its_resource_and_no_text_to_others(
    resources: list[str], count: int, more: int
) -> None:
    places = Places(count + more, count)
    samples = sample_table([draft(one, n) for n, one in enumerate(resources)], NOW)
    pieces = dict(divided(samples, places))
    for place in places.all():
        piece = pieces.pop(place.key, samples.slice(0, 0))
        wanted = [(one, f"m{n}") for n, one in enumerate(resources) if place.holds(one)]
        assert named(piece) == wanted
        if count > 1 and wanted:
            texts = piece["metadata"].combine_chunks().dictionary.to_pylist()
            assert sorted(texts) == sorted(piece["metadata"].to_pylist())
        assert set(shards_of(piece, places.shards)) <= set(place.mine)
    assert not pieces or count == 1


def test_a_place_has_a_shard_at_least() -> None:
    with pytest.raises(ValueError, match="2 shards are too few for 3 places"):
        Places(2, 3)


def test_the_engine_finds_a_place_as_we_do(store: Store) -> None:
    names = [f"instance-{n}" for n in range(50)] + ["ä", "a b'c"]
    for place in Places(7, 3).all():
        sql = f"SELECT resource_id FROM (SELECT arrayJoin({{names:Array(String)}}) AS resource_id) WHERE {placed(place)}"
        found = [row[0] for row in store.query(sql, {"names": names}).result_rows]
        assert found == [name for name in names if place.holds(name)]


def test_a_place_recalls_its_own_series_and_all_places_together_all(store: Store) -> None:
    drafts = [draft(f"instance-{n}", n) for n in range(20)]
    insert_samples(store, sample_table(drafts, NOW))
    places = Places(5, 2).all()
    for place in places:
        catch_up_latest(store, place)
    older = [draft(f"instance-{n}", 100 + n, -10) for n in range(20)]
    rules = UsageRules()
    for place in (*places, WHOLE):
        mine = [one for one in drafts if place.holds(one.resource_id)]
        sieve = recalled_sieve(store, 1000, 7200.0, NOW, place)
        again = sieve.sift(sample_table(drafts, NOW))
        assert again.repeats == len(mine)
        fresh = recalled_sieve(store, 1000, 7200.0, NOW, place).sift(sample_table(older, NOW))
        assert sorted(fresh.suspect["resource_id"].to_pylist()) == sorted(
            one.resource_id for one in mine
        )
        windows = recalled_windows(store, rules, place).touched()
        assert windows is not None
        told = sorted(windows["resource_id"].to_pylist())
        assert told == sorted(touched_by(mine)["resource_id"].to_pylist())


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Config:
    return Config(
        database=Database(path=store.database.path, name=store.name),
        spool=Spool(path=tmp_path / "spool"),
        job=Job(tick=0.1, lateness=86_400),
        decode=Decode(max_payload_bytes=MAX_PAYLOAD),
    )


def test_two_places_in_one_process_make_the_tables_of_the_oracle(
    config: Config, store: Store
) -> None:
    """As on a cluster whose slots share a worker: each bundle has elements of both.

    Ids that both places get are not compared here (tests/test_contested.py).
    """
    start = int(resources(config).store.query("SELECT now()").result_rows[0][0].timestamp()) * 1000
    messages = traffic(7, 1500, start - 3_600_000, without={"moved"})
    bodies = [message.body for message in messages]
    held = resources(config)
    given_parts = dataclasses.replace(parts(config), places=Places(4, 2))
    options = PipelineOptions(["--streaming"])
    job = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options)
    pipeline.build(job, config, given_parts)
    thread = threading.Thread(target=lambda: job.run().wait_until_finish(), daemon=True)
    hub = held.hub  # open from here on
    thread.start()
    for at in range(0, len(bodies), 10):
        held.spool.append(bodies[at : at + 10])
    wait_until(lambda: held.spool.status()["records"] == 0, "all to be acknowledged", 120)

    def query(sql: str) -> list[Any]:
        return list(store.query(sql.replace("metering.", f"{store.name}.")).result_rows)

    oracle = expected(bodies, start, MAX_PAYLOAD)
    wait_until(lambda: differences(query, oracle) == [], "the tables to be the oracle's", 60)
    hub.stop()
    thread.join(60)
    held.close()
    assert not thread.is_alive()
    assert differences(query, oracle) == []
