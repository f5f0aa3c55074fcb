"""Dynamic pollsters: a REST call described in YAML, and how its answer becomes samples.

Source: Ceilometer's dynamic pollster definitions, single and multi metric, over OpenStack's APIs.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.parsers.expat import ExpatError

import orjson
import xmltodict

from metering.pollsters.answers import AnswerError, entries_of
from metering.pollsters.expression import compile_expression
from metering.pollsters.readings import Poll, sample_of

_VALUE: Final = frozenset({"value"})
MULTI_NAME: Final = re.compile(r"(.*)\.\{(\w+)\}")
MULTI_VALUE: Final = re.compile(r"\[(\w+)\]\.([\w.]+)")


class Attribute:
    """A value in an entry: dotted keys, `.` for all of it, then expressions of `value` after `|`."""

    def __init__(self, text: str) -> None:
        """Raises ExpressionError."""
        path, *operations = text.split("|")
        self._keys = [] if path.strip() == "." else path.strip().split(".")
        self._operations = [compile_expression(each, _VALUE) for each in operations]

    def of(self, entry: Any) -> Any:
        """Return the value. Raises KeyError where a key is missing, or what an expression raises."""
        value = entry
        for key in self._keys:
            if not isinstance(value, Mapping):
                raise KeyError(key)
            value = value[key]
        for operation in self._operations:
            value = operation({"value": value})
        return value

    def found(self, entry: Any) -> Any:
        """Return the value; None where a key is missing."""
        try:
            return self.of(entry)
        except KeyError:
            return None


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """The call of a pollster, and how its answer is read."""

    endpoint_type: str
    url_path: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 30.0  # s
    handlers: tuple[str, ...] = ("json",)
    entries: str | None = None
    following: Attribute | None = None

    def read(self, text: str) -> Any:
        """Return what an answer says, by the first handler that can read it. Raises AnswerError."""
        for handler in self.handlers:
            try:
                return _HANDLERS[handler](text)
            except ValueError:
                continue
        raise AnswerError(f"not {' nor '.join(self.handlers)}")

    def page(self, answer: Any) -> list[Any]:
        """Return the entries of a page. Raises AnswerError."""
        if isinstance(answer, list):
            return answer
        if not isinstance(answer, Mapping) or not answer:
            raise AnswerError("neither a list nor an object with one")
        path = self.entries or next(iter(answer))
        try:
            return entries_of(answer, path)
        except AnswerError:
            alone = Attribute(path).found(answer)  # XML has no list of one
            if not isinstance(alone, Mapping):
                raise
            return [alone]

    def next_url(self, answer: Any) -> str | None:
        """Return where the next page is."""
        found = self.following.found(answer) if self.following else None
        return found if isinstance(found, str) and found else None


def _parsed_xml(text: str) -> Any:
    try:
        return xmltodict.parse(text)
    except ExpatError as error:
        raise ValueError("no XML") from error


_HANDLERS: Final[dict[str, Callable[[str], Any]]] = {
    "json": orjson.loads,
    "xml": _parsed_xml,
    "text": lambda text: [{"out": text}],
}
HANDLERS: Final = frozenset(_HANDLERS)


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Where an entry says whose it is and what it is about."""

    resource: Attribute
    project: Attribute
    user: Attribute


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """What of an entry is kept: fields, and other names for some of them."""

    fields: tuple[tuple[str, Attribute], ...] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    both: bool = True  # whether a field with another name keeps its own too

    def of(self, entry: Any) -> dict[str, Any]:
        """Return the metadata of an entry; a field that is missing is null."""
        found = {name: attribute.found(entry) for name, attribute in self.fields}
        for name, other in self.names.items():
            if name in found:
                found[other] = found[name] if self.both else found.pop(name)
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Values:
    """What a value stands for."""

    attribute: Attribute
    skipped: tuple[Any, ...] = ()
    mapping: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    default: Any = -1

    def of(self, entry: Any) -> Any:
        """Return the volume; None where it is one to skip. Raises KeyError."""
        value = self.attribute.of(entry)
        if value in self.skipped:
            return None
        return self.mapping.get(value, self.default) if self.mapping else value


@dataclasses.dataclass(frozen=True, slots=True)
class Extra:
    """A further call for each entry, whose answer is metadata of its sample."""

    name: str
    call: Call
    url: Callable[[Mapping[str, Any]], str]  # of sample, and what was captured so far
    values: Values
    metadata: Metadata
    skips: tuple[Any, ...] = ()
    cache: float = 3600.0  # s

    def is_skipped(self, entry: Any) -> bool:
        """Return whether no call is made for an entry: it holds all that one of the skips says."""
        return any(skip and _holds(entry, skip) for skip in self.skips)


def _holds(entry: Any, skip: Any) -> bool:
    if not isinstance(skip, Mapping) or not isinstance(entry, Mapping):
        return bool(entry == skip)
    return all(key in entry and _holds(entry[key], part) for key, part in skip.items())


@dataclasses.dataclass(frozen=True, slots=True)
class DynamicPollster:
    """One definition. `list_key` and `part` are those of a multi metric: a list, its items' names."""

    name: str
    type: str
    unit: str
    call: Call
    values: Values
    owner: Owner
    metadata: Metadata
    extras: tuple[Extra, ...] = ()
    list_key: str | None = None
    part: str = ""

    def resource(self, entry: Any) -> str:
        """Return what an entry is about; "" where it does not say."""
        found = self.owner.resource.found(entry)
        return "" if found is None else str(found)

    def samples(self, entry: Any, extra: Mapping[str, Any], poll: Poll) -> Iterator[dict[str, Any]]:
        """Yield the samples of an entry. Raises KeyError, TypeError or ValueError at a bad one."""
        own = self.metadata.of(entry)
        metadata = {**extra, **own, **poll.place}
        owned = (
            self.resource(entry),
            self.owner.project.found(entry),
            self.owner.user.found(entry),
        )
        for name, volume in self._volumes(entry):
            measured = (name, self.type, self.unit, volume)
            yield sample_of(measured, owned, metadata, poll.timestamp)

    def _volumes(self, entry: Any) -> Iterator[tuple[str, Any]]:
        if self.list_key is None:
            volume = self.values.of(entry)
            if volume is not None:
                yield self.name, volume
            return
        stem = self.name.rpartition(".")[0]
        for item in entries_of(entry, self.list_key):
            volume = self.values.of(item)
            if volume is not None and item[self.part] not in self.values.skipped:
                yield f"{stem}.{item[self.part]}", volume
