"""Files of dynamic pollsters, checked whole: each fault is told with its file and line."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from metering.definitions.reading import DefinitionError, Entry, Faults, read_yaml
from metering.pollsters.dynamic import (
    HANDLERS,
    MULTI_NAME,
    MULTI_VALUE,
    Attribute,
    Call,
    DynamicPollster,
    Extra,
    Metadata,
    Owner,
    Values,
)
from metering.pollsters.expression import ExpressionError, compile_expression
from metering.schema import SAMPLE_TYPES

_REQUIRED: Final = ("name", "sample_type", "unit", "endpoint_type", "url_path", "value_attribute")
_OPTIONAL: Final[dict[str, tuple[type, ...]]] = {
    "metadata_fields": (list,),
    "skip_sample_values": (list,),
    "value_mapping": (dict,),
    "default_value": (int, float, str),
    "metadata_mapping": (dict,),
    "preserve_mapped_metadata": (bool,),
    "response_entries_key": (str,),
    "next_sample_url_attribute": (str,),
    "user_id_attribute": (str,),
    "resource_id_attribute": (str,),
    "project_id_attribute": (str,),
    "headers": (list, dict),
    "timeout": (int, float),
    "response_handlers": (list,),
    "extra_metadata_fields": (list, dict),
    "extra_metadata_fields_skip": (list,),
    "extra_metadata_fields_cache_seconds": (int, float),
}
# What Ceilometer has besides, and why it is refused.
_REFUSED: Final = {
    "host_command": "a definition runs no command of the host",
    "module": "a definition imports no code; only OpenStack's APIs are polled",
    "authentication_object": "a definition imports no code; only OpenStack's APIs are polled",
    "authentication_parameters": "only OpenStack's APIs are polled, with the feed's own login",
    "barbican_secret_id": "only OpenStack's APIs are polled, with the feed's own login",
}
FIELDS: Final = (*_REQUIRED, *_OPTIONAL)
_CAPTURED: Final = frozenset({"sample", "extra_metadata_captured", "extra_metadata_by_name"})


def load_pollsters(paths: list[Path]) -> tuple[DynamicPollster, ...]:
    """Return the pollsters of files, and of the *.yaml of folders. Raises DefinitionError."""
    found: list[DynamicPollster] = []
    wrong: list[str] = []
    for path in paths:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            try:
                found += _load(file)
            except DefinitionError as error:
                wrong += error.faults
    if wrong:
        raise DefinitionError(wrong)
    return tuple(found)


def _load(path: Path) -> Iterator[DynamicPollster]:
    faults = Faults(path)
    content = read_yaml(path)
    if not isinstance(content, list) or not content:
        faults.add(1, "must be a list of pollsters")
        content = []
    made = [_made(entry, faults, _pollster) for entry in content]
    faults.check()
    return (each for each in made if each is not None)


def _made(entry: Any, faults: Faults, make: Callable[[Entry], Any]) -> Any:
    """Return what an entry describes; None, and its faults noted, where it is not good."""
    if not isinstance(entry, Entry):
        faults.add(1, "each pollster must be a mapping of fields")
        return None
    wrong = [*_faults_of(entry, make is _pollster)]
    for key, reason in wrong:
        faults.add(entry.line_of(key), f"{key}: {reason}")
    if wrong:
        return None
    try:
        return make(entry)
    except ExpressionError as error:
        faults.add(entry.line, str(error))
    except DefinitionError as error:
        for fault in error.faults:
            faults.add(entry.line, fault)
    return None


def _faults_of(entry: Entry, whole: bool) -> Iterator[tuple[str, str]]:
    """Yield the faults of an entry's fields; one that is not `whole` is an extra call's."""
    known = {*FIELDS, *(() if whole else ("value",))}
    for key, value in entry.items():
        if key in _REFUSED:
            yield key, _REFUSED[key]
        elif key not in known:
            yield key, "unknown field of a pollster"
        elif key in _OPTIONAL and value is not None and not isinstance(value, _OPTIONAL[key]):
            yield key, f"must not be {type(value).__name__}"
    for key in _REQUIRED if whole else ("name", "endpoint_type", "url_path"):
        if key != "sample_type" and not isinstance(entry.get(key), str):
            yield key, "is required, as text"
    if whole and entry.get("sample_type") not in SAMPLE_TYPES:
        yield "sample_type", f"{entry.get('sample_type')!r} is none of {', '.join(SAMPLE_TYPES)}"
    for handler in entry.get("response_handlers") or ():
        if handler not in HANDLERS:
            yield "response_handlers", f"{handler!r} is none of {', '.join(sorted(HANDLERS))}"


def _pollster(entry: Entry) -> DynamicPollster:
    multi = MULTI_NAME.fullmatch(entry["name"])
    value = entry["value_attribute"]
    named = MULTI_VALUE.fullmatch(value) if multi else None
    if multi and not named:
        raise ExpressionError(f"value_attribute: {value!r} is not [LIST].FIELD, as the name asks")
    extras = entry.get("extra_metadata_fields") or []
    return DynamicPollster(
        name=entry["name"],
        type=entry["sample_type"],
        unit=entry["unit"],
        call=_call(entry),
        values=_values(entry, named[2] if named else value),
        owner=Owner(
            Attribute(entry.get("resource_id_attribute") or "id"),
            Attribute(entry.get("project_id_attribute") or "project_id"),
            Attribute(entry.get("user_id_attribute") or "user_id"),
        ),
        metadata=_metadata(entry),
        extras=tuple(_extras(extras if isinstance(extras, list) else [extras], entry)),
        list_key=named[1] if named else None,
        part=multi[2] if multi else "",
    )


def _call(entry: Entry) -> Call:
    headers = entry.get("headers") or {}
    pairs = headers if isinstance(headers, list) else [headers]
    following = entry.get("next_sample_url_attribute")
    return Call(
        endpoint_type=entry["endpoint_type"],
        url_path=entry["url_path"],
        headers=tuple((str(k), str(v)) for each in pairs for k, v in each.items()),
        timeout=float(entry.get("timeout") or 30),
        handlers=tuple(entry.get("response_handlers") or ("json",)),
        entries=entry.get("response_entries_key"),
        following=Attribute(following) if following else None,
    )


def _values(entry: Entry, attribute: str) -> Values:
    return Values(
        Attribute(attribute),
        tuple(entry.get("skip_sample_values") or ()),
        entry.get("value_mapping") or {},
        entry.get("default_value", -1),
    )


def _metadata(entry: Entry) -> Metadata:
    return Metadata(
        tuple((name, Attribute(name)) for name in entry.get("metadata_fields") or ()),
        entry.get("metadata_mapping") or {},
        entry.get("preserve_mapped_metadata", True),
    )


def _extras(entries: list[Any], parent: Entry) -> Iterator[Extra]:
    for entry in entries:
        wrong = [f"extra_metadata_fields: {k}: {why}" for k, why in _faults_of(entry, False)]
        if wrong:
            raise DefinitionError(wrong)
        attribute = entry.get("value_attribute") or entry.get("value") or parent["value_attribute"]
        cache = "extra_metadata_fields_cache_seconds"
        skip = "extra_metadata_fields_skip"
        yield Extra(
            name=entry["name"],
            call=_call(entry),
            url=_url(entry["url_path"]),
            values=_values(entry, attribute),
            metadata=_metadata(entry),
            skips=tuple(entry.get(skip) or parent.get(skip) or ()),
            cache=float(entry.get(cache, parent.get(cache, 3600))),
        )


def _url(path: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what makes the path of an extra call: an expression of `sample`, or the text itself."""
    try:
        made = compile_expression(path, _CAPTURED)
    except ExpressionError:
        return lambda _: path
    return lambda values: str(made(values))
