"""Imports go one way: metering <- sources, transforms, store <- sinks, webapi <- jobs; cli speaks HTTP."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BELOW = {
    "metering": set[str](),
    "sources": {"metering"},
    "transforms": {"metering"},
    "store": {"metering"},
    "sinks": {"metering", "sources", "transforms", "store"},
    "webapi": {"metering", "sources", "transforms", "store"},
    "jobs": {"metering", "sources", "transforms", "store", "sinks", "webapi"},
    "cli": set[str](),
}
IMPURE = {
    "apache_beam",
    "chdb",
    "clickhouse_connect",
    "kombu",
    "pika",
    "requests",
    "socket",
    "flask",
}


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level package of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." if node.level else (node.module or "").split(".")[0]


def top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported, without those of TYPE_CHECKING."""
    for node in tree.body:
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) and not typing_only:
            yield node


def modules(package: str) -> list[tuple[str, ast.Module]]:
    """Return every module of a package, parsed, with its path for messages."""
    files = sorted((ROOT / package).rglob("*.py"))
    return [(str(file.relative_to(ROOT)), ast.parse(file.read_text("utf-8"))) for file in files]


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    allowed = BELOW[package] | {package} | ({"jobs"} if package == "cli" else set())
    found = [
        f"{path}:{line} imports {name}"
        for path, tree in modules(package)
        for line, name in imported(tree)
        if name in BELOW and name not in allowed
    ]
    assert found == []


def test_the_command_line_imports_the_job_only_when_it_starts_one() -> None:
    found = [
        f"{path}:{line} imports {name}"
        for path, tree in modules("cli")
        for statement in top_level(tree)
        for line, name in imported(statement)
        if name in BELOW and name != "cli"
    ]
    assert found == []


def test_the_service_imports_of_clouds_only_what_is_configured() -> None:
    told = "import sys, jobs.service; print({'openstack', 'libvirt'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr


def test_imports_are_absolute() -> None:
    found = [
        f"{path}:{line}"
        for package in BELOW
        for path, tree in modules(package)
        for line, name in imported(tree)
        if name == "."
    ]
    assert found == []


def test_the_domain_imports_neither_frameworks_nor_the_network() -> None:
    found = [
        f"{path}:{line} imports {name}"
        for path, tree in modules("metering")
        for line, name in imported(tree)
        if name in IMPURE
    ]
    assert found == []


@pytest.mark.parametrize("package", ["metering", "transforms"])
def test_time_and_environment_are_arguments(package: str) -> None:
    asked = {"time.time", "time.monotonic", "time.time_ns", "os.environ", "os.getenv"}
    clocks = (".now", ".utcnow", ".today")
    found = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (ast.unparse(node) in asked or ast.unparse(node).endswith(clocks))
        and ast.unparse(node).split(".")[0] in {"time", "os", "dt", "datetime", "date"}
    ]
    assert found == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "helpers", "common", "base", "manager", "misc"}
    folders = [*BELOW, "tests", "benchmarks"]
    found = [
        str(file.relative_to(ROOT))
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        if file.stem in banned
    ]
    assert found == []
