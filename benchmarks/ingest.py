"""samples_per_s, pubsub_samples_per_s, notifications_per_s: from a full source to rows that can be queried.

The source is filled before the service starts, so what makes the load is out of the measurement; its
server itself runs on the same cores.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.broker import Filled, filled_queue
from benchmarks.figures import Figure, machine, plateau
from benchmarks.notifications import notifications
from benchmarks.polling import BATCH, Polls, rounds, utc_now
from benchmarks.scale import Scale
from benchmarks.service import serving
from benchmarks.topic import filled_topic

Fill = Callable[[Path, Iterable[bytes]], AbstractContextManager[Filled]]

_INTERVAL = 10.0  # s between polls
_PATIENCE = 200.0  # s


def samples_per_s(scale: Scale) -> Iterator[Figure]:
    """Measure samples from polling messages in RabbitMQ."""
    yield _samples("samples_per_s", scale, filled_queue)


def pubsub_samples_per_s(scale: Scale) -> Iterator[Figure]:
    """Measure samples from polling messages in Pub/Sub."""
    yield _samples("pubsub_samples_per_s", scale, lambda _, bodies: filled_topic(bodies))


def _samples(name: str, scale: Scale, fill: Fill) -> Figure:
    polls = Polls(scale.instances, scale.meters)
    bodies = rounds(polls, scale.rounds, _INTERVAL, utc_now())
    total = polls.samples * scale.rounds
    middle, told = _consumed(bodies, "samples", total, fill)
    return Figure(
        name,
        round(middle),
        "samples/s",
        f"{total:,} samples in messages of {BATCH}, {scale.instances:,} instances x {scale.meters}"
        f" meters, 12 metadata keys; {told}",
    )


def notifications_per_s(scale: Scale) -> Iterator[Figure]:
    """Measure events (and their samples) from recorded notifications with new ids."""
    middle, told = _consumed(
        notifications(scale.notifications), "events", scale.notifications, filled_queue
    )
    yield Figure(
        "notifications_per_s",
        round(middle),
        "notifications/s",
        f"{scale.notifications:,} compute.instance.*, volume.* and image.* recorded from Nova,"
        f" Cinder and Glance, with new ids; {told}",
    )


def _consumed(bodies: Iterable[bytes], table: str, total: int, fill: Fill) -> tuple[float, str]:
    """Return rows/s over the middle, and the conditions."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name:
        folder = Path(name)
        with (
            fill(folder, bodies) as filled,
            serving(folder / "service", filled.feeds) as service,
        ):
            used = service.cpu()
            seen = list(service.counts(table, total, _PATIENCE))
            used = service.cpu() - used
    middle, whole = plateau([(seen[0][0], 0), *seen])
    return middle, (
        f"{filled.size:,} bytes a message, {filled.where} on the same machine and was filled before"
        f" the service starts; middle 80 % of {table} queryable; first to last {whole:,.0f}/s; the"
        f" service used {used / total * 1e6:.1f} s of processor a million; {machine()}"
    )
