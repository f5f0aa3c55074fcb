"""How much a benchmark does: the sizes that figures are given for, and tiny ones to see that it runs."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of every benchmark."""

    instances: int = 1000
    meters: int = 20
    rounds: int = 75  # polls of every series in the queue: 1,500,000 samples
    notifications: int = 120_000
    hours: int = 720  # of the stored month
    requests: int = 200  # of each kind, after `warm_up`
    warm_up: int = 20
    rate: int = 20_000  # samples/s of the steady load
    seconds: int = 240  # of steady load
    breaches: int = 500  # of alarms
    servers: int = 10_000  # of a stubbed cloud
    submissions: int = 20  # to a Flink, in a row
    series: tuple[int, ...] = (10_000, 100_000, 1_000_000)  # live ones, in steps


TINY = Scale(
    instances=50,
    meters=4,
    rounds=3,
    notifications=200,
    hours=30,
    requests=3,
    warm_up=1,
    rate=1000,
    seconds=3,
    breaches=5,
    servers=40,
    submissions=2,
    series=(400, 800),
)
