"""What may stand in a statement that a person sends: kinds of nodes, functions, tables of the engine.

All of these are lists of what is allowed; store/readonly_functions.txt has the functions.
"""

import dataclasses
import functools
import re
from importlib import resources
from typing import Final

from store.embedded import Session

# The outermost node of a statement.
STATEMENTS: Final = frozenset(
    {
        "DescribeQuery",
        "ExistsDatabaseQuery",
        "ExistsTableQuery",
        "ExistsViewQuery",
        "Explain",
        "SelectIntersectExceptQuery",
        "SelectWithUnionQuery",
        "ShowColumns",
        "ShowCreateDatabaseQuery",
        "ShowCreateTableQuery",
        "ShowCreateViewQuery",
        "ShowFunctions",
        "ShowIndexes",
        "ShowTables",
        "UseQuery",
    }
)

# Every other node. ColumnsApplyTransformer is not here: the tree does not show what it calls.
NODES: Final = frozenset(
    {
        "ArrayJoin",
        "Asterisk",
        "ColumnsExceptTransformer",
        "ColumnsListMatcher",
        "ColumnsRegexpMatcher",
        "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement",
        "ColumnsTransformerList",
        "ExpressionList",
        "Function",
        "Identifier",
        "InterpolateElement",
        "Literal",
        "OrderByElement",
        "QualifiedAsterisk",
        "QualifiedColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher",
        "SampleRatio",
        "SelectIntersectExceptQuery",
        "SelectQuery",
        "SelectWithUnionQuery",
        "Set",  # of EXPLAIN alone
        "Subquery",
        "TableExpression",
        "TableIdentifier",
        "TableJoin",
        "TablesInSelectQuery",
        "TablesInSelectQueryElement",
        "WindowDefinition",
        "WindowListElement",
        "WithElement",
    }
)

# What clients ask for to show databases, tables and types, and what tells about disk and load.
_SYSTEM_TABLES: Final = """
    aggregate_function_combinators asynchronous_metrics build_options clusters collations columns
    constraints current_roles data_skipping_indices data_type_families databases dictionaries
    enabled_roles errors events formats functions keywords licenses merges metrics mutations numbers
    numbers_mt one parts parts_columns projections settings table_engines table_functions tables
    time_zones zeros zeros_mt
"""
SYSTEM_TABLES: Final = frozenset(_SYSTEM_TABLES.split())

_COMBINATORS: Final = re.compile(
    r"(?:If|Array|Map|State|SimpleState|Merge|MergeState|ForEach|Distinct|OrDefault|OrNull|Resample"
    r"|ArgMin|ArgMax)$"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Vocabulary:
    """The functions that may be called; names in lower case, as the engine knows some in any case."""

    scalar: frozenset[str]
    aggregate: frozenset[str]
    table: frozenset[str]

    def has_function(self, name: str) -> bool:
        """Return whether this function may be called; an aggregate also with its combinators."""
        if name.lower() in self.scalar:
            return True
        while name.lower() not in self.aggregate:
            shorter = _COMBINATORS.sub("", name)
            if shorter == name:
                return False
            name = shorter
        return True

    def has_table_function(self, name: str) -> bool:
        """Return whether this table function may be read from."""
        return name.lower() in self.table


@functools.cache
def vocabulary() -> Vocabulary:
    """Return what store/readonly_functions.txt allows."""
    text = resources.files("store").joinpath("readonly_functions.txt").read_text(encoding="utf-8")
    parts: dict[str, set[str]] = {"": set()}
    part = ""
    for line in text.splitlines():
        if line.startswith("["):
            part = line.strip("[]")
            parts[part] = set()
        elif not line.startswith("#"):
            parts[part].update(line.lower().split())
    return Vocabulary(*(frozenset(parts[name]) for name in ("scalar", "aggregate", "table")))


def forbidden_names(session: Session) -> frozenset[str]:
    """Return the names, in lower case, of the engine's functions that may not be called."""
    names = session.run("SELECT name FROM system.functions").data.decode().lower().split("\n")
    return frozenset(filter(None, names)) - vocabulary().scalar - vocabulary().aggregate
