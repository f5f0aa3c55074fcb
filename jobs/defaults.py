"""The whole configuration as YAML: every field, its default, and what it means in a comment."""

import json
from collections.abc import Iterator
from typing import Any

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jobs.faults import ConfigError, section_of
from jobs.feeds import feed_class, installed
from metering.config import Config

_HEAD = """\
# Every setting of Streamgauge with its default; `streamgauge config defaults` prints this file.
# Leave out what should stay as it is. Relative paths start at the folder Streamgauge is started in.
# An environment variable wins over the file: STREAMGAUGE_API__LISTEN is api.listen.
# Check a file with `streamgauge config check --config FILE`.
"""


def defaults_yaml() -> str:
    """Return the full default configuration, with the settings of each feed type commented out."""
    lines = _HEAD.splitlines()
    for name, field in Config.model_fields.items():
        lines += ["", *_section(name, field, "")]
        if name == "feeds":
            lines += [line for kind in installed() for line in _example(kind)]
    return "\n".join(lines) + "\n"


def _section(name: str, field: FieldInfo, indent: str) -> Iterator[str]:
    yield f"{indent}# {field.description or name}"
    section = section_of(field)
    if section is None:
        default = "..." if field.is_required() else written(default_of(field))
        yield f"{indent}{name}: {default}"
        return
    yield f"{indent}{name}:"
    for inner, inner_field in section.model_fields.items():
        yield from _section(inner, inner_field, indent + "  ")


def _example(kind: str) -> Iterator[str]:
    """Yield one feed of this type as a commented entry of the list."""
    yield "#"
    try:
        settings = feed_class(kind).Settings
    except ConfigError as error:
        yield f"#  - type: {kind}  # {error}"
        return
    yield f"#  - type: {kind}"
    for name, field in settings.model_fields.items():
        if name != "type":
            yield from (f"#  {line}" for line in _section(name, field, "  "))


def default_of(field: FieldInfo) -> Any:
    """Return a field's default as plain values, None for a field that has none."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return None
    if isinstance(value, pydantic.SecretStr):
        return None
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(type(value))
    return adapter.dump_python(value, mode="json")


def written(value: Any) -> str:
    """Return a value on one line of YAML."""
    if isinstance(value, str) and value and not set(value) & set("\"'#:{}[],&*!|>%@`") - {":"}:
        plain = (
            not value[0].isdigit() and ": " not in value and value not in ("null", "true", "false")
        )
        return value if plain else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
