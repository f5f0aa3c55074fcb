"""The stub of Compute answers as Compute's published API samples say: the same fields, of the same types."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.cloud import diagnostics, server
from tests.servers.openstack import FOLDER

# Those that are null in our answers, or in the samples, and have a type otherwise.
NULLABLE = {
    "OS-EXT-STS:task_state",
    "OS-SRV-USG:terminated_at",
    "description",
    "key_name",
    "rx_rate",
    "tx_rate",
    "utilisation",
}


def published(path: str) -> Any:
    """Return one of Nova's published samples."""
    file: Path = FOLDER / "nova" / path
    if not file.exists():
        pytest.skip("Nova's API samples are not installed; `scripts/openstack` installs them")
    return json.loads(file.read_text())


def shape(value: Any, name: str = "") -> Any:
    """Return an answer with types for values; lists by their first item."""
    if name in NULLABLE:
        return "null or more"
    if isinstance(value, dict):
        return {key: shape(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def fitting(ours: Any, theirs: Any) -> Any:
    """Return the published shape, lists and free mappings of ours being empty left so."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours:
        return {key: fitting(ours.get(key), each) for key, each in theirs.items()}
    if isinstance(ours, list) and isinstance(theirs, list) and ours:
        return [fitting(ours[0], each) for each in theirs]
    return ours if isinstance(ours, dict | list) and not ours else theirs


def test_the_stubs_servers_are_listed_as_published() -> None:
    # Nothing of a list changed between 2.47, which embeds the flavor, and 2.48.
    (theirs,) = published("servers/v2.47/servers-details-resp.json")["servers"]
    ours = server(1) | {"metadata": theirs["metadata"]}
    assert shape(ours) == fitting(shape(ours), shape(theirs))


def test_the_stubs_diagnostics_are_as_published() -> None:
    theirs = published("os-server-diagnostics/v2.48/server-diagnostics-get-resp.json")
    ours = diagnostics(server(1)["id"], 1)
    assert shape(ours) == fitting(shape(ours), shape(theirs))


def test_the_stubs_pages_are_linked_as_published() -> None:
    theirs = published("servers/v2.47/servers-details-resp.json")
    assert [sorted(link) for link in theirs["servers_links"]] == [["href", "rel"]]
    assert theirs["servers_links"][0]["rel"] == "next"
    assert "marker=" in theirs["servers_links"][0]["href"]
