"""What the process can do about alarms besides keeping them; what is None answers 503."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from metering.alarms.definition import Alarm
from metering.alarms.transitions import Delivery, Transition
from metering.alarms.trusts import Trusts

DryRun = Callable[[Alarm, int, int], list[Transition]]  # from and to in ms
Deliver = Callable[[Sequence[Delivery]], None]
Explain = Callable[[Alarm], dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Alarming:
    """Trusts of actions, what evaluates rules, and who delivers: without it the store is enough."""

    trusts: Trusts | None = None
    dry_run: DryRun | None = None
    explain: Explain | None = None
    deliver: Deliver | None = None
