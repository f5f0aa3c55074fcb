"""Samples as columns of numbers: each text is numbered once, and told back when rows are written.

State: the distinct texts of the live series.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.distinct import distinct
from metering.hashes import label_hashes, series_keys
from metering.schema import SAMPLE_TYPES
from metering.usage.rules import UsageRules

I64 = npt.NDArray[np.int64]
GAUGE: Final = SAMPLE_TYPES.index("gauge")
DELTA: Final = SAMPLE_TYPES.index("delta")
CUMULATIVE: Final = SAMPLE_TYPES.index("cumulative")

# A sample as numbers, sorted by series, time and volume. Units: at in ms.
NUMBERED: Final = np.dtype(
    [
        ("key", "u8"),
        ("at", "i8"),
        ("volume", "f8"),
        ("kind", "u4"),
        ("owner", "u4"),
        ("resource", "u4"),
        ("ended", "u1"),
    ]
)
_ABSENT: Final = (None, "")
_EVENT_TYPE: Final = "event_type"
_Label = TypeVar("_Label", bound=Hashable)


class Kind(NamedTuple):
    """What a series measures."""

    meter: str
    type: str
    unit: str


class Owner(NamedTuple):
    """Whose usage it is, and of which kind of resource."""

    project_id: str
    user_id: str
    segment: str


class Numbered(Generic[_Label]):
    """Labels numbered in the order they come."""

    def __init__(self) -> None:
        self._numbers: dict[_Label, int] = {}
        self.labels: list[_Label] = []

    def number(self, label: _Label) -> int:
        """Return the number of a label."""
        number = self._numbers.get(label)
        if number is None:
            number = self._numbers[label] = len(self.labels)
            self.labels.append(label)
        return number

    def told(self, numbers: npt.NDArray[np.uint32]) -> tuple[list[_Label], I64]:
        """Return the labels that numbers name, and the place of each number's among them."""
        used, places = np.unique(numbers, return_inverse=True)
        return [self.labels[number] for number in used.tolist()], places

    def keep(self, used: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Forget labels whose numbers aren't among these; return the new number of each old one."""
        kept = np.unique(used)
        moved = np.zeros(len(self.labels), np.uint32)
        moved[kept] = np.arange(len(kept))
        self.labels = [self.labels[number] for number in kept]
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        return moved


class Labels:
    """The kinds, owners and resources of the live series."""

    def __init__(self, rules: UsageRules) -> None:
        self._rules = rules
        # Most resources come again and again with the same metadata: some ten MB of it are kept.
        self._told_by_text = functools.lru_cache(maxsize=16_384)(_Told(rules).by)
        self.kinds: Numbered[Kind] = Numbered()
        self.owners: Numbered[Owner] = Numbered()
        self.resources: Numbered[str] = Numbered()
        self._types: list[int] = []  # by the number of the kind
        self._gaps: list[int] = []  # ms

    def types(self, kinds: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return the type of each kind: GAUGE, DELTA or CUMULATIVE."""
        self._describe()
        types: I64 = np.array(self._types, np.int64)[kinds]
        return types

    def gaps(self, kinds: npt.NDArray[np.uint32]) -> I64:
        """Return how long a value of each kind counts beyond its sample, in ms."""
        self._describe()
        gaps: I64 = np.array(self._gaps, np.int64)[kinds]
        return gaps

    def numbered(self, samples: pa.Table) -> npt.NDArray[Any]:
        """Return samples (SAMPLES) as numbers (NUMBERED)."""
        rows = np.empty(samples.num_rows, NUMBERED)
        if not samples.num_rows:
            return rows
        names = ("project_id", "user_id", "resource_id", "metadata")
        columns = {name: _Column(samples[name]) for name in names}
        rows["key"] = series_keys(
            label_hashes(samples["meter"]), label_hashes(samples["resource_id"])
        )
        rows["at"] = samples["timestamp"].cast(pa.int64()).to_numpy()
        rows["volume"] = samples["volume"].to_numpy() + 0.0  # -0.0 is 0.0
        rows["kind"] = label_numbers(self.kinds, Kind, samples)
        segments, ended = self._told_by(columns["metadata"], _Column(samples["meter"]))
        owners = [columns["project_id"], columns["user_id"], segments]
        rows["owner"] = _numbers(self.owners, Owner, owners)
        rows["resource"] = columns["resource_id"].numbers(self.resources)
        rows["ended"] = ended
        return rows[np.lexsort((rows["volume"], rows["at"], rows["key"]))]

    def resource_numbers(self, table: pa.Table) -> npt.NDArray[np.uint32]:
        """Return the number of each row's resource_id."""
        return _Column(table["resource_id"]).numbers(self.resources)

    def _told_by(
        self, metadata: "_Column", meters: "_Column"
    ) -> tuple["_Column", npt.NDArray[np.bool_]]:
        """Return each sample's segment, and whether it ends its resource."""
        told = [self._told_by_text(text) for text in metadata.texts]
        segments, event_types = (metadata.named([one[nth] for one in told]) for nth in (0, 1))
        ends = [
            [self._rules.ends_resource(meter, event_type) for event_type in event_types.texts]
            for meter in meters.texts
        ]
        return segments, np.array(ends, np.bool_)[meters.codes, event_types.codes]

    def _describe(self) -> None:
        for kind in self.kinds.labels[len(self._types) :]:
            self._types.append(SAMPLE_TYPES.index(kind.type))
            self._gaps.append(self._rules.gap_of(kind.meter))

    def keep(
        self,
        kinds: npt.NDArray[np.uint32],
        owners: npt.NDArray[np.uint32],
        resources: npt.NDArray[np.uint32],
    ) -> dict[str, npt.NDArray[np.uint32]]:
        """Forget what none of these names; return the new number of each old kind, owner, resource."""
        self._types.clear()
        self._gaps.clear()
        return {
            "kind": self.kinds.keep(kinds),
            "owner": self.owners.keep(owners),
            "resource": self.resources.keep(resources),
        }


class _Column:
    """A column of labels: its distinct texts, and the place of each row's among them."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks()
        # A part of a table has the dictionary of the whole.
        used, self.codes = distinct(encoded.indices.to_numpy(), len(encoded.dictionary))
        self.texts: list[str] = encoded.dictionary.take(pa.array(used)).to_pylist()

    def named(self, names: list[str]) -> "_Column":
        """Return a column of the names that stand for this one's texts."""
        column = type(self).__new__(type(self))
        column.texts = sorted(set(names))
        place = {name: number for number, name in enumerate(column.texts)}
        column.codes = np.array([place[name] for name in names], np.int64)[self.codes]
        return column

    def numbers(self, numbered: Numbered[str]) -> npt.NDArray[np.uint32]:
        """Return the number of each row's text."""
        numbers = np.array([numbered.number(text) for text in self.texts], np.uint32)
        return numbers[self.codes]


def label_numbers(
    numbered: Numbered[_Label], label: type[_Label], table: pa.Table
) -> npt.NDArray[np.uint32]:
    """Return the number of each row's label, whose fields are columns of the table."""
    return _numbers(numbered, label, [_Column(table[name]) for name in label._fields])  # type: ignore[attr-defined]


def _numbers(
    numbered: Numbered[_Label], label: Callable[..., _Label], columns: Sequence[_Column]
) -> npt.NDArray[np.uint32]:
    """Return the number of each row's combination of labels; each distinct one is looked up once."""
    codes, size = columns[0].codes, len(columns[0].texts)
    for column in columns[1:]:
        codes, size = codes * len(column.texts) + column.codes, size * len(column.texts)
    found, rows = distinct(codes, size)
    numbers = np.empty(len(found), np.uint32)
    for place, code in enumerate(found.tolist()):
        texts = []
        for column in reversed(columns):
            code, last = divmod(code, len(column.texts))
            texts.append(column.texts[last])
        numbers[place] = numbered.number(label(*reversed(texts)))
    return numbers[rows]


class _Told:
    """What metadata (canonical JSON, flat) tells of its sample; no other field is decoded."""

    def __init__(self, rules: UsageRules) -> None:
        segments = rules.segments.items()
        keys = sorted({key for _, keys in segments for key in keys} | {_EVENT_TYPE})
        fields = {key: f"field_{nth}" for nth, key in enumerate(keys)}
        wanted = msgspec.defstruct(
            "Wanted",
            [(field, Any, None) for field in fields.values()],
            rename={field: key for key, field in fields.items()},
        )
        self._decoder = msgspec.json.Decoder(wanted)
        self._segments = [(name, [fields[key] for key in keys]) for name, keys in segments]
        self._event_type = fields[_EVENT_TYPE]

    def by(self, metadata: str) -> tuple[str, str]:
        """Return the segment and the event type that are named."""
        if metadata == "{}":
            return "", ""
        found = self._decoder.decode(metadata)
        named = []
        for name, fields in self._segments:
            values = (getattr(found, field) for field in fields)
            value = next((value for value in values if value not in _ABSENT), None)
            if value is not None:
                named.append(f"{name}={value}")
        event_type = getattr(found, self._event_type)
        return ",".join(named), event_type if isinstance(event_type, str) else ""
