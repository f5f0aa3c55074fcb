"""A request to the SQL endpoint: its statement, parameters, settings and credentials.

Source: ClickHouse's HTTP interface; its clients put these in the URL, headers or a multipart form.
"""

import dataclasses
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import Final

from flask import Request

from metering.config import Sql
from webapi.sql_blocks import unpacked
from webapi.sql_encodings import ENCODINGS, decoded

AUTHENTICATION_FAILED: Final = 516
_BAD_ARGUMENTS: Final = 36
_MOST_STATEMENT: Final = 1024**2  # bytes of a statement
_MOST_RESULT_SHARE: Final = 4  # a result that is not streamed may take a fourth of the memory

# What the interface takes for itself, and what would change nothing here.
_TRANSPORT_NAMES: Final = """
    add_http_cors_header async_insert wait_for_async_insert allow_experimental_analyzer buffer_size
    cancel_http_readonly_queries_on_client_close client_protocol_version compress connect_timeout
    database decompress default_format enable_http_compression http_connection_timeout
    http_headers_progress_interval_ms http_receive_timeout http_response_buffer_size
    http_send_timeout http_write_exception_in_output_format log_comment log_queries
    network_compression_method password query query_id quota_key readonly receive_timeout role
    send_logs_level send_progress_in_http_headers send_timeout session_check session_id
    session_timeout use_client_time_zone user wait_end_of_query
"""
_TRANSPORT: Final = frozenset(_TRANSPORT_NAMES.split())
# What only shapes a result, or asks for less.
_HARMLESS: Final = re.compile(
    r"output_format_\w+|date_time_(?:in|out)put_format|cast_\w+|join_use_nulls|join_default_strictness"
    r"|max_(?:rows_to_read|bytes_to_read|result_rows|threads|block_size|rows_to_group_by)"
    r"|format_csv_delimiter|format_(?:tsv|csv)_null_representation|limit|offset|extremes|session_timezone|final|group_by_use_nulls|union_default_mode"
    r"|prefer_column_name_to_alias|aggregate_functions_null_for_empty|transform_null_in"
    r"|allow_experimental_\w+_type|enable_json_type"
)
_BOUNDED: Final = frozenset({"max_execution_time", "max_memory_usage", "max_result_bytes"})


class SqlRequestError(Exception):
    """The request cannot be served as it is; `code` is ClickHouse's, `status` HTTP's."""

    def __init__(self, message: str, code: int, status: int) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.code = code
        self.status = status


@dataclasses.dataclass(frozen=True, slots=True)
class SqlRequest:
    """What a client asks for."""

    body: bytes  # the statement; data after it where it is an INSERT
    parameters: dict[str, str]
    settings: dict[str, str]  # as asked, without what the interface takes for itself
    database: str
    format: str  # where the statement names none
    query_id: str
    whole: bool  # the whole result at once, not streamed
    blocks: bool  # compressed the way ClickHouse's own clients ask for (compress=1)
    encoding: str  # of the answer, one of ENCODINGS; "" is none

    @property
    def statement(self) -> str:
        """The statement as text. Raises SqlRequestError."""
        if len(self.body) > _MOST_STATEMENT:
            raise SqlRequestError(f"a statement has at most {_MOST_STATEMENT} bytes", 62, 400)
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise SqlRequestError("a statement is UTF-8 text", 62, 400) from None


def request_from(request: Request, most: int) -> SqlRequest:
    """Return what is asked for; `most` bytes are taken. Raises SqlRequestError."""
    form = dict(request.form) if request.mimetype == "multipart/form-data" else {}
    if request.mimetype == "multipart/form-data" and request.files:
        raise SqlRequestError("external data is not taken", _BAD_ARGUMENTS, 400)
    args = {**request.args.to_dict(), **form}
    parts = [args.get("query", "").encode(), b"" if form else _body(request, args, most)]
    compressed = args.get("enable_http_compression") == "1"
    return SqlRequest(
        body=b"\n".join(filter(None, parts)),
        parameters={name[6:]: value for name, value in args.items() if name.startswith("param_")},
        settings={
            name: value
            for name, value in args.items()
            if name not in _TRANSPORT and not name.startswith("param_")
        },
        database=args.get("database") or request.headers.get("X-ClickHouse-Database", ""),
        format=args.get("default_format")
        or request.headers.get("X-ClickHouse-Format", "TabSeparated"),
        query_id=args.get("query_id") or str(uuid.uuid4()),
        whole=args.get("wait_end_of_query") == "1",
        blocks=args.get("compress") == "1",
        encoding=_accepted(request) if compressed else "",
    )


def check_credentials(request: Request, sql: Sql) -> None:
    """Let only a request pass that has the configured user and password. Raises SqlRequestError."""
    user, password = _credentials(request)
    assert sql.password is not None
    expected = sql.user.encode(), sql.password.get_secret_value().encode()
    same = hmac.compare_digest(user.encode(), expected[0])
    if not hmac.compare_digest(password.encode(), expected[1]) or not same:
        raise SqlRequestError(
            f"{user}: Authentication failed: password is incorrect, or there is no user with such"
            " name (AUTHENTICATION_FAILED)",
            AUTHENTICATION_FAILED,
            403 if password else 401,
        )


def bounds_of(request: SqlRequest, sql: Sql) -> dict[str, str]:
    """Return the settings that bound a person's query: as asked, but never more than configured.

    Raises SqlRequestError.
    """
    bounds = {
        "max_execution_time": sql.query_seconds,
        "max_memory_usage": float(sql.query_memory),
        "max_result_bytes": float(sql.query_memory // _MOST_RESULT_SHARE),
    }
    lesser = {name: _lesser(name, bound, request) for name, bound in bounds.items()}
    return lesser | {
        "max_query_size": str(4 * _MOST_STATEMENT),
        "result_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
    }


def harmless_settings(request: SqlRequest) -> dict[str, str]:
    """Return the other settings that are asked for. Raises SqlRequestError for one that is not taken."""
    settings = {name: value for name, value in request.settings.items() if name not in _BOUNDED}
    for name in settings:
        if not _HARMLESS.fullmatch(name):
            raise SqlRequestError(f"the setting {name} cannot be set here (READONLY)", 164, 403)
    return settings


def _lesser(name: str, bound: float, request: SqlRequest) -> str:
    try:
        wanted = float(request.settings.get(name, bound))
    except ValueError:
        raise SqlRequestError(f"{name} is a number", _BAD_ARGUMENTS, 400) from None
    lesser = min(wanted, bound) if wanted > 0 else bound  # 0 is no bound, to the engine
    return f"{lesser:.3f}" if name == "max_execution_time" else str(int(lesser))


def _credentials(request: Request) -> tuple[str, str]:
    headers = request.headers
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")
    given = request.authorization
    if given is not None and given.type == "basic":
        return given.username or "default", given.password or ""
    return request.args.get("user", "default"), request.args.get("password", "")


def _accepted(request: Request) -> str:
    """Return the first encoding the client lists that is known here: it lists the best one first."""
    given = request.headers.get("Accept-Encoding", "").lower().split(",")
    names = (part.split(";")[0].strip() for part in given)
    return next((name for name in names if name in ENCODINGS), "")


def _body(request: Request, args: Mapping[str, str], most: int) -> bytes:
    body = request.get_data(parse_form_data=False)
    try:
        if args.get("decompress") == "1":
            return unpacked(body, most)
        return decoded(body, request.headers.get("Content-Encoding", ""), most)
    except ValueError as error:
        raise SqlRequestError(f"the body cannot be decompressed: {error}", 271, 400) from error
