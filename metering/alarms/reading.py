"""One JSON object of a definition, read field by field, with every value checked.

Errors: DefinitionError for a field that is missing, unknown or of another kind.
Source: the web-service library behind Aodh's API takes "60" for 60, and null for what is not there.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from metering.alarms.faults import DefinitionError, bad_value

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all but tabs and ends of lines
_LONGEST = 10_000  # characters of a text
_MOST = 1000  # entries of a list


class Reading:
    """The fields of one object; `name` is what the object is called in messages."""

    def __init__(self, name: str, found: object) -> None:
        if not isinstance(found, Mapping):
            raise bad_value(name, found, "It must be an object.")
        self._name = name
        self._found = {key: value for key, value in found.items() if value is not None}

    def only(self, known: Sequence[str]) -> None:
        """Let only an object pass whose fields are all known. Raises DefinitionError."""
        unknown = sorted(str(key) for key in self._found if key not in known)
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            raise DefinitionError(f"Unknown attribute{plural}: {', '.join(unknown)}")

    def has(self, field: str) -> bool:
        """Return whether the field is there and not null."""
        return field in self._found

    def value(self, field: str) -> Any:
        """Return a field as it is; None where it is absent."""
        return self._found.get(field)

    def text(self, field: str, default: str | None = None) -> str:
        """Return a text; one that must be there where there is no default."""
        value = self._of(field, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise bad_value(field, value, f"Wrong type. Expected text, got {_kind(value)}")
        text = str(value)
        if len(text) > _LONGEST:
            raise bad_value(field, text[:50] + "...", f"It is longer than {_LONGEST} characters.")
        if _CONTROL.search(text):
            raise bad_value(field, ascii(text)[:100], "It holds control characters.")
        return text

    def name_text(self, field: str, longest: int = 255) -> str:
        """Return a text that is not empty and not longer than a name."""
        text = self.text(field)
        if not text or len(text) > longest:
            raise bad_value(field, text[:50], f"It takes 1 to {longest} characters.")
        return text

    def choice(self, field: str, known: Sequence[str], default: str | None = None) -> str:
        """Return one of the known words."""
        text = self.text(field, default)
        if text not in known:
            raise bad_value(field, text[:100], f"Value should be one of: {', '.join(known)}")
        return text

    def number(self, field: str) -> float:
        """Return a finite number, from text too; one that must be there."""
        value = self._of(field, None)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise bad_value(field, str(value)[:100], "unable to convert to float.")
        return number

    def integer(self, field: str, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number within bounds, from text too."""
        value = self._of(field, default)
        try:
            number = int(value) if isinstance(value, int) or _is_digits(value) else None
        except ValueError:
            number = None
        if number is None or isinstance(value, bool):
            raise bad_value(field, str(value)[:100], "unable to convert to int.")
        if number < least:
            raise bad_value(field, number, f"Value should be greater or equal to {least}")
        if number > most:
            raise bad_value(field, number, f"Value should be lower or equal to {most}")
        return number

    def boolean(self, field: str, default: bool) -> bool:
        """Return a truth value, from text too."""
        value = self._of(field, default)
        folded = str(value).strip().lower() if isinstance(value, str | bool | int) else ""
        if folded not in _TRUE | _FALSE:
            raise bad_value(field, str(value)[:100], "unable to convert to bool.")
        return folded in _TRUE

    def entries(self, field: str) -> list[Any]:
        """Return a list; an empty one where it is absent."""
        value = self._found.get(field, [])
        if not isinstance(value, list) or len(value) > _MOST:
            raise bad_value(field, str(value)[:100], f"It must be a list of at most {_MOST}.")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts; an empty one where it is absent."""
        values = self.entries(field)
        return tuple(Reading(field, {field: value}).text(field) for value in values)

    def _of(self, field: str, default: Any) -> Any:
        if field not in self._found:
            if default is None:
                raise bad_value(field, None, "Mandatory field missing.")
            return default
        return self._found[field]


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 20 and value.strip().lstrip("-").isdigit()


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", bool: "a truth value"}.get(type(value), "null")
