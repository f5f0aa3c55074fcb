"""The feed of docs/feeds.md, installed as a package of an operator's, works as it says."""

import re
from pathlib import Path

import pytest

from jobs.faults import ConfigError
from jobs.feeds import build
from metering.config import Config
from sources.feed import FeedError

PAGE = Path(__file__).parents[1] / "docs" / "feeds.md"


@pytest.fixture
def _installed(tmp_path, monkeypatch):
    """The page's module and entry point, where Python looks for packages."""
    text = PAGE.read_text(encoding="utf-8")
    module, point = (
        re.search(rf"```{kind}\n(.*?)```", text, re.S).group(1) for kind in ("python", "toml")
    )
    (tmp_path / "our_feeds.py").write_text(module, encoding="utf-8")
    info = tmp_path / "our_feeds-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-feeds\nVersion: 1.0\n")
    group, name, value = re.search(r'"(.*)"\]\n(\w+) = "(.*)"', point).groups()
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_installed")
def test_a_feed_from_another_package_is_built_polled_and_acknowledged(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_bytes(b"{}")
    (feed,) = build(Config(feeds=[{"type": "folder", "folder": str(folder)}]))
    feed.open()
    payloads = feed.poll(0)
    assert (payloads.feed, payloads.bodies) == ("folder", [b"{}"])
    assert feed.poll(0) is None
    feed.ack(payloads.receipt)
    feed.ack(payloads.receipt)
    assert list(folder.iterdir()) == []
    feed.close()


@pytest.mark.usefixtures("_installed")
def test_its_settings_are_checked_and_its_errors_said(tmp_path):
    with pytest.raises(ConfigError, match=r"feeds\[0\]\.folder"):
        build(Config(feeds=[{"type": "folder"}]))
    (feed,) = build(Config(feeds=[{"type": "folder", "folder": str(tmp_path / "none")}]))
    with pytest.raises(FeedError, match="create it"):
        feed.open()
