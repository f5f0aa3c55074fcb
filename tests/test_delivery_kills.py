"""Deliveries and kill -9: at random moments, to receivers that fail now and then, none is lost."""

import contextlib
import multiprocessing
import random
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests import courier
from tests.servers.receiver import HANG, RESET, Answer, Call, receiving

KILLS = 20
SEED = random.SystemRandom().randrange(1, 10**6)
_SOMETIMES: tuple[Answer, ...] = (*[200] * 16, 500, 503, RESET, HANG)


def test_no_delivery_is_lost_or_out_of_order_over_kills_at_random_moments(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    # Forked from a process that has imported everything: a start takes a moment.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.courier"])
    written = 0
    with receiving(lambda _: chance.choice(_SOMETIMES)) as receiver:
        for _ in range(KILLS):
            theirs, ours = context.Pipe(duplex=False)
            process = context.Process(target=courier.run, args=(tmp_path, receiver.url, ours))
            process.start()
            ours.close()
            assert theirs.poll(60), "it did not start"
            threading.Event().wait(chance.uniform(0, 0.8))
            process.kill()
            process.join()
            with contextlib.suppress(EOFError):
                while True:
                    written = theirs.recv()
        receiver.answers = lambda _: 200
        theirs, ours = context.Pipe(duplex=False)
        process = context.Process(target=courier.drain, args=(tmp_path, ours))
        process.start()
        assert theirs.poll(90), "it did not drain"
        last = theirs.recv()
        process.join()
        assert (process.exitcode, last >= written > 0) == (0, True)
        assert_all_arrived_in_order(receiver.calls, last)
    repeated = sum(Counter(call.key for call in receiver.arrived).values()) - 3 * last
    print(f"{3 * last} deliveries in {len(receiver.calls)} calls, {repeated} arrived again")


def assert_all_arrived_in_order(calls: Sequence[Call], last: int) -> None:
    """Each of an alarm's transitions is called only once all before it have arrived; in the end all have."""
    arrived: defaultdict[str, int] = defaultdict(int)
    for call in calls:
        alarm, number = call.json["alarm_id"], call.json["reason_data"]["number"]
        assert number <= arrived[alarm] + 1, f"{alarm}: {number} came after {arrived[alarm]}"
        if call.answer == 200:
            arrived[alarm] = max(arrived[alarm], number)
    assert arrived == dict.fromkeys(courier.ALARMS, last)
