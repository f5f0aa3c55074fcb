"""samples_per_s and notifications_per_s: from a full RabbitMQ queue to rows that can be queried.

The queue is filled before the service starts, so what makes the load is out of the measurement; the
broker itself runs on the same cores.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.broker import broker, feed, fill
from benchmarks.figures import Figure, machine, plateau
from benchmarks.notifications import notifications
from benchmarks.polling import BATCH, Polls, rounds, utc_now
from benchmarks.scale import Scale
from benchmarks.service import serving

_INTERVAL = 10.0  # s between polls
_PATIENCE = 200.0  # s


def samples_per_s(scale: Scale) -> Iterator[Figure]:
    """Measure samples from polling messages."""
    polls = Polls(scale.instances, scale.meters)
    bodies = rounds(polls, scale.rounds, _INTERVAL, utc_now())
    total = polls.samples * scale.rounds
    middle, told = _consumed(bodies, "samples", total)
    yield Figure(
        "samples_per_s",
        round(middle),
        "samples/s",
        f"{total:,} samples in messages of {BATCH}, {scale.instances:,} instances x {scale.meters}"
        f" meters, 12 metadata keys; {told}",
    )


def notifications_per_s(scale: Scale) -> Iterator[Figure]:
    """Measure events (and their samples) from recorded notifications with new ids."""
    middle, told = _consumed(notifications(scale.notifications), "events", scale.notifications)
    yield Figure(
        "notifications_per_s",
        round(middle),
        "notifications/s",
        f"{scale.notifications:,} compute.instance.*, volume.* and image.* recorded from Nova,"
        f" Cinder and Glance, with new ids; {told}",
    )


def _consumed(bodies: Iterable[bytes], table: str, total: int) -> tuple[float, str]:
    """Return rows/s over the middle, and the conditions."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name:
        folder = Path(name)
        with broker(folder / "rabbitmq") as server:
            _, size = fill(server, bodies)
            with serving(folder / "service", feed(server)) as service:
                used = service.cpu()
                seen = list(service.counts(table, total, _PATIENCE))
                used = service.cpu() - used
    middle, whole = plateau([(seen[0][0], 0), *seen])
    return middle, (
        f"{size:,} bytes a message, persistent in a classic queue filled before the service starts;"
        f" middle 80 % of {table} queryable; first to last {whole:,.0f}/s; the service used"
        f" {used / total * 1e6:.1f} s of processor a million; RabbitMQ on the same machine;"
        f" {machine()}"
    )
