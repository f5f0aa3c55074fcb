"""NotifyActions: transitions are written with their deliveries, then handed to the pool.

Guarantee: at least once. A bundle's transitions go through the job's writer, before the bundle is
    acknowledged; a crash between their writing and their delivery leaves them pending in the store.
    Natural keys are store.alarm_states' and store.deliveries': a replay changes nothing.
    Each bundle counts what was counted beside the stream, by the pool and others, since the last.
Errors: the writer's; what the pool failed with fails the next bundle.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam

from metering.alarms.transitions import Delivery, Transition
from sinks.clickhouse import Outlet
from store.alarm_states import write_transitions
from transforms.counters import hand_over

Offer = Callable[[Sequence[Delivery]], None]


class _NotifyFn(beam.DoFn):
    def __init__(self, outlet: Callable[[], Outlet], offer: Offer) -> None:
        self._make_outlet = outlet
        self._offer = offer

    def setup(self) -> None:
        self._outlet = self._make_outlet()

    def start_bundle(self) -> None:
        self._transitions: list[Transition] = []

    def process(self, transitions: list[Transition]) -> Iterator[None]:
        self._transitions += transitions
        return iter(())

    def finish_bundle(self) -> None:
        hand_over()
        if self._transitions:
            notify(self._outlet, self._offer, self._transitions)


def notify(outlet: Outlet, offer: Offer, transitions: Sequence[Transition]) -> None:
    """Write transitions behind what was given to the writer before, and have them delivered then."""
    outlet.writer.write(lambda: offer(write_transitions(outlet.store, transitions)))


@dataclasses.dataclass
class NotifyActions(beam.PTransform):
    """PCollection[list[Transition]] -> nothing."""

    outlet: Callable[[], Outlet]
    offer: Offer

    def expand(self, transitions: beam.PCollection) -> beam.PCollection:
        """Write and offer at the end of each bundle."""
        return transitions | "Notify" >> beam.ParDo(_NotifyFn(self.outlet, self.offer))
