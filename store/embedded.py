"""One statement's own connection to the embedded engine: its settings, its bytes in any format.

A connection costs a third of a millisecond, so each request has one: what a request sets, no other
request sees, and nothing is left behind.
Errors: EngineError, what the engine said, with its code.
"""

import dataclasses
import json
import re
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import chdb

# In these the engine's blocks can be written one after another; others have one head or foot.
STREAMED: Final = frozenset(
    {
        "CSV",
        "JSONCompactEachRow",
        "JSONEachRow",
        "Native",
        "RowBinary",
        "TSV",
        "TSVRaw",
        "TabSeparated",
        "TabSeparatedRaw",
    }
)


class EngineError(Exception):
    """The engine did not run a statement; `code` is ClickHouse's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Some of a result, in its format."""

    data: bytes
    rows: int
    read_rows: int
    read_bytes: int


class Session:
    """A connection to the engine at `path`, with settings of its own; close it."""

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self._path = path.resolve()
        self._connection = chdb.connect(str(self._path))
        try:
            self.set(settings)
        except EngineError:
            self.close()
            raise

    def use(self, database: str) -> None:
        """Make this the database of tables that are named without one. Raises EngineError."""
        self.run(f"USE {quoted_name(database)}")

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings, in this order. Raises EngineError."""
        for name, value in settings.items():
            if not re.fullmatch(r"\w+", name):
                raise EngineError(f"Code: 115. DB::Exception: Unknown setting {name!r}", 115)
            self.run(f"SET {name} = {quoted(value)}")

    def run(
        self, sql: str, form: str = "TabSeparatedRaw", parameters: Mapping[str, str] | None = None
    ) -> Block:
        """Return the whole result. Raises EngineError."""
        try:
            found = self._connection.query(sql, form, params=dict(parameters or {}))
        except RuntimeError as error:  # chdb's own error is one, too
            raise _engine_error(error) from error
        return _block(found)

    def stream(
        self, sql: str, form: str, parameters: Mapping[str, str] | None = None
    ) -> Generator[Block, None, None]:
        """Yield the result block by block; `form` is one of STREAMED. Raises EngineError."""
        try:
            with self._connection.send_query(sql, form, params=dict(parameters or {})) as found:
                for chunk in found:
                    yield _block(chunk)
        except RuntimeError as error:
            raise _engine_error(error) from error

    def empty_native(self, sql: str, parameters: Mapping[str, str]) -> bytes:
        """Return a result without rows in the format Native: the engine's own has no columns either."""
        rows = self.run(f"DESCRIBE ({sql})", "JSONCompactEachRow", parameters).data.splitlines()
        columns = [json.loads(row)[:2] for row in rows]
        texts = [text.encode() for column in columns for text in column]
        head = _varint(len(columns)) + _varint(0)
        return head + b"".join(_varint(len(text)) + text for text in texts)

    def insert(self, head: str, form: str, data: bytes) -> None:
        """Write data in this format, by the start of an INSERT statement. Raises EngineError."""
        with tempfile.NamedTemporaryFile(dir=self._path / "tmp") as file:
            file.write(data)
            file.flush()
            self.run(f"{head} FROM INFILE {quoted(file.name)} FORMAT {form}")

    def close(self) -> None:
        """Let the connection go. Safe to call twice."""
        self._connection.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def quoted(text: str) -> str:
    """Return the text as a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted_name(name: str) -> str:
    """Return the text as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _block(found: Any) -> Block:
    return Block(
        bytes(found.bytes() or b""),
        found.rows_read(),
        found.storage_rows_read(),
        found.storage_bytes_read(),
    )


def _engine_error(error: RuntimeError) -> EngineError:
    text = str(error)
    start = max(text.find("Code: "), 0)
    code = re.match(r"Code: (\d+)", text[start:])
    return EngineError(text[start:].strip(), int(code[1]) if code else 1002)  # UNKNOWN_EXCEPTION
