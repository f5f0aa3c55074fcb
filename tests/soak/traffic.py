"""Deterministic traffic under a seed: what services send, with every kind of repeat and conflict.

Shape: (seed, count, start) -> messages in the order they are published. Of `count` samples and
    notifications 5 % come twice as the same bytes, some at once, some much later, and a few per
    mille are conflicts, twins (same series and timestamp, other id) or refused.
"""

import random
from collections.abc import Callable, Collection, Iterator
from typing import Any

from tests.soak.notifications import (
    Message,
    malformed,
    message,
    new_id,
    notification,
    polling,
    stamp,
)

SERIES = (
    ("cpu", "cumulative", "ns"),
    ("disk.device.read.bytes", "cumulative", "B"),
    ("memory.usage", "gauge", "MiB"),
    ("power.state", "gauge", "state"),
    ("network.incoming.bytes.delta", "delta", "B"),
)
RESOURCES = 400
STEP = 15  # ms between the timestamps of one sample and the next
OTHERWISE: dict[str, float] = {  # share of samples that something happens to
    "reworded": 0.01, "bigger": 0.002, "smaller": 0.002, "moved": 0.002, "delayed": 0.002,
    "thrice": 0.001, "twin": 0.003, "twin_elsewhere": 0.001, "same_twin": 0.001,
    "twin_in_conflict": 0.001, "nameless": 0.002, "tied": 0.0005, "refused": 0.003,
}  # fmt: skip


def traffic(seed: int, count: int, start: int, without: Collection[str] = ()) -> list[Message]:
    """Return at least `count` samples and notifications in messages; times begin at `start` (ms).

    `without` some of what happens OTHERWISE.
    """
    return _Traffic(random.Random(seed), count, start, without).messages()


class _Traffic:
    def __init__(
        self, rng: random.Random, count: int, start: int, without: Collection[str]
    ) -> None:
        self.rng, self.count, self.start = rng, count, start
        self.otherwise = {kind: share for kind, share in OTHERWISE.items() if kind not in without}
        self.otherwise[""] = 1 - sum(self.otherwise.values())
        self.due: list[tuple[float, Message | dict[str, Any]]] = []  # position, what comes then

    def messages(self) -> list[Message]:
        for n in range(self.count):
            if self.rng.random() < 0.1:
                self._notify(n)
            else:
                self._sample(n)
        for n in range(self.count // 1000):
            self._at(n * 1000.0, malformed(self.rng, n))
        self.due.sort(key=lambda pair: pair[0])
        return self._repeated(list(self._batched()))

    def _at(self, position: float, what: Message | dict[str, Any]) -> None:
        self.due.append((position, what))

    def _later(self, n: int) -> float:
        """Return a position soon after n, or much later."""
        return n + self.rng.choice((self.rng.uniform(0, 200), self.rng.uniform(0, self.count)))

    def _notify(self, n: int) -> None:
        made = notification(self.rng, self.start + n * STEP)
        self._at(n + 0.5, message(self.rng, *made))
        if made[0] == "cinder" and self.rng.random() < 0.03:
            exchange, body = made
            other = body["payload"] | {"size": body["payload"]["size"] + self.rng.choice((-1, 1))}
            self._at(self._later(n), message(self.rng, exchange, body | {"payload": other}))

    def _sample(self, n: int) -> None:
        sample = self._plain(n)
        (kind,) = self.rng.choices([*self.otherwise], [*self.otherwise.values()])
        self._at(n, sample)
        if kind:
            oddity: Callable[[int, dict[str, Any]], None] = getattr(self, f"_{kind}")
            oddity(n, sample)

    def _plain(self, n: int) -> dict[str, Any]:
        number = self.rng.randrange(RESOURCES)
        meter, kind, unit = self.rng.choice(SERIES)
        return {
            "source": "openstack",
            "counter_name": meter,
            "counter_type": kind,
            "counter_unit": unit,
            "counter_volume": self.rng.choice((n * 1000, n + 0.25, self.rng.randrange(2, 10**6))),
            "user_id": f"user-{number % 13}",
            "project_id": f"project-{number % 7}",
            "resource_id": f"instance-{number}",
            "timestamp": stamp(self.start + n * STEP),
            "resource_metadata": {
                "display_name": f"vm {number}",
                "flavor": {"name": f"m{number % 5}", "vcpus": number % 5 + 1},
                "host": f"compute-{number % 20}",
            },
            "message_id": new_id(self.rng),
            "monotonic_time": None,
            "message_signature": "",
        }

    def _varied(self, n: int, sample: dict[str, Any], **changes: Any) -> None:
        self._at(self._later(n), sample | changes)

    def _reworded(self, n: int, sample: dict[str, Any]) -> None:
        """The same by value in other words, inside another message."""
        volume = sample["counter_volume"]
        time = sample["timestamp"]
        items = list(sample.items())
        self.rng.shuffle(items)
        self._varied(
            n,
            dict(items),
            counter_volume=self.rng.choice((volume, float(volume), str(volume))),
            timestamp=self.rng.choice((time, time + "Z", time + "+00:00", time.replace("T", " "))),
            monotonic_time=self.rng.random(),
        )

    def _bigger(self, n: int, sample: dict[str, Any]) -> None:
        self._varied(n, sample, counter_volume=sample["counter_volume"] + 1)

    def _smaller(self, n: int, sample: dict[str, Any]) -> None:
        self._varied(n, sample, counter_volume=sample["counter_volume"] - 0.5)

    def _moved(self, n: int, sample: dict[str, Any]) -> None:
        """A conflict that is about another resource too."""
        self._varied(n, sample, counter_volume=self._other(sample), resource_id=f"moved-{n}")

    def _delayed(self, n: int, sample: dict[str, Any]) -> None:
        """A conflict that has another timestamp too."""
        moved = stamp(self.start + n * STEP + 7 * self.rng.choice((1, -1)))
        self._varied(n, sample, counter_volume=self._other(sample), timestamp=moved)

    def _thrice(self, n: int, sample: dict[str, Any]) -> None:
        for _ in range(2):
            self._varied(
                n, sample, counter_volume=sample["counter_volume"] + self.rng.uniform(-1, 1)
            )

    def _twin(self, n: int, sample: dict[str, Any]) -> None:
        """Same series and timestamp, other id."""
        self._varied(n, sample, counter_volume=self._other(sample), message_id=new_id(self.rng))

    def _twin_elsewhere(self, n: int, sample: dict[str, Any]) -> None:
        """A twin that says another project, user and metadata."""
        self._varied(
            n,
            sample,
            counter_volume=self._other(sample),
            message_id=new_id(self.rng),
            project_id="project-of-a-twin",
            user_id="user-of-a-twin",
            resource_metadata={"display_name": "a twin"},
        )

    def _same_twin(self, n: int, sample: dict[str, Any]) -> None:
        self._varied(n, sample, message_id=new_id(self.rng))

    def _twin_in_conflict(self, n: int, sample: dict[str, Any]) -> None:
        """One id with 5 and 3, another with 4, in one place: a gauge is 4 there, never 5."""
        volume = sample["counter_volume"]
        self._varied(n, sample, counter_volume=volume - 2)
        self._varied(n, sample, counter_volume=volume - 1, message_id=new_id(self.rng))

    def _nameless(self, n: int, sample: dict[str, Any]) -> None:
        """Without an id equal content is one sample."""
        bare = {k: v for k, v in sample.items() if k != "message_id"} | {
            "resource_id": f"nameless-{n}"
        }
        self._at(n, bare)
        self._varied(n, bare)

    def _tied(self, n: int, sample: dict[str, Any]) -> None:
        """Two ids with the same two contents of one volume, in either order: one content wins both."""
        sides = [
            sample
            | {"counter_name": "network.incoming.bytes.delta", "counter_type": "delta"}
            | {"counter_unit": "B", "resource_id": f"tied-{n}"}
            | {"resource_metadata": {"display_name": name}}
            for name in ("one", "other")
        ]
        self.rng.shuffle(sides)
        for order in (sides, sides[::-1]):
            name = new_id(self.rng)
            first, second = sorted((n + self.rng.uniform(0, 50), self._later(n) + 50))
            self._at(first, order[0] | {"message_id": name})
            self._at(second, order[1] | {"message_id": name})

    def _refused(self, n: int, sample: dict[str, Any]) -> None:
        """One bad sample among good ones."""
        fault = self.rng.choice(
            (
                {"counter_volume": "many"}, {"counter_volume": "NaN"}, {"counter_type": "guess"},
                {"timestamp": "yesterday"}, {"resource_id": ""},
                {"timestamp": stamp(self.start + 3 * 86_400_000)},
            )
        )  # fmt: skip
        own = {"message_id": new_id(self.rng), "user_id": f"refused-{n}"}
        self._varied(n, sample | own, **fault)

    def _other(self, sample: dict[str, Any]) -> float:
        return float(sample["counter_volume"] + self.rng.choice((-1.5, 1.5)))

    def _batched(self) -> Iterator[Message]:
        batch: list[dict[str, Any]] = []
        size = self.rng.randint(1, 99)
        for _, what in self.due:
            if isinstance(what, Message):
                yield what
                continue
            batch.append(what)
            if len(batch) >= size:
                yield message(self.rng, *polling(self.rng, batch))
                batch, size = [], self.rng.randint(1, 99)
        if batch:
            yield message(self.rng, *polling(self.rng, batch))

    def _repeated(self, messages: list[Message]) -> list[Message]:
        placed = [(float(i), each) for i, each in enumerate(messages)]
        for i, each in enumerate(messages):
            if self.rng.random() < 0.05:
                soon, late = self.rng.uniform(0, 20), self.rng.uniform(0, len(messages))
                placed.append((i + self.rng.choice((soon, late)), each))
        return [each for _, each in sorted(placed, key=lambda pair: pair[0])]
