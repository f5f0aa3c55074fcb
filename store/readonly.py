"""Deciding whether a statement that a person sends may run: queries only, and only what reads the store.

The engine's own parser is asked, twice: its formatter turns the statement into one canonical line (and
refuses several statements), and EXPLAIN AST of that line, with the parameters put in, shows every
function, table and setting in it. All of them, and every kind of node, must be on a list; the
canonical line is what runs, so nothing is run but what was looked at.
Errors: RefusedStatementError for what may not run; EngineError, the engine's words, for what does not
    parse.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Final

from store.embedded import EngineError, Session, quoted
from store.syntax import Node, tree_of
from store.vocabulary import NODES, STATEMENTS, SYSTEM_TABLES, forbidden_names, vocabulary

_READONLY: Final = 164
_ACCESS_DENIED: Final = 497
_QUOTES: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_FORMAT: Final = re.compile(r"(?<!\bAS)\sFORMAT (\w+)$")
_LISTING: Final = re.compile(
    r"SHOW (?:FULL |EXTENDED |EXTENDED FULL |TEMPORARY |CHANGED )?"
    r"(?:DATABASES|TABLES|DICTIONARIES|COLUMNS|INDEXES|FUNCTIONS|SETTINGS|CLUSTERS)"
    r"(?: FROM (?:\w+|``))*(?: (?:NOT )?I?LIKE '')?(?: LIMIT \d+)?(?: FORMAT \w+)?"
)
_EXPLAINED: Final = re.compile(r"EXPLAIN(?: (?:AST|SYNTAX|QUERY TREE|PLAN|PIPELINE|ESTIMATE))?")
_MEMBERSHIP: Final = re.compile(r"(?:global)?(?:not)?(?:null)?in(?:ignoreset)?", re.IGNORECASE)


class RefusedStatementError(Exception):
    """A statement may not run; says why. `code` is ClickHouse's for it."""

    def __init__(self, message: str, code: int = _ACCESS_DENIED) -> None:
        name = "READONLY" if code == _READONLY else "ACCESS_DENIED"
        super().__init__(f"Code: {code}. DB::Exception: {message} ({name})")
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run."""

    sql: str  # canonical: exactly what was examined, without its FORMAT clause
    format: str  # of its FORMAT clause; "" without one
    rows: bool  # whether it is a SELECT


class Examiner:
    """Decides over statements that may read one database, and the engine's words about itself."""

    def __init__(self, session: Session, database: str) -> None:
        self.database = database
        self.allowed = vocabulary()
        self.forbidden = forbidden_names(session)

    def examine(self, session: Session, text: str, parameters: Mapping[str, str]) -> Statement:
        """Return the statement that may run. Raises RefusedStatementError, EngineError."""
        if "\x00" in text:
            raise RefusedStatementError("a statement holds no NUL", _READONLY)
        line = _canonical(session, text)
        bare = _without_quotes(line)
        _check_clauses(bare)
        root = _tree(session, line, parameters)
        _check_statement(root, bare)
        for node in root.walk():
            self._check_node(node, root)
        found = _FORMAT.search(bare)
        form = found[1] if found else ""
        sql = line[: -len(f" FORMAT {form}")] if form else line
        return Statement(sql, form, root.kind.startswith("Select"))

    def check_database(self, name: str) -> None:
        """Let a database pass that may be the current one. Raises RefusedStatementError."""
        if name not in (self.database, "default"):
            raise RefusedStatementError(
                f"the database is {self.database}; name others in full, such as system.tables"
            )

    def _check_node(self, node: Node, root: Node) -> None:
        if node.kind == "Set" and not (root.kind == "Explain" and node.depth == 1):
            raise _settings_refused()
        if node is not root and node.kind not in NODES:
            raise RefusedStatementError(f"{node.kind} {node.name}".rstrip() + " is not taken here")
        if node.kind == "Literal" and node.depth == 1:
            raise RefusedStatementError("results are only sent, never written to files")
        if node.kind == "Function":
            self._check_function(node)
        elif node.kind == "TableIdentifier":
            self._check_table(node.name)
        elif node.kind == "Identifier" and node.depth > 1:
            self._check_identifier(node.name)
        elif node.kind == "UseQuery":
            self.check_database(node.name)

    def _check_function(self, node: Node) -> None:
        if node.parent is not None and node.parent.kind == "TableExpression":
            if not self.allowed.has_table_function(node.name):
                raise RefusedStatementError(f"the table function {node.name} may not be used here")
            return
        if not self.allowed.has_function(node.name):
            raise RefusedStatementError(f"the function {node.name} may not be used here")
        if node.name == "lambda" and node.alias:
            raise RefusedStatementError("a function is not given a name here")
        if _MEMBERSHIP.fullmatch(node.name):
            for name in _right_of(node):
                self._check_table(name)

    def _check_table(self, name: str) -> None:
        database, dot, table = name.partition(".")
        known = (
            not dot
            or database in (self.database, "default")
            or (database == "system" and table in SYSTEM_TABLES)
            or database.lower() == "information_schema"
        )
        if not known:
            raise RefusedStatementError(f"the table {name} may not be read here")

    def _check_identifier(self, name: str) -> None:
        """Refuse the name of a function that may not be called: `arrayMap(f, x)` calls f."""
        if name.lower() in self.forbidden:
            raise RefusedStatementError(
                f"the name {name} is a function's that may not be used here"
            )


def _canonical(session: Session, text: str) -> str:
    """Return the statement in one line, as the engine understands it. Raises EngineError."""
    try:
        formatted = session.run(f"SELECT formatQuerySingleLine({quoted(text)})")
    except EngineError as error:  # it tells of our question, too; of that no one asked
        told, own, _ = str(error).partition(": In scope SELECT formatQuerySingleLine(")
        name = re.search(r" \([A-Z_]+\)$", str(error))
        raise EngineError(told + (name[0] if own and name else ""), error.code) from error
    return formatted.data.decode().rstrip("\n")


def _without_quotes(line: str) -> str:
    """Return the line with nothing between its quotes. Raises RefusedStatementError."""
    for quote in _QUOTES.findall(line):
        if quote[0] == "`" and "\\" in quote:
            raise RefusedStatementError("names with escapes in them are not taken")
    bare = _QUOTES.sub(lambda found: found[0][0] * 2, line)
    if _CONTROL.search(bare):
        raise RefusedStatementError("names with control characters in them are not taken")
    return bare


def _check_clauses(bare: str) -> None:
    """Refuse what the tree does not show. Raises RefusedStatementError."""
    if re.search(r"\bINTO\s+OUTFILE\b", bare):
        raise RefusedStatementError("INTO OUTFILE: results are only sent, never written to files")
    if re.search(r"\bSETTINGS\s+\w+\s*=", bare):
        raise _settings_refused()


def _settings_refused() -> RefusedStatementError:
    return RefusedStatementError(
        "SETTINGS in a statement: settings go with the request, as arguments of its URL", _READONLY
    )


def _tree(session: Session, line: str, parameters: Mapping[str, str]) -> Node:
    try:
        return tree_of(session.run(f"EXPLAIN AST {line}", parameters=parameters).data.decode())
    except ValueError as error:
        raise RefusedStatementError(f"the statement is not understood: {error}") from error


def _check_statement(root: Node, bare: str) -> None:
    if root.kind not in STATEMENTS:
        raise RefusedStatementError(
            f"{bare.split(' ', 1)[0]}: only queries run here"
            " (SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS)",
            _READONLY,
        )
    listing = root.kind in ("ShowTables", "ShowColumns", "ShowFunctions", "ShowIndexes")
    if listing and not _LISTING.fullmatch(bare):
        raise RefusedStatementError(
            "SHOW takes FROM, LIKE and LIMIT here; select from system.tables and the like for more"
        )
    if root.kind == "Explain" and not _EXPLAINED.fullmatch(root.name):
        raise RefusedStatementError(f"{root.name} is not taken here")


def _right_of(membership: Node) -> Iterator[str]:
    """Yield what stands on the right of IN where it is a name: it may be a table's."""
    for arguments in membership.children:
        for argument in arguments.children[1:]:
            if argument.kind == "Identifier":
                yield argument.name
