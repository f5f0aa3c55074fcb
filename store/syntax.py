"""The tree of a statement, from the text of the engine's EXPLAIN AST."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Final

_LINE: Final = re.compile(
    r"( *)(\S+)(?: (?!\(children \d+\)$)(.*?))??(?: \(alias (.*?)\))?(?: \(children (\d+)\))?"
)


@dataclasses.dataclass(eq=False, slots=True)
class Node:
    """One node: `Function`, its name `sum`, its alias `total`, and what is under it."""

    kind: str
    name: str
    alias: str
    depth: int
    parent: "Node | None"
    children: list["Node"] = dataclasses.field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all under it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.children)


def tree_of(text: str) -> Node:
    """Return the root. Raises ValueError where the text is no one tree with as many nodes as it says."""
    path: list[Node] = []
    promised = 1
    lines = [line for line in text.split("\n") if line.strip()]
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError("a line that is no node")
        depth = len(found[1])
        if depth > len(path) or (depth == 0 and path):
            raise ValueError("a node that hangs in the air")
        del path[depth:]
        parent = path[-1] if path else None
        node = Node(found[2], (found[3] or "").strip(), found[4] or "", depth, parent)
        if parent is not None:
            parent.children.append(node)
        path.append(node)
        promised += int(found[5] or 0)
    if not path or promised != len(lines):
        raise ValueError("a tree that does not add up")
    return path[0]
