"""Definition files as YAML whose mappings know their lines, and the faults found in them."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml


class DefinitionError(ValueError):
    """A definition file cannot be used; a line for each fault: file, line, reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Faults:
    """The faults of one file, gathered so that all are told at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, reason: str) -> None:
        """Note a fault at a line (from 1)."""
        self._found.append((line, reason))

    def check(self) -> None:
        """Raise DefinitionError where there is any fault."""
        if self._found:
            lines = [f"{self._path}:{line}: {reason}" for line, reason in sorted(set(self._found))]
            raise DefinitionError(lines)


class Entry(dict[Any, Any]):
    """A mapping of the file and the lines its keys stand on."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self._lines: dict[Any, int] = {}

    def put(self, key: Any, value: Any, line: int) -> None:
        self[key] = value
        self._lines[key] = line

    def line_of(self, key: Any) -> int:
        """Return the line of a key, the mapping's own where it has none."""
        return self._lines.get(key, self.line)


class _Loader(yaml.SafeLoader):
    """Safe YAML without dates: a date in a definition is text."""


_DATE: Final = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != _DATE]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_entry(loader: _Loader, node: yaml.MappingNode) -> Iterator[Entry]:
    entry = Entry(node.start_mark.line + 1)
    yield entry
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be text", key_node.start_mark
            )
        value = loader.construct_object(value_node, deep=True)
        entry.put(key, value, key_node.start_mark.line + 1)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_entry)


def read_yaml(path: Path) -> Any:
    """Return the file's content, mappings as Entry. Raises DefinitionError."""
    faults = Faults(path)
    content: Any = None
    try:
        data = path.read_bytes()
        content = yaml.load(data.decode(), _Loader)
    except OSError as error:
        raise DefinitionError([f"{path}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        faults.add(data.count(b"\n", 0, error.start) + 1, "not UTF-8 text")
    except yaml.reader.ReaderError as error:
        line = data.decode().count("\n", 0, error.position) + 1
        faults.add(line, f"a character YAML does not allow: #x{int(error.character):04x}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")
    except (ValueError, RecursionError) as error:
        faults.add(1, f"not YAML: {error}")
    faults.check()
    return content
