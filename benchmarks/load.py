"""`python -m benchmarks.load URL QUEUE RATE SECONDS INSTANCES METERS`: a steady stream of polls, from a process of its own."""

import sys
import time
from collections.abc import Iterator

from benchmarks.polling import BATCH, Polls
from tests.servers.rabbitmq import publish


def steady(polls: Polls, rate: float, seconds: float) -> Iterator[bytes]:
    """Yield messages so that `rate` samples a second are sent, for so long."""
    start = time.monotonic()
    sent = 0.0
    while True:
        for body in polls.live():
            ahead = sent / rate - (time.monotonic() - start)
            if ahead > 0.02:
                time.sleep(ahead)
            if time.monotonic() - start >= seconds:
                return
            sent += BATCH
            yield body


def _main(url: str, queue: str, rate: str, seconds: str, instances: str, meters: str) -> None:
    polls = Polls(int(instances), int(meters))
    start = time.monotonic()
    count = publish(url, "", queue, steady(polls, float(rate), float(seconds)))
    print(f"{count * BATCH / (time.monotonic() - start):.0f}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
