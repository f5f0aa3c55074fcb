"""ClickHouse's HTTP interface over the embedded engine, for analysts: queries only, within bounds.

Source: ClickHouse's HTTP interface, as clickhouse-connect, its JDBC driver and Grafana's source use it.
Errors: as ClickHouse tells them: text, X-ClickHouse-Exception-Code and a status.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Final

from flask import Flask, Response, request

from metering.config import Config
from store.client import Store
from store.embedded import STREAMED, Block, EngineError, Session
from store.readonly import Examiner, RefusedStatementError, Statement
from webapi import sql_answer
from webapi.serving import ServingError
from webapi.sql_request import (
    SqlRequest,
    SqlRequestError,
    bounds_of,
    check_credentials,
    harmless_settings,
    request_from,
)

_MOST_BODY: Final = 8 * 1024**2  # bytes of a person's request, also decompressed
_MOST_WRITTEN: Final = 1024**3  # the same where writing is let through
_INSERT: Final = re.compile(rb"\s*(INSERT\s+INTO\s[^;]*?)\sFORMAT\s+(\w+)[ \t]*\n", re.I | re.S)
_FORMAT: Final = re.compile(r"\sFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)


def create_sql_app(config: Config, store: Store, *, writable: bool = False) -> Flask:
    """Return the endpoint's application over this store's engine. Raises ServingError.

    `writable` lets every statement through, whatever it does, and is no one's to configure: it is
    how tests run the store's own code over HTTP.
    """
    if config.sql.password is None or not config.sql.password.get_secret_value():
        raise ServingError("sql.password: the SQL endpoint needs one; it is off without")
    if not store.embedded:
        raise ServingError("database.url: a ClickHouse server has its own HTTP interface; use that")
    most = _MOST_WRITTEN if writable else _MOST_BODY
    app = Flask("webapi.sql", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = most
    app.config["MAX_FORM_MEMORY_SIZE"] = most
    runner = _Writer(store) if writable else _Reader(config, store)

    @app.route("/", methods=["GET", "POST"])
    def run() -> Response:
        wanted = request_from(request, most)
        if not wanted.body and request.method == "GET":
            return _fine()
        check_credentials(request, config.sql)
        return runner.answer(wanted)

    app.add_url_rule("/ping", "ping", _fine)
    app.register_error_handler(
        SqlRequestError, lambda e: sql_answer.error(str(e), e.code, e.status)
    )
    app.register_error_handler(RefusedStatementError, lambda e: sql_answer.error(str(e), e.code))
    app.register_error_handler(EngineError, lambda e: sql_answer.error(str(e), e.code))
    return app


def _fine() -> Response:
    return Response("Ok.\n", content_type="text/html; charset=UTF-8")


class _Reader:
    """Runs what a person may ask."""

    def __init__(self, config: Config, store: Store) -> None:
        self._sql = config.sql
        self._path = store.database.path
        self._name = store.name
        with Session(self._path, {}) as session:
            self._examiner = Examiner(session, store.name)
            self._timezone = session.run("SELECT timezone()").data.decode().strip()

    def answer(self, wanted: SqlRequest) -> Response:
        """Return the answer to a statement that may run."""
        bounds, harmless = bounds_of(wanted, self._sql), harmless_settings(wanted)
        self._examiner.check_database(wanted.database or self._name)
        with ExitStack() as undo:
            session = undo.enter_context(Session(self._path, bounds))
            statement = self._examiner.examine(session, wanted.statement, wanted.parameters)
            form = statement.format or wanted.format
            if not re.fullmatch(r"\w+", form):
                raise SqlRequestError(f"{form!r} is no format", 73, 400)
            session.use(wanted.database or self._name)
            # After the examination, which they must not bend. The bounds stay.
            session.set(harmless | {"readonly": "2"})
            blocks = _blocks(session, statement, wanted, form)
            answer = sql_answer.result(wanted, form, blocks, session, self._timezone)
            undo.pop_all()  # the answer closes the session
        return answer


def _blocks(
    session: Session, statement: Statement, wanted: SqlRequest, form: str
) -> Iterator[Block]:
    """Yield the result, block by block where the format can be sent that way."""
    if not statement.rows or wanted.whole or form not in STREAMED:
        whole = session.run(statement.sql, form, wanted.parameters)
        yield whole
        none = not whole.data
    else:
        session.set({"max_result_bytes": wanted.settings.get("max_result_bytes", "0")})
        none = True
        with closing(session.stream(statement.sql, form, wanted.parameters)) as stream:
            for block in stream:
                none = False
                yield block
    if none and statement.rows and form == "Native":
        yield Block(session.empty_native(statement.sql, wanted.parameters), 0, 0, 0)


class _Writer:
    """Runs anything."""

    def __init__(self, store: Store) -> None:
        self._path = store.database.path

    def answer(self, wanted: SqlRequest) -> Response:
        """Return the answer to any statement."""
        with ExitStack() as undo:
            session = undo.enter_context(Session(self._path, wanted.settings))
            if wanted.database:
                session.use(wanted.database)
            insert = _INSERT.match(wanted.body)
            if insert is not None and insert[2].upper() != b"VALUES":
                session.insert(insert[1].decode(), insert[2].decode(), wanted.body[insert.end() :])
                blocks: Iterator[Block] = iter(())
                form = "TabSeparated"
            else:
                text = wanted.body.decode()
                named = _FORMAT.search(text)
                form = named[1] if named else wanted.format
                blocks = iter([session.run(text, form, wanted.parameters)])
            answer = sql_answer.result(wanted, form, blocks, session, "UTC")
            undo.pop_all()
        return answer
