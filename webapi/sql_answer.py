"""An answer of the SQL endpoint: a result with ClickHouse's headers, or an error as ClickHouse tells it."""

import json
import secrets
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from flask import Response

from store.embedded import Block, EngineError, Session
from webapi.sql_blocks import packed
from webapi.sql_encodings import encoded
from webapi.sql_request import SqlRequest

_AT_ONCE: Final = 4 * 1024**2  # bytes of a result that are held to count it before it is sent
_TYPES: Final = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
}
# HTTP's status by ClickHouse's code; any other is 500, as ClickHouse has it.
_STATUS: Final = {
    **dict.fromkeys((36, 42, 43, 53, 62, 456, 457), 400),
    **dict.fromkeys((164, 497), 403),
    **dict.fromkeys((46, 47, 60, 81, 115), 404),
}


def result(
    request: SqlRequest, form: str, blocks: Iterator[Block], session: Session, timezone: str
) -> Response:
    """Return the answer that sends these blocks, and closes the session after the last one.

    Raises EngineError where the first blocks already tell a failure.
    """
    started = time.monotonic_ns()
    first: list[Block] = []
    held, more = 0, True
    while more and held < _AT_ONCE:
        block = next(blocks, None)
        more = block is not None
        if block is not None:
            first.append(block)
            held += len(block.data)
    tag = secrets.token_hex(8)
    rest = _rest(blocks, tag) if more else iter(())
    data = _chunks((block.data for block in first), rest)
    if request.blocks:
        body: Iterator[bytes] = map(packed, filter(None, data))
    else:
        body = encoded(data, request.encoding)
    sent: Iterable[bytes] = body if more else [b"".join(body)]
    answer = Response(sent, content_type=_TYPES.get(form, "application/octet-stream"))
    answer.call_on_close(lambda: _finish(blocks, session))
    _tell(answer, request, form, timezone)
    answer.headers["X-ClickHouse-Summary"] = _summary(first, time.monotonic_ns() - started)
    if request.encoding and not request.blocks:
        answer.headers["Content-Encoding"] = request.encoding
    if more:
        answer.headers["X-ClickHouse-Exception-Tag"] = tag
    return answer


def error(message: str, code: int, status: int | None = None) -> Response:
    """Return the answer that tells a failure; the status follows from ClickHouse's code."""
    answer = Response(f"{message.rstrip()}\n", status=status or _STATUS.get(code, 500))
    answer.content_type = "text/plain; charset=UTF-8"
    answer.headers["X-ClickHouse-Exception-Code"] = str(code)
    if answer.status_code == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    return answer


def _finish(blocks: Iterator[Block], session: Session) -> None:
    """Let go of the engine: of a stream that the client has left, too, and of that first."""
    if isinstance(blocks, Generator):
        blocks.close()
    session.close()


def _tell(answer: Response, request: SqlRequest, form: str, timezone: str) -> None:
    answer.headers["X-ClickHouse-Server-Display-Name"] = "streamgauge"
    answer.headers["X-ClickHouse-Query-Id"] = "".join(filter(str.isprintable, request.query_id))
    answer.headers["X-ClickHouse-Format"] = form
    answer.headers["X-ClickHouse-Timezone"] = timezone


def _summary(blocks: list[Block], elapsed: int) -> str:
    totals = {
        "read_rows": sum(block.read_rows for block in blocks),
        "read_bytes": sum(block.read_bytes for block in blocks),
        "written_rows": 0,
        "written_bytes": 0,
        "total_rows_to_read": 0,
        "result_rows": sum(block.rows for block in blocks),
        "result_bytes": sum(len(block.data) for block in blocks),
        "elapsed_ns": elapsed,
    }
    return json.dumps({name: str(value) for name, value in totals.items()})


def _chunks(first: Iterable[bytes], rest: Iterable[bytes]) -> Iterator[bytes]:
    yield from first
    yield from rest


def _rest(blocks: Iterator[Block], tag: str) -> Iterator[bytes]:
    """Yield what is still to come; a failure now can only be told in the middle of it."""
    try:
        for block in blocks:
            yield block.data
    except EngineError as failure:
        text = str(failure)
        told = (
            f"\r\n__exception__\r\n{tag}\r\n{text}\n{len(text.encode())} {tag}\r\n__exception__\r\n"
        )
        yield told.encode()
