"""The job on a Flink of its own, everything on the same cores.

flink_samples_per_s_p1, _p2, _p4 and flink_breach_to_webhook_p50_ms, _p99_ms as in one process;
flink_checkpoint_p50_ms; flink_start_p50_s and flink_start_max_s over 20 submissions in a row.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.alarms import breach_figures, breaches, defined
from benchmarks.broker import broker, consumers, feed, filled_queue
from benchmarks.cluster import folder_of_its_own, running_on_flink, starts
from benchmarks.figures import Figure, machine, percentile, plateau
from benchmarks.polling import BATCH, Polls, rounds, utc_now
from benchmarks.scale import Scale
from tests.servers.receiver import receiving

_INTERVAL: Final = 10.0  # s between polls
_PATIENCE: Final = 300.0  # s
_RATE: Final = 2000  # samples/s while breaches come


def samples_per_s(scale: Scale, parallelism: int) -> Iterator[Figure]:
    """Measure samples from polling messages in RabbitMQ, and the checkpoints that were taken meanwhile."""
    polls = Polls(scale.instances, scale.meters)
    total = polls.samples * scale.rounds
    bodies = rounds(polls, scale.rounds, _INTERVAL, utc_now())
    with (
        folder_of_its_own() as folder,
        filled_queue(folder, bodies, parallelism, scale.meters) as filled,
        running_on_flink(folder, filled.feeds, parallelism) as job,
    ):
        seen, came, before = [], 0, job.used()
        for moment, count in job.counts("samples", total, _PATIENCE):
            if count and not came:
                came, before = count, job.used()
            seen.append((moment, count))
        used, checkpoints = job.used().since(before, total - came), job.checkpoints()
    middle, whole = plateau([(seen[0][0], 0), *seen])
    slots = "one slot does all" if parallelism == 1 else "a place in each, the alarms in one"
    told = (
        f"{total:,} samples in messages of {BATCH}, {scale.instances:,} instances x {scale.meters}"
        f" meters, 12 metadata keys, {filled.where} filled before; --parallelism {parallelism}, {slots};"
        f" middle 80 % of samples queryable, from the first {came:,} to the last {whole:,.0f}/s;"
        f" seconds of processor a million since these first: {used}; {machine()}"
    )
    yield Figure(f"flink_samples_per_s_p{parallelism}", round(middle), "samples/s", told)
    if parallelism == 1:
        yield _checkpoint(checkpoints)


def _checkpoint(told: dict[str, Any]) -> Figure:
    times, sizes = (told["summary"][name] for name in ("end_to_end_duration", "state_size"))
    conditions = (
        f"end to end, {told['counts']['completed']} checkpoints at most 2 s apart while the job is behind"
        f" a full queue; longest {times['max']:,} ms; {sizes['min']:,} to {sizes['max']:,} bytes;"
        f" {machine()}"
    )
    return Figure("flink_checkpoint_p50_ms", float(times["p50"]), "ms", conditions)


def breach_to_webhook(scale: Scale) -> Iterator[Figure]:
    """Measure from the publishing of a breaching sample to the arrival of its alarm's webhook."""
    scale = dataclasses.replace(scale, rate=min(scale.rate, _RATE))
    allowed = {"alarms": {"actions": {"allow": ["127.0.0.1/32", "::1/128"]}}}
    with (
        folder_of_its_own() as folder,
        broker(folder / "rabbitmq") as server,
        receiving() as receiver,
    ):
        alarms = defined(folder, scale, receiver.port)
        with running_on_flink(folder, feed(server), more=allowed):
            taken = breaches(server, receiver, scale)
    yield from breach_figures("flink_breach_to_webhook", taken, alarms, scale)


def start_times(scale: Scale) -> Iterator[Figure]:
    """Measure from a submission to the job's reading its queue, again and again."""
    with folder_of_its_own() as folder, broker(folder / "rabbitmq") as server:
        began = starts(folder, feed(server), lambda: bool(consumers(server)))
        with contextlib.closing(began):
            taken = list(itertools.islice(began, scale.submissions))
    told = (
        f"from `streamgauge submit` to a consumer of the queue, {len(taken)} submissions in a row to one"
        f" cluster, each ended before the next: {', '.join(f'{one:.1f}' for one in taken)} s; {machine()}"
    )
    yield Figure("flink_start_p50_s", round(percentile(taken, 50), 1), "s", told)
    yield Figure("flink_start_max_s", round(max(taken), 1), "s", told)
