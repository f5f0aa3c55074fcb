"""The feeds that are installed, and those a configuration names."""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pydantic

from jobs.faults import ConfigError, faults_of, suggestion
from metering.config import Config
from sources.feed import GROUP, Feed, FeedSettings
from sources.spool import SpoolSettings

RESERVED = "spool"  # the feed that is always there


def installed() -> dict[str, EntryPoint]:
    """Return the entry point of every feed type, by type."""
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


def feed_class(kind: str) -> type[Feed]:
    """Return the class of a feed type. Raises ConfigError."""
    known = installed()
    if kind not in known:
        raise ConfigError([f"unknown feed type {kind!r}; {suggestion(kind, list(known))}"])
    try:
        found = known[kind].load()
    except ImportError as error:
        raise ConfigError([f"feed type {kind!r} cannot be loaded: {error}"]) from error
    return _checked_class(kind, found)


def settings_of(feeds: Sequence[Mapping[str, Any]]) -> list[FeedSettings]:
    """Return each feed's settings, checked by its own class. Raises ConfigError naming every fault."""
    faults: list[str] = []
    found: list[FeedSettings] = []
    for number, entry in enumerate(feeds):
        try:
            found.append(_settings(entry, f"feeds[{number}]"))
        except ConfigError as error:
            faults += error.faults
    faults += _repeated_names(feeds)
    if faults:
        raise ConfigError(faults)
    return found


def build(config: Config) -> list[Feed]:
    """Return the configured feeds, not opened yet. Raises ConfigError."""
    return made(settings_of(config.feeds))


def made(feeds: Sequence[FeedSettings]) -> list[Feed]:
    """Return the feeds of settings, not opened yet."""
    return [feed_class(settings.type)(settings) for settings in feeds]


def lag(config: Config) -> int:
    """Return how far (ms) the watermark is behind the clock while all feeds are read."""
    return round(max(one.disorder for one in _all_settings(config)) * 1000)


def idle_after(config: Config) -> int:
    """Return after how long (ms) without messages every watermark follows the clock."""
    return round(max(one.idle_after for one in _all_settings(config)) * 1000)


def _all_settings(config: Config) -> list[FeedSettings]:
    return [SpoolSettings(), *settings_of(config.feeds)]


def _settings(entry: Mapping[str, Any], at: str) -> FeedSettings:
    kind = entry.get("type")
    if not isinstance(kind, str):
        raise ConfigError([f"{at}.type: is required; known are {', '.join(installed())}"])
    try:
        settings = feed_class(kind).Settings
        return settings.model_validate(dict(entry))
    except pydantic.ValidationError as error:
        raise ConfigError(faults_of(error, settings, f"{at}.")) from error
    except ConfigError as error:
        raise ConfigError([f"{at}.type: {fault}" for fault in error.faults]) from error


def _repeated_names(feeds: Sequence[Mapping[str, Any]]) -> list[str]:
    faults = []
    taken = {RESERVED: "the name of the feed of REST pushes"}
    for number, entry in enumerate(feeds):
        name = str(entry.get("name") or entry.get("type"))
        if name in taken:
            faults.append(f"feeds[{number}].name: {name!r} is {taken[name]}; names must be unique")
        taken.setdefault(name, f"the name of feeds[{number}] already")
    return faults


def _checked_class(kind: str, found: object) -> type[Feed]:
    if isinstance(found, type) and issubclass(found, Feed):
        return found
    raise ConfigError([f"feed type {kind!r} names {found!r}, which is no Feed"])
