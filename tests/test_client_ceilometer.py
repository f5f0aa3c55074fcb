"""The unmodified `ceilometer` client 2.9.0, as a process, against the API on a loopback address."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from metering.config import Config
from metering.timestamps import parse_ms
from store.client import Store
from tests.api import START, fill, fleet, ms
from webapi.app import create_app
from webapi.serving import serve

# 2.9.0 is of 2017: its tables need the old prettytable, and it imports pkg_resources.
REQUIREMENTS = ("python-ceilometerclient==2.9.0", "prettytable==0.7.2", "setuptools<81")
FOLDER = Path(tempfile.gettempdir()) / f"streamgauge-ceilometerclient-2.9.0-{sys.version_info[1]}"

Client = Callable[..., str]


class StoringSpool:
    """Puts pushed samples into the store at once, as the job would a moment later."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            for one in json.loads(body)["payload"]["samples"]:
                fill(self.store, **{name: [value] for name, value in _columns(one).items()})


def _columns(sample: dict[str, Any]) -> dict[str, Any]:
    named = {name: sample[f"counter_{name}"] for name in ("type", "unit", "volume")}
    copied = {name: sample[name] for name in ("resource_id", "source", "message_id")}
    return {
        **named,
        **copied,
        "meter": sample["counter_name"],
        "project_id": sample["project_id"] or "",
        "user_id": sample["user_id"] or "",
        "timestamp": _milliseconds(sample["timestamp"]),
        "metadata": json.dumps(sample["resource_metadata"]),
        "recorded_at": _milliseconds(START.isoformat()) // 1000,
    }


def _milliseconds(time: str) -> int:
    return parse_ms(time)


@pytest.fixture(scope="module")
def program() -> Path:
    """The client's program, in an environment of its own that is made once a machine."""
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "ready").exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            for command in _installing():
                done = subprocess.run(command, capture_output=True, text=True, timeout=300)
                if done.returncode:
                    pytest.skip(
                        f"the ceilometer client cannot be installed: {done.stderr[-200:]};"
                        f" try: {' '.join(command)}"
                    )
            (FOLDER / "ready").touch()
    return FOLDER / "bin" / "ceilometer"


def _installing() -> list[list[str]]:
    python = str(FOLDER / "bin" / "python")
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(FOLDER)],
            [uv, "pip", "install", "-q", "--python", python, *REQUIREMENTS],
        ]
    return [
        [sys.executable, "-m", "venv", str(FOLDER)],
        [python, "-m", "pip", "install", "-q", *REQUIREMENTS],
    ]


@pytest.fixture
def ceilometer(program: Path, store: Store) -> Iterator[Client]:
    """Run the client against the API over the store; returns what it prints."""
    app = create_app(Config(), store, StoringSpool(store), dict)
    serving = serve(app, "127.0.0.1:0", 2)
    url = f"http://{serving.address}"
    environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}

    def run(*arguments: str, fails: bool = False) -> str:
        command = [str(program), "--os-token", "T", "--os-endpoint", url, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env={**environment, "COLUMNS": "400"},
        )
        assert (done.returncode != 0) is fails, done.stderr
        return (done.stderr if fails else done.stdout).replace(url, "URL")

    yield run
    serving.close()


def table(text: str) -> list[list[str]]:
    """Return a printed table's rows, its header first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def rows(text: str) -> list[list[str]]:
    """Return a printed table's rows, without its header."""
    return table(text)[1:]


def properties(text: str) -> dict[str, str]:
    """Return a printed table of names and values."""
    return {cells[0]: cells[1] for cells in rows(text)}


def test_meters_are_listed(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("meter-list")) == [
        ["Name", "Type", "Unit", "Resource ID", "User ID", "Project ID"],
        ["cpu", "cumulative", "ns", "vm0", "alice", "p1"],
        ["cpu", "cumulative", "ns", "vm1", "bob", "p1"],
        ["cpu", "cumulative", "ns", "vm2", "carol", "p2"],
        ["disk.size", "gauge", "GiB", "vm0", "alice", "p1"],
    ]
    assert rows(ceilometer("meter-list", "-q", "project=p2", "-l", "5")) == [
        ["cpu", "cumulative", "ns", "vm2", "carol", "p2"]
    ]
    assert rows(ceilometer("meter-list", "--unique", "True")) == [
        ["cpu", "cumulative", "ns", "None", "None", "None"],
        ["disk.size", "gauge", "GiB", "None", "None", "None"],
    ]


def test_samples_are_listed_and_shown(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("sample-list", "-m", "cpu", "-q", "resource=vm1", "-l", "2")) == [
        ["Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["vm1", "cpu", "cumulative", "7.0", "ns", "2026-11-22T10:02:00"],
        ["vm1", "cpu", "cumulative", "4.0", "ns", "2026-11-22T10:01:00"],
    ]
    timed = "metadata.vcpus=integer::1;timestamp>2026-11-22T10:01:00"
    assert table(ceilometer("sample-list", "-q", timed)) == [
        ["ID", "Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["cpu-6", "vm0", "cpu", "cumulative", "6.0", "ns", "2026-11-22T10:02:00"],
    ]
    shown = properties(ceilometer("sample-show", "disk-0"))
    assert shown == {
        "id": "disk-0",
        "meter": "disk.size",
        "metadata": '{"flavor.name": "m1"}',
        "project_id": "p1",
        "recorded_at": "2026-11-22T10:00:00",
        "resource_id": "vm0",
        "source": "openstack",
        "timestamp": "2026-11-22T10:00:30",
        "type": "gauge",
        "unit": "GiB",
        "user_id": "alice",
        "volume": "20.0",
    }
    assert "Sample not found: nope" in ceilometer("sample-show", "nope", fails=True)


def test_samples_are_created(ceilometer: Client) -> None:
    created = ceilometer(
        *("sample-create", "-r", "vm9", "-m", "gpu", "--meter-type", "gauge"),
        *("--meter-unit", "GPU", "--sample-volume", "48", "--project-id", "p9"),
        *("--timestamp", "2026-11-22T10:00:00", "--resource-metadata", '{"rack":"r1"}'),
    )
    sample = properties(created)
    assert sample == {
        "message_id": sample["message_id"],
        "name": "gpu",
        "project_id": "p9",
        "resource_id": "vm9",
        "resource_metadata": '{"rack": "r1"}',
        "source": "p9:openstack",
        "timestamp": "2026-11-22T10:00:00",
        "type": "gauge",
        "unit": "GPU",
        "user_id": "None",
        "volume": "48.0",
    }
    assert rows(ceilometer("sample-list", "-m", "gpu")) == [
        ["vm9", "gpu", "gauge", "48.0", "GPU", "2026-11-22T10:00:00"]
    ]
    bad = ("sample-create", "-r", "v", "-m", "gpu", "--meter-type", "wat", "--meter-unit", "h")
    said = ceilometer(*bad, "--sample-volume", "1", fails=True)
    assert "The counter type must be: gauge, delta, cumulative (HTTP 400)" in said


def test_lists_of_samples_are_created(ceilometer: Client) -> None:
    listed = [
        {
            "counter_name": name,
            "counter_type": "delta",
            "counter_unit": "h",
            "counter_volume": volume,
            "resource_id": "vm9",
            "timestamp": "2026-11-22T10:00:00",
        }
        for name, volume in (("gpu", 1), ("gpu", 2), ("fpga", 3))
    ]
    created = ceilometer("sample-create-list", json.dumps(listed))
    assert table(created) == [
        ["Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["vm9", "gpu", "delta", "1.0", "h", "2026-11-22T10:00:00"],
        ["vm9", "gpu", "delta", "2.0", "h", "2026-11-22T10:00:00"],
        ["vm9", "fpga", "delta", "3.0", "h", "2026-11-22T10:00:00"],
    ]
    assert len(rows(ceilometer("sample-list"))) == 3


def test_statistics_are_printed(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("statistics", "-m", "cpu", "-p", "60", "-q", "user=bob"))[:2] == [
        [
            *("Period", "Period Start", "Period End", "Max", "Min", "Avg", "Sum", "Count"),
            *("Duration", "Duration Start", "Duration End"),
        ],
        [
            *("60", "2026-11-22T10:00:00", "2026-11-22T10:01:00", "1.0", "1.0", "1.0", "1.0", "1"),
            *("0.0", "2026-11-22T10:00:00", "2026-11-22T10:00:00"),
        ],
    ]


def test_statistics_are_grouped(ceilometer: Client, store: Store) -> None:
    fleet(store)
    # On Python 3 the client cannot print groups that share all their times.
    columns = {"meter": ["cpu"], "project_id": ["p2"], "timestamp": [ms(150)], "volume": [9.0]}
    fill(store, **columns)
    grouped = ceilometer(
        *("statistics", "-m", "cpu", "-g", "project_id"),
        *("-a", "cardinality<-resource_id", "-a", "max"),
    )
    start = "2026-11-22T10:00:00"
    assert table(grouped) == [
        [
            *("Period", "Period Start", "Period End", "Group By", "cardinality/resource_id"),
            *("Max", "Duration", "Duration Start", "Duration End"),
        ],
        [
            *("0", start, "2026-11-22T10:02:00", "{'project_id': 'p1'}", "2.0"),
            *("7.0", "120.0", start, "2026-11-22T10:02:00"),
        ],
        [
            *("0", start, "2026-11-22T10:02:30", "{'project_id': 'p2'}", "2.0"),
            *("9.0", "150.0", start, "2026-11-22T10:02:30"),
        ],
    ]


def test_resources_are_listed_and_shown(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("resource-list", "-q", "project=p1")) == [
        ["Resource ID", "Source", "User ID", "Project ID"],
        ["vm0", "openstack", "alice", "p1"],
        ["vm1", "openstack", "bob", "p1"],
    ]
    assert properties(ceilometer("resource-show", "vm1")) == {
        "metadata": '{"flavor.name": "m2", "instance_type": "2", "vcpus": "4"}',
        "project_id": "p1",
        "resource_id": "vm1",
        "source": "openstack",
        "user_id": "bob",
    }
    assert "Resource not found: vm8" in ceilometer("resource-show", "vm8", fails=True)


def test_samples_are_queried(ceilometer: Client, store: Store) -> None:
    fleet(store)
    printed = ceilometer(
        *("query-samples", "-f", '{"and": [{"=": {"meter": "cpu"}}, {">": {"volume": 6}}]}'),
        *("-o", '[{"volume": "asc"}]', "-l", "5"),
    )
    assert table(printed) == [
        ["ID", "Resource ID", "Meter", "Type", "Volume", "Unit", "Timestamp"],
        ["cpu-7", "vm1", "cpu", "cumulative", "7.0", "ns", "2026-11-22T10:02:00"],
        ["cpu-8", "vm2", "cpu", "cumulative", "8.0", "ns", "2026-11-22T10:02:00"],
    ]
    said = ceilometer("query-samples", "-f", "{", fails=True)
    assert "Filter expression not valid" in said
