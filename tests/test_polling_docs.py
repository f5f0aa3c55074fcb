"""docs/polling.md lists the meters that are polled, and every field of a dynamic pollster."""

import re
from pathlib import Path

from jobs.settings import load
from metering.pollsters.dynamic_file import FIELDS
from metering.pollsters.hypervisor import METERS
from metering.pollsters.shipped import KINDS

ROOT = Path(__file__).parent.parent
DOC = (ROOT / "docs" / "polling.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOC.split(f"## {title}")[1].split("\n## ")[0]


def test_the_documentation_lists_the_meters_that_are_polled() -> None:
    rows = {
        meter.name: f"| `{meter.name}` | {meter.type} | {meter.unit} | {asked.service} |"
        f" `{asked.path.partition('?')[0]}` |"
        for kind in KINDS
        for asked in [kind.detail or kind.listing]
        for part in kind.parts
        for meter in part.meters
    }
    listed = re.findall(r"^\| `.*$", section("Meters polled through APIs"), re.MULTILINE)
    assert listed == [rows[name] for name in sorted(rows)]


def test_the_documentation_lists_the_meters_of_a_hypervisor() -> None:
    rows = [f"| `{name}` | {kind} | {unit} |" for name, (unit, kind) in sorted(METERS.items())]
    listed = re.findall(r"^\| `.*$", section("Meters read from a hypervisor"), re.MULTILINE)
    assert listed == rows


def test_the_documentation_names_every_field_of_a_dynamic_pollster() -> None:
    text = section("Dynamic pollsters")
    assert [name for name in FIELDS if f"`{name}`" not in text] == []


def test_the_sample_configuration_is_good() -> None:
    config = load(ROOT / "etc" / "openstack.yaml", {})
    assert [feed["type"] for feed in config.feeds] == ["openstack"]
