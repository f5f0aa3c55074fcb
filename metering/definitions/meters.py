"""Meter definitions, in the form of Ceilometer's meters.yaml: from notifications to samples."""

import math
from collections import Counter
from pathlib import Path
from typing import Any, Final

from metering.definitions.identity import id_prefix, id_suffix
from metering.definitions.jsonpath import PathError
from metering.definitions.meter_file import Form, Meter, read_meters
from metering.definitions.patterns import PlanCache
from metering.definitions.subject import Resolved, Subject, label
from metering.draft import Draft
from metering.notification import Notification
from metering.refusal import RefusedError
from metering.schema import SAMPLE_TYPES

SHIPPED: Final = Path(__file__).with_name("meters.yaml")
SOURCE: Final = "openstack"


Samples = tuple[list[Draft], list[RefusedError]]
_Group = tuple[Subject, list[Meter]]
_NONE: Final[list[_Group]] = []


class MeterDefinitions:
    """The meters that notifications make.

    Guarantee: the same notification gives the same samples with the same message ids.
    """

    def __init__(self, meters: list[Meter]) -> None:
        self.meters = meters
        self._plans: PlanCache[list[_Group]] = PlanCache(self._plan)

    @classmethod
    def load(
        cls, path: Path | None = None, compute_notifications: Form = "legacy"
    ) -> "MeterDefinitions":
        """Read definitions, the shipped ones where no path is given. Raises DefinitionError.

        Definitions marked with another `form` than `compute_notifications` are left out.
        """
        return cls(read_meters(path or SHIPPED, compute_notifications))

    def samples(self, n: Notification) -> Samples:
        """Return a notification's samples, and why others that it should make are refused."""
        plan = self._plans.known(n.event_type)
        if plan is None:
            plan = self._plans.add(n.event_type)
        drafts: list[Draft] = []
        refused: list[RefusedError] = []
        if plan:
            prefix = id_prefix(n.message_id)
            for subject, meters in plan:
                _add_group(n, subject, meters, prefix, drafts, refused)
        return drafts, refused

    def _plan(self, event_type: str) -> list[_Group]:
        groups: dict[str, _Group] = {}
        for meter in self.meters:
            if meter.matches(event_type):
                groups.setdefault(meter.subject_key, (meter.subject, []))[1].append(meter)
        return list(groups.values()) or _NONE


def _add_group(
    n: Notification,
    subject: Subject,
    meters: list[Meter],
    prefix: str,
    drafts: list[Draft],
    refused: list[RefusedError],
) -> None:
    """Add the samples of the definitions that are about one subject."""
    about: Resolved | None = None
    for meter in meters:
        try:
            if meter.computed:
                _add_computed(n, meter, prefix, drafts, refused)
                continue
            value = meter.volume.first(n.body)
            if value is None or value == "":
                continue  # the notification says nothing of this meter
            volume = _volume(value)
            if about is None:
                about = subject.resolve(n)
            project, user, resource, timestamp, metadata = about
            drafts.append(
                Draft(
                    meter.name, meter.type, meter.unit, volume, project, user, resource,
                    timestamp, metadata, SOURCE, prefix + meter.id_suffix,
                )
            )  # fmt: skip
        except RefusedError as error:
            refused.append(_of_meter(meter, error))
        except PathError as error:
            refused.append(RefusedError("definition_failed", f"meter {meter.name}: {error}"))


def _add_computed(
    n: Notification,
    meter: Meter,
    prefix: str,
    drafts: list[Draft],
    refused: list[RefusedError],
) -> None:
    """Add the samples of a look-up, or of a definition whose name or unit is in the notification.

    Raises RefusedError where a look-up's values don't go together, PathError.
    """
    columns = _columns(n, meter)
    metadata: str | None = None
    seen: Counter[str] = Counter()
    for i in range(len(columns["name"])):
        row = {name: values[i if len(values) > 1 else 0] for name, values in columns.items()}
        if row["volume"] is None or row["volume"] == "":
            continue
        if metadata is None:
            metadata = meter.subject.metadata(n)
        try:
            name = label("name", row["name"])
            message_id = prefix + id_suffix(meter.name, name, seen[name])
            drafts.append(_draft(n, meter, row, metadata, message_id))
            seen[name] += 1
        except RefusedError as error:
            refused.append(_of_meter(meter, error))


def _columns(n: Notification, meter: Meter) -> dict[str, list[Any]]:
    """Return the values of each field, of one sample or, in a look-up, of all of them."""
    columns: dict[str, list[Any]] = {"type": [meter.type], "unit": [meter.unit]}
    for name, field in meter.fields.items():
        values = field.all(n.body) if meter.lookup else [field.first(n.body)]
        if values or name in meter.lookup or name == "name":
            columns[name] = values
    columns.setdefault("volume", [None])
    columns.setdefault("name", [meter.name] * len(columns["volume"]))
    length = len(columns["name"])
    for name, values in columns.items():
        if length and len(values) != length and (len(values) != 1 or name in meter.lookup):
            detail = f"{name} has {len(values)} values where there are {length} samples"
            raise RefusedError("definition_failed", detail)
    return columns


def _draft(
    n: Notification, meter: Meter, row: dict[str, Any], metadata: str, message_id: str
) -> Draft:
    if row["type"] not in SAMPLE_TYPES:
        raise RefusedError("bad_type", f"{str(row['type'])[:60]!r}")
    about = meter.subject
    return Draft(
        label("name", row["name"]),
        row["type"],
        "" if row["unit"] is None or row["unit"] == "" else label("unit", row["unit"]),
        _volume(row["volume"]),
        about.project(n, row.get("project_id")),
        about.user(n, row.get("user_id")),
        label("resource_id", row.get("resource_id")),
        about.time(n, row.get("timestamp")),
        metadata,
        SOURCE,
        message_id,
    )


def _of_meter(meter: Meter, error: RefusedError) -> RefusedError:
    return RefusedError(error.reason, f"meter {meter.name}: {error.detail}")


def _volume(value: Any) -> float:
    """Return a volume as a finite number; text that is one is taken. Raises RefusedError."""
    kind = type(value)
    if kind is int or kind is float or (kind is str and "_" not in value):
        try:
            volume = float(value)
        except (ValueError, OverflowError):
            volume = math.nan
        if math.isfinite(volume):
            return volume
    raise RefusedError("bad_volume", f"{str(value)[:60]!r} is no finite number")
