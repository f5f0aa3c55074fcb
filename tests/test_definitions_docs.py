"""docs/meters.md lists the meters of the shipped file, and every field of the two forms."""

import re
from pathlib import Path

from metering.definitions import event_file, meter_file
from metering.definitions.meters import MeterDefinitions
from metering.definitions.plugins import PLUGINS

DOC = Path(__file__).parent.parent / "docs" / "meters.md"


def table() -> list[str]:
    """Return the rows that the list of shipped meters must have."""
    legacy = {m.name: m for m in MeterDefinitions.load().meters}
    versioned = {m.name: m for m in MeterDefinitions.load(compute_notifications="versioned").meters}
    assert legacy.keys() == versioned.keys()
    rows = []
    for name, meter in sorted(legacy.items()):
        types = dict.fromkeys([*meter.event_types, *versioned[name].event_types])
        shown = ", ".join(f"`{t}`" for t in types).replace("|", "\\|")
        unit = "named there" if "$" in meter.unit else meter.unit
        rows.append(f"| `{name}` | {meter.type} | {unit} | {shown} |")
    return rows


def test_the_documentation_lists_the_shipped_meters():
    listed = DOC.read_text().split("## Meters made of notifications")[1]
    assert re.findall(r"^\| `.*$", listed, re.MULTILINE) == table()


def test_the_documentation_names_every_field_and_plugin():
    text = DOC.read_text()
    fields = {*meter_file._REQUIRED, *meter_file._ABOUT, *meter_file._LOOKUPS}
    fields |= {"metadata", "user_metadata", "lookup", "multi", "form", "traits", "fields", "plugin"}
    fields |= {*event_file.TYPES, *event_file._DEFAULTS, *PLUGINS}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []
