"""Reading a file of derived meters, in the form of Ceilometer's pipeline.yaml: every fault at once.

`interval`, `resources`, `discovery` (of polling) and `publishers` are checked for their form and mean
nothing here: every sample is stored, whatever is derived of it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from metering.definitions.patterns import texts
from metering.definitions.reading import Entry, Faults, read_yaml
from metering.derived.chain import Chain, ChainError
from metering.derived.filters import MeterFilter, filter_fault
from metering.derived.parameters import TRANSFORMERS, Parameters, Transformer

SHIPPED: Final = Path(__file__).with_name("pipeline.yaml")

_SOURCE: Final = ("name", "interval", "meters", "resources", "discovery", "sinks")
_SINK: Final = ("name", "transformers", "publishers")
_LISTS: Final = ("resources", "discovery", "publishers")


def read_pipeline(path: Path | None, max_gap: int) -> list[Chain]:
    """Return the chains of a file, the shipped one where there is none. Raises DefinitionError.

    max_gap (ms) is how long an operand of `arithmetic` counts after its sample.
    """
    path = path or SHIPPED
    content, faults = read_yaml(path), Faults(path)
    sinks = {entry["name"]: entry for entry in _entries(content, "sinks", _SINK, faults)}
    filters: dict[str, list[MeterFilter]] = {name: [] for name in sinks}
    for source in _entries(content, "sources", _SOURCE, faults):
        taken = _filter(source, faults)
        for name in _sinks_of(source, sinks, faults):
            if taken is not None:
                filters[name].append(taken)
    chains = [
        chain
        for number, (name, entry) in enumerate(sinks.items())
        if (chain := _chain(number, entry, filters[name], max_gap, faults)) is not None
    ]
    _check_arithmetic(chains, sinks, faults)
    faults.check()
    return chains


def _entries(content: Any, key: str, known: tuple[str, ...], faults: Faults) -> list[Entry]:
    """Return the named mappings of a list, each name once."""
    listed = content.get(key) if isinstance(content, Entry) else None
    if not isinstance(listed, list):
        at = content.line_of(key) if isinstance(content, Entry) else 1
        faults.add(at, f"must have a list `{key}`")
        return []
    found: dict[str, Entry] = {}
    for entry in listed:
        if not isinstance(entry, Entry):
            faults.add(content.line_of(key), f"{key}: each must be a mapping")
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            faults.add(entry.line_of("name"), "name: must be text")
        elif name in found:
            faults.add(entry.line_of("name"), f"name: {name} is there twice")
        else:
            found[name] = entry
        _check_fields(entry, known, faults)
    return list(found.values())


def _check_fields(entry: Entry, known: tuple[str, ...], faults: Faults) -> None:
    for name in entry:
        if name not in known:
            faults.add(entry.line_of(name), f"no field {name}; there are {', '.join(known)}")
    for name in _LISTS:
        if entry.get(name) is not None and not isinstance(entry[name], list):
            faults.add(entry.line_of(name), f"{name}: must be a list")
    interval = entry.get("interval")
    if interval is not None and (not str(interval).isdigit() or int(interval) == 0):
        faults.add(entry.line_of("interval"), "interval: must be whole seconds, 1 or more")


def _filter(source: Entry, faults: Faults) -> MeterFilter | None:
    patterns = texts(source.get("meters"))
    if patterns is None or isinstance(source["meters"], str):
        faults.add(source.line_of("meters"), "meters: must be a list of names or patterns")
        return None
    fault = filter_fault(patterns)
    if fault:
        faults.add(source.line_of("meters"), f"meters: {fault}")
        return None
    return MeterFilter(patterns)


def _sinks_of(source: Entry, sinks: dict[str, Entry], faults: Faults) -> list[str]:
    names = texts(source.get("sinks"))
    if names is None or isinstance(source["sinks"], str):
        faults.add(source.line_of("sinks"), "sinks: must be a list of names")
        return []
    for name in names:
        if name not in sinks:
            faults.add(source.line_of("sinks"), f"sinks: there is no sink {name}")
    return [name for name in dict.fromkeys(names) if name in sinks]


def _chain(
    number: int, sink: Entry, filters: list[MeterFilter], max_gap: int, faults: Faults
) -> Chain | None:
    """Return a sink's chain, None where it has no transformers or faults."""
    listed = sink.get("transformers") or []
    if not isinstance(listed, list) or not all(isinstance(entry, Entry) for entry in listed):
        faults.add(sink.line_of("transformers"), "transformers: must be a list of mappings")
        return None
    read = [_transformer(entry, max_gap, faults) for entry in listed]
    transformers = [transformer for transformer in read if transformer is not None]
    try:
        if transformers:
            return Chain(number, sink["name"], _version(listed), filters, transformers)
    except ChainError as error:
        faults.add(sink.line_of("transformers"), f"transformers: {error}")
    return None


def _transformer(entry: Entry, max_gap: int, faults: Faults) -> Transformer | None:
    name = entry.get("name")
    if name not in TRANSFORMERS:
        known = ", ".join(TRANSFORMERS)
        faults.add(entry.line_of("name"), f"no transformer named {name!r}; there are {known}")
        return None
    for field in entry:
        if field not in ("name", "parameters"):
            faults.add(entry.line_of(field), f"no field {field}; there are name, parameters")
    return TRANSFORMERS[name](Parameters(entry, faults, max_gap))


def _check_arithmetic(chains: list[Chain], sinks: dict[str, Entry], faults: Faults) -> None:
    """Note sinks that make one meter of several: whose sample counts could not be told."""
    made: dict[str, str] = {}
    for chain in chains:
        if chain.arithmetic is None:
            continue
        for name in {name for meter in chain.arithmetic.meters for name in chain.makes(meter)}:
            if name in made:
                line = sinks[chain.sink].line_of("transformers")
                faults.add(line, f"transformers: {name} is made by {made[name]} already")
            made[name] = chain.sink


def _version(transformers: list[Any]) -> str:
    said = json.dumps(transformers, sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:8]
