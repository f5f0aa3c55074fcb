"""Running a query: bounded in time and memory, its failures told apart.

Errors: QueryBoundError where the query hit a bound; PatternError where a regular expression is none;
    StoreAwayError where the store does not answer.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from store.client import Store, StoreAwayError

_TOO_LONG: Final = frozenset({159, 160})  # TIMEOUT_EXCEEDED, TOO_SLOW
_TOO_MUCH: Final = frozenset({241})  # MEMORY_LIMIT_EXCEEDED
_NO_PATTERN: Final = 427  # CANNOT_COMPILE_REGEXP


class Query(Protocol):
    """A question to the store."""

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        """Return the SQL, with `{database}` for the database's name, and its parameters."""


class TableQuery(Query, Protocol):
    """A question whose answer is a table."""

    @property
    def columns(self) -> Sequence[str]:
        """What the answer's columns are called."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """What one query may take."""

    seconds: float
    memory: int  # bytes


class QueryBoundError(Exception):
    """A query took more than it may; says which bound, and what to do."""


class PatternError(Exception):
    """A regular expression of a query is none that the engine takes."""


def run(store: Store, query: Query, bounds: Bounds) -> list[dict[str, Any]]:
    """Return the query's rows.

    Raises QueryBoundError, PatternError, StoreAwayError, or the engine's own error.
    """
    sql, parameters = query.to_sql()
    with _told_apart(bounds):
        found = store.client().query(
            sql.replace("{database}", store.name), parameters, settings=_settings(bounds)
        )
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def run_table(store: Store, query: TableQuery, bounds: Bounds) -> pa.Table:
    """Return the query's rows as a table, its columns as the query calls them. Raises as `run`."""
    sql, parameters = query.to_sql()
    with _told_apart(bounds):
        found = store.client().query_arrow(
            sql.replace("{database}", store.name), parameters, settings=_settings(bounds)
        )
    return found.rename_columns(list(query.columns))


def _settings(bounds: Bounds) -> dict[str, Any]:
    return {"max_execution_time": bounds.seconds, "max_memory_usage": bounds.memory}


@contextlib.contextmanager
def _told_apart(bounds: Bounds) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise StoreAwayError(f"the store does not answer: {_first_line(error)}") from error
    except DatabaseError as error:
        if (bound := _bound(error, bounds)) is not None:
            raise QueryBoundError(bound) from error
        if getattr(error, "code", None) == _NO_PATTERN:
            raise PatternError("Invalid regular expression, see RE2's syntax") from error
        raise


def _bound(error: DatabaseError, bounds: Bounds) -> str | None:
    code = getattr(error, "code", None)
    if code in _TOO_LONG:
        return (
            f"the query took longer than api.query_seconds ({bounds.seconds:g} s);"
            " ask for a shorter time range or fewer fields"
        )
    if code in _TOO_MUCH:
        return (
            f"the query took more memory than api.query_memory ({bounds.memory} bytes);"
            " ask for a shorter time range or fewer rows"
        )
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:300]
