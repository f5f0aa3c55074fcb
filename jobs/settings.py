"""Reads the configuration: a YAML file, and environment variables over it.

STREAMGAUGE_API__LISTEN overrides `api.listen`: upper case, `__` between the parts. Numbers and text
are written as they are, lists and mappings as YAML or JSON, `null` for nothing.
Errors: ConfigError carries every fault at once, each with its path.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import yaml
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from jobs.faults import ConfigError, faults_of, suggestion
from jobs.feeds import settings_of
from metering.config import Config, Decode, Derive
from metering.definitions.events import EventDefinitions
from metering.definitions.meters import MeterDefinitions
from metering.definitions.reading import DefinitionError
from metering.derived.pipeline_file import read_pipeline

__all__ = ["Config", "ConfigError", "load"]

PREFIX = "STREAMGAUGE_"
_OF_THE_CLIENT = {"STREAMGAUGE_URL", "STREAMGAUGE_CONFIG"}  # read by the command line itself


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a file (or the defaults) and the environment. Raises ConfigError."""
    given = _merged(_from_file(path) if path else {}, _from_environment(environ))
    faults = _unknown_variables(environ)
    try:
        config = Config.model_validate(given)
    except pydantic.ValidationError as error:
        faults += [_with_variable(fault, environ) for fault in faults_of(error, Config)]
        faults += _feed_faults(given.get("feeds"))
        raise ConfigError(faults) from error
    faults += _feed_faults(config.feeds)
    faults += _definition_faults(config.decode)
    faults += _pipeline_faults(config.derive)
    if faults:
        raise ConfigError(faults)
    return config


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: {_yaml_fault(error)}"]) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError([f"{path}: must be a mapping of sections"])
    # A section whose every line is commented out reads as null: it has its defaults.
    return {str(name): value for name, value in found.items() if value is not None}


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key stands once in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _yaml_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return f"is no YAML: {error}"


class _Settings(Config, BaseSettings):  # type: ignore[misc]
    """The same fields, as pydantic-settings wants them."""


class _Environment(EnvSettingsSource):
    """Variables from a mapping that is passed in, not from the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(
            _Settings, env_prefix=PREFIX, env_nested_delimiter="__", env_parse_none_str="null"
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, False, self.env_ignore_empty, self.env_parse_none_str)

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """Return a list or mapping; what is no YAML stays text, and is refused with its path."""
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return _Environment(environ)()


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a fault for each variable that is meant for the configuration and names no section."""
    faults = []
    for name in sorted(environ):
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper() or name.upper() in _OF_THE_CLIENT:
            continue
        section = rest.split("__")[0].lower()
        if section not in Config.model_fields and (hint := _meant(rest.lower())):
            faults.append(f"{name}: unknown section {section!r}; {hint}")
    return faults


def _meant(rest: str) -> str | None:
    """Return what a variable may have been meant for; None where it is not one of ours."""
    sections = list(Config.model_fields)
    section, _, field = rest.partition("_")
    if section in sections and not field.startswith("_"):
        return f"did you mean {PREFIX}{section.upper()}__{field.upper()}?"
    first = rest.split("__")[0]
    if "__" in rest or difflib.get_close_matches(first, sections, n=1):
        return suggestion(first, sections)
    return None


def _feed_faults(feeds: Any) -> list[str]:
    if not isinstance(feeds, list) or not all(isinstance(feed, dict) for feed in feeds):
        return []  # said already
    try:
        settings_of(feeds)
    except ConfigError as error:
        return error.faults
    return []


def _definition_faults(decode: Decode) -> list[str]:
    """Return the faults of an operator's own definition files, each with its file and line."""
    faults: list[str] = []
    try:
        if decode.meters:
            MeterDefinitions.load(decode.meters, decode.compute_notifications)
    except DefinitionError as error:
        faults += [f"decode.meters: {fault}" for fault in error.faults]
    try:
        if decode.events:
            EventDefinitions.load(decode.events)
    except DefinitionError as error:
        faults += [f"decode.events: {fault}" for fault in error.faults]
    return faults


def _pipeline_faults(derive: Derive) -> list[str]:
    """Return the faults of an operator's own file of derived meters, each with its file and line."""
    try:
        if derive.pipeline:
            read_pipeline(derive.pipeline, 0)
    except DefinitionError as error:
        return [f"derive.pipeline: {fault}" for fault in error.faults]
    return []


def _with_variable(fault: str, environ: Mapping[str, str]) -> str:
    """Say which variable a fault comes from, where it does not come from the file."""
    name = PREFIX + fault.split(":")[0].replace(".", "__").upper()
    return f"{fault} (from {name})" if name in map(str.upper, environ) else fault


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name: below[name] for name in below if name not in above}
    for name, value in above.items():
        old = below.get(name)
        nested = isinstance(value, dict) and isinstance(old, dict)
        both[name] = _merged(old, value) if nested else value  # type: ignore[arg-type]
    return both
