"""Which alarms look at the states of which others, and in what order they follow."""

from collections.abc import Iterable

from metering.alarms.definition import Alarm


class Links:
    """Alarms that look at others."""

    def __init__(self) -> None:
        self._looks_at: dict[str, tuple[str, ...]] = {}
        self._looked_at: dict[str, set[str]] = {}
        self._ranks: dict[str, int] = {}

    def put(self, alarm: Alarm) -> None:
        """Take an alarm, new or changed."""
        self.remove(alarm.alarm_id)
        others = alarm.alarm_ids()
        if others:
            self._looks_at[alarm.alarm_id] = others
            for other in others:
                self._looked_at.setdefault(other, set()).add(alarm.alarm_id)
            self._ranks.clear()

    def remove(self, alarm_id: str) -> None:
        """Forget what an alarm looks at."""
        for other in self._looks_at.pop(alarm_id, ()):
            self._looked_at[other].discard(alarm_id)
            if not self._looked_at[other]:
                del self._looked_at[other]
            self._ranks.clear()

    def followers(self, alarm_id: str) -> Iterable[str]:
        """Return the alarms that look at one."""
        return sorted(self._looked_at.get(alarm_id, ()))

    def rank(self, alarm_id: str) -> int:
        """Return a number that is larger than that of every alarm it looks at."""
        if alarm_id not in self._looks_at:
            return 0
        if alarm_id not in self._ranks:
            self._ranks[alarm_id] = 1  # where alarms look at each other in a circle
            self._ranks[alarm_id] = 1 + max(map(self.rank, self._looks_at[alarm_id]))
        return self._ranks[alarm_id]
