"""The documents name every field, route and command there is, and none there isn't."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from cli.main import COMMANDS, Streamgauge
from jobs.defaults import default_of, written
from jobs.faults import field_paths, section_of
from jobs.feeds import feed_class, installed
from jobs.settings import load
from metering.config import Config, Database
from store.client import Store
from webapi.app import create_app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SECTIONS = [name for name in Config.model_fields if name != "feeds"]


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def default_at(path: str) -> str:
    """Return a field's default as YAML writes it."""
    model: Any = Config
    *sections, name = path.split(".")
    for section in sections:
        model = section_of(model.model_fields[section])
    return written(default_of(model.model_fields[name]))


def test_every_field_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \| \S", text_of("configuration.md"), re.M)
    documented = {
        path: default for path, default in rows if path.split(".")[0] in Config.model_fields
    }
    assert documented == {path: default_at(path) for path in field_paths(Config)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_fields_that_exist(page: Path) -> None:
    pattern = rf"`((?:{'|'.join(SECTIONS)})\.[a-z_.]+)`"
    named = set(re.findall(pattern, page.read_text(encoding="utf-8")))
    assert named - set(field_paths(Config)) == set()


@pytest.mark.parametrize("kind", installed())
def test_every_setting_of_a_feed_is_documented(kind: str) -> None:
    both = text_of("feeds.md") + text_of("configuration.md")
    missing = [
        path
        for path in field_paths(feed_class(kind).Settings)
        if not re.search(rf"`(?:\w+\.)?{re.escape(path)}`", both)
    ]
    assert missing == []


class NoSpool:
    def append(self, bodies: Any) -> None:
        raise AssertionError("nothing is pushed here")


def routes() -> set[str]:
    """Return `METHOD /path/{}` of every route."""
    app = create_app(Config(), Store(Database()), NoSpool(), dict)
    return {
        f"{method} {re.sub(r'<[^>]*>', '{}', rule.rule.rstrip('/') or '/')}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_documented_and_no_other() -> None:
    named = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^` ?]*)", text_of("api.md"))
    assert {re.sub(r"\{[^}]*\}", "{}", route) for route in named} == routes()


def commands_described() -> dict[str, str]:
    """Return the text below each command's heading, by command."""
    parts = re.split(r"^### `streamgauge ([a-z ]+)`$", text_of("commands.md"), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def own_options(command: str) -> set[str]:
    """Return the options that a command adds to those of its kind (rows, fields, neither)."""
    app = Streamgauge()
    found, _, _ = app.command_manager.find_command(command.split())
    kind = next(one for one in (Lister, ShowOne, Command) if issubclass(found, one))
    plain = type("Plain", (kind,), {"take_action": None})
    return options(found(app, None)) - options(plain(app, None))


def options(command: Command) -> set[str]:
    return {name for action in command.get_parser("x")._actions for name in action.option_strings}


def test_every_command_is_documented_and_no_other() -> None:
    known = {name for name, _ in Streamgauge().command_manager}
    assert set(commands_described()) == known


@pytest.mark.parametrize("command", [*COMMANDS, "help", "complete"])
def test_every_option_of_a_command_is_documented_and_no_other(command: str) -> None:
    named = set(re.findall(r"`(--[a-z-]+)", commands_described()[command].split("\n## ")[0]))
    assert named == own_options(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    """`streamgauge ...` in a page is a command; a longer text begins with one."""
    known = [name for name, _ in Streamgauge().command_manager]
    said = re.findall(r"`streamgauge ([a-z][a-z ]+)", page.read_text(encoding="utf-8"))
    assert [text for text in said if not _begins_with_one(text.strip(), known)] == []


def _begins_with_one(text: str, known: list[str]) -> bool:
    """Return whether a text is a command with what follows it, or the first word of some."""
    return any(f"{text} ".startswith(f"{name} ") or name.startswith(f"{text} ") for name in known)


def test_every_page_is_reached_from_the_readme() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    pages = {f"docs/{page.name}" for page in DOCS.glob("*.md")}
    assert pages - set(re.findall(r"\]\((docs/[^)#]+\.md)\)", readme)) == set()


def test_every_name_of_a_command_leads_to_a_class() -> None:
    for target in COMMANDS.values():
        module, _, name = target.partition(":")
        assert isinstance(getattr(import_module(module), name), type)


def test_the_image_has_every_package() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy/Dockerfile").read_text(), re.M))
    packages = set(re.findall(r'^        "(\w+)",$', (ROOT / "setup.py").read_text(), re.M))
    assert copied == packages


def test_the_feed_of_the_compose_file_is_a_good_configuration() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    environ = compose["services"]["streamgauge"]["environment"]
    config = load(None, {name: re.sub(r"\$\{.*?\}", "x", text) for name, text in environ.items()})
    assert [feed["type"] for feed in config.feeds] == ["rabbitmq"]
