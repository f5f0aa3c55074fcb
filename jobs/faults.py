"""What is wrong with a configuration, said so that it can be mended: a path, a reason, a suggestion."""

import difflib
import types
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_KINDS = {
    "model_type": "must be a mapping of fields",
    "dict_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
    "list_type": "must be a list",
    "string_type": "must be text; quote it",
    "missing": "is required",
}


class ConfigError(Exception):
    """The configuration cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def faults_of(
    error: pydantic.ValidationError, model: type[pydantic.BaseModel], at: str = ""
) -> list[str]:
    """Return each fault of a model's validation as `path: reason`, below the path `at`."""
    return [
        f"{(at + _dotted(found['loc'])).rstrip('.')}: {_reason(found, model)}"
        for found in error.errors(include_url=False)
    ]


def field_paths(model: type[pydantic.BaseModel], at: str = "") -> Iterator[str]:
    """Yield the dotted path of every field that is not a section itself."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section:
            yield from field_paths(section, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def section_of(field: FieldInfo) -> type[pydantic.BaseModel] | None:
    """Return the model that a field nests, or None where it is a plain value."""
    kind = field.annotation
    members = typing.get_args(kind) if _is_union(kind) else (kind,)
    models = [
        one for one in members if isinstance(one, type) and issubclass(one, pydantic.BaseModel)
    ]
    return models[0] if models else None


def suggestion(name: str, choices: list[str]) -> str:
    """Return a phrase that names the closest choice, or all of them where none is close."""
    close = difflib.get_close_matches(name, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(choices))}"


def _reason(found: ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    if found["type"] == "extra_forbidden":
        return f"unknown field; {_place_of(found['loc'], model)}"
    if found["type"] in _KINDS:
        return _KINDS[found["type"]]
    text = found["msg"].removeprefix("Value error, ")
    return text.replace("Input should be", "must be").replace("String should", "must")


def _place_of(loc: tuple[int | str, ...], model: type[pydantic.BaseModel]) -> str:
    """Suggest for an unknown field: a neighbour spelt alike, or the same name in another section."""
    *sections, name = map(str, loc)
    within: type[pydantic.BaseModel] | None = model
    for part in sections:
        field = within.model_fields.get(part) if within else None
        within = section_of(field) if field else None
    siblings = list(within.model_fields) if within else []
    if not difflib.get_close_matches(name, siblings, n=1):
        elsewhere = [path for path in field_paths(model) if path.endswith(f".{name}")]
        if elsewhere:
            return f"did you mean {' or '.join(elsewhere)}?"
    return suggestion(name, siblings)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc)).replace(".[", "[")
