"""Alarms and their history by a complex query: POST /v2/query/alarms and /v2/query/alarms/history."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.alarm_history import CHANGE_FIELDS, AlarmHistoryQuery
from store.queries.alarms import ALARM_FIELDS, AlarmQuery
from webapi.alarm_lookup import found
from webapi.alarm_shapes import change_json
from webapi.complex_query import Vocabulary, complex_query
from webapi.fields import check_arguments
from webapi.scope import current_scope
from webapi.services import fetch, services

bp: Final = Blueprint("query_alarms", __name__, url_prefix="/v2/query/alarms")

_ALARM_TIMES: Final = ("timestamp", "state_timestamp", "evaluate_timestamp")
_TRUTHS: Final = ("enabled", "repeat_actions")
_SHORT: Final = {"user": "user_id", "project": "project_id"}


def _vocabulary(what: str, owner: str, fields: dict[str, str]) -> Vocabulary:
    texts = [name for name in fields if name not in (*_ALARM_TIMES, *_TRUTHS)]
    return Vocabulary(
        what,
        owner,
        texts=_SHORT | {name: name for name in texts},
        times={name: name for name in _ALARM_TIMES if name in fields},
        truths={name: name for name in _TRUTHS if name in fields},
    )


_ALARMS: Final = _vocabulary("alarms", "project_id", ALARM_FIELDS)
_CHANGES: Final = _vocabulary("the history of alarms", "on_behalf_of", CHANGE_FIELDS)


@bp.post("")
def query_alarms() -> ResponseReturnValue:
    """Alarms that a filter takes, in an order. 400: a filter, order or limit that is none."""
    check_arguments(request.args, frozenset())
    asked = complex_query(current_scope(), _ALARMS, services().config.api.max_limit)
    order = asked.order or [("timestamp", "desc")]
    return [found(row).to_json() for row in fetch(AlarmQuery(asked.where, asked.limit, order))]


@bp.post("/history")
def query_history() -> ResponseReturnValue:
    """Entries of the history that a filter takes, in an order. 400: as for alarms."""
    check_arguments(request.args, frozenset())
    asked = complex_query(current_scope(), _CHANGES, services().config.api.max_limit)
    order = asked.order or [("timestamp", "desc")]
    return [change_json(row) for row in fetch(AlarmHistoryQuery(asked.where, asked.limit, order))]
