"""Pages of rows in the form that the request accepts: JSON, CSV or Arrow, with where to go on.

Shape: JSON {name: [rows], "next": marker or null}, times naive UTC; CSV with a header and an Arrow
    stream hold the rows alone. The header Link tells the next page in each.
"""

import base64
import binascii
import dataclasses
import datetime as dt
import io
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlencode

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from flask import Response, request
from pyarrow import csv

from store.queries.paging import Key, Marker
from store.queries.run import TableQuery
from webapi.errors import RequestError, invalid_input
from webapi.services import fetch_table

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
_FORMS: Final = (JSON, CSV, ARROW)
_LONGEST: Final = 4096  # characters of a marker
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_REACH: Final = 2**63


class PagedQuery(TableQuery, Protocol):
    """A question that is answered a page at a time: a frozen dataclass with `limit` and `after`."""

    @property
    def key(self) -> Key:
        """What rows are in the order of."""

    @property
    def limit(self) -> int:
        """Rows at the most."""


_Query = TypeVar("_Query", bound=PagedQuery)


def accepted_form() -> str:
    """Return the form to answer in. Raises RequestError (406)."""
    if not request.accept_mimetypes:
        return JSON
    form = request.accept_mimetypes.best_match(_FORMS)
    if form is None:
        raise RequestError(f"Only one of these can be answered: {', '.join(_FORMS)}", 406)
    return form


def page(name: str, query: _Query, hidden: tuple[str, ...] = ()) -> Response:
    """Return the answer's rows behind the request's marker, all but the query's last, which tells of more.

    Raises RequestError: a marker that is none; no form that is accepted.
    """
    form = accepted_form()
    after = _marker_from(request.args.get("marker"), query.key)
    found = fetch_table(dataclasses.replace(query, after=after))  # type: ignore[type-var]
    shown = query.limit - 1
    marker = _marker(found.slice(shown - 1, 1), query.key) if found.num_rows > shown else None
    rows = found.slice(0, shown).drop_columns(list(hidden))
    answer = Response(_BODIES[form](name, rows, marker), content_type=form)
    if marker is not None:
        arguments = [(k, v) for k, v in request.args.items(multi=True) if k != "marker"]
        url = f"{request.base_url}?{urlencode([*arguments, ('marker', marker)])}"
        answer.headers["Link"] = f'<{url}>; rel="next"'
    return answer


def _marker(row: pa.Table, key: Key) -> str:
    (values,) = row.to_pylist()
    told = [_told(values[column.name]) for column in key]
    return base64.urlsafe_b64encode(orjson.dumps(told)).decode().rstrip("=")


def _told(value: Any) -> str | int:
    if isinstance(value, dt.datetime):
        return (value - _EPOCH) // dt.timedelta(milliseconds=1)
    return "" if value is None else value  # an unknown owner


def _marker_from(text: str | None, key: Key) -> Marker | None:
    if text is None:
        return None
    try:
        padded = text[:_LONGEST] + "=" * (-len(text) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise _no_marker(text) from None
    if not isinstance(values, list) or len(values) != len(key):
        raise _no_marker(text)
    if not all(_fits(value, column.kind) for value, column in zip(values, key, strict=True)):
        raise _no_marker(text)
    return values


def _fits(value: object, kind: str) -> bool:
    if kind == "String":
        return isinstance(value, str)
    return type(value) is int and -_REACH <= value < _REACH


def _no_marker(text: str) -> RequestError:
    return invalid_input("marker", text[:100], "it is `next` of an answer to the same question")


def _json(name: str, rows: pa.Table, marker: str | None) -> bytes:
    return orjson.dumps({name: _naive(rows).to_pylist(), "next": marker})


def _csv(name: str, rows: pa.Table, marker: str | None) -> bytes:
    naive = _naive(rows)
    for number, field in enumerate(naive.schema):
        if pa.types.is_timestamp(field.type):
            told = pc.strftime(naive.column(number), "%Y-%m-%dT%H:%M:%S")
            naive = naive.set_column(number, field.name, told)
    into = io.BytesIO()
    csv.write_csv(naive, into)
    return into.getvalue()


def _arrow(name: str, rows: pa.Table, marker: str | None) -> bytes:
    into = io.BytesIO()
    with pa.ipc.new_stream(into, rows.schema) as stream:
        stream.write_table(rows)
    return into.getvalue()


def _naive(rows: pa.Table) -> pa.Table:
    """Return the rows with times as the API tells them: UTC without a zone."""
    timed = pa.types.is_timestamp
    fields = [
        pa.field(f.name, pa.timestamp(f.type.unit)) if timed(f.type) else f for f in rows.schema
    ]
    return rows.cast(pa.schema(fields))


_BODIES: Final = {JSON: _json, CSV: _csv, ARROW: _arrow}
