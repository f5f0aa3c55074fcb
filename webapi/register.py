"""What agents told of themselves in Gnocchi's words: resources, their types, archive policies.

State: in memory, bounded, until the process ends. A resource that is forgotten is told again: its
    measures are answered "Unknown resources", and the agent creates it and sends them again.
"""

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

MOST_RESOURCES: Final = 100_000
MOST_NAMES: Final = 1000  # archive policies, and types of resources

Matches = Callable[[Mapping[str, Any]], bool]


class FullError(Exception):
    """More names than are kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A resource as an agent described it."""

    id: str
    type: str
    attributes: dict[str, Any]  # project_id, user_id, and those of its type

    def to_json(self) -> dict[str, Any]:
        """Return it as Gnocchi's clients read it."""
        return {
            **self.attributes,
            "id": self.id,
            "original_resource_id": self.id,
            "type": self.type,
            "metrics": {},
        }


class Names:
    """Things by name, as they were described; no more than MOST_NAMES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}

    def add(self, name: str, thing: dict[str, Any]) -> bool:
        """Keep a thing; False where that name is known. Raises FullError."""
        with self._lock:
            if name in self._known:
                return False
            if len(self._known) >= MOST_NAMES:
                raise FullError(f"no more than {MOST_NAMES} are kept")
            self._known[name] = thing
            return True

    def change(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        """Put what `change` makes of a thing in its place, and return it; None where it is unknown."""
        with self._lock:
            if name not in self._known:
                return None
            self._known[name] = changed = change(self._known[name])
            return changed

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a thing."""
        return self._known.get(name)

    def all(self) -> list[dict[str, Any]]:
        """Return everything, by name."""
        with self._lock:
            return [thing for _, thing in sorted(self._known.items())]


class Register:
    """Resources, those used last at the end; and names."""

    def __init__(self, most: int = MOST_RESOURCES) -> None:
        self.policies, self.types = Names(), Names()
        self._most = most
        self._lock = threading.Lock()
        self._resources: OrderedDict[str, Resource] = OrderedDict()

    def create(self, resource: Resource) -> bool:
        """Keep a resource; False where that id is known."""
        with self._lock:
            if resource.id in self._resources:
                return False
            self._resources[resource.id] = resource
            while len(self._resources) > self._most:
                self._resources.popitem(last=False)
            return True

    def change(self, name: str, attributes: Mapping[str, Any]) -> Resource | None:
        """Change attributes of a resource and return it; None where it is unknown."""
        with self._lock:
            known = self._resources.get(name)
            if known is None:
                return None
            changed = dataclasses.replace(known, attributes={**known.attributes, **attributes})
            self._resources[name] = changed
            return changed

    def find(self, names: Iterable[str]) -> dict[str, Resource]:
        """Return those of these resources that are known."""
        with self._lock:
            found = {name: self._resources[name] for name in names if name in self._resources}
            for name in found:
                self._resources.move_to_end(name)
            return found

    def search(self, matches: Matches, most: int) -> list[Resource]:
        """Return resources whose answer matches, no more than `most`."""
        with self._lock:
            everything = list(self._resources.values())
        found = (each for each in everything if matches(each.to_json()))
        return [each for each, _ in zip(found, range(most), strict=False)]
