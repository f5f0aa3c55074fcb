"""What Ceilometer's http publisher posts, samples and events: POST /v1/ceilometer.

Guarantee: answered 201 only after the body is in the spool, as it came. Sent again it changes nothing:
    samples and events have ids of the agent's.
Errors: a body that is neither refuses the whole request; a sample that the job cannot take shows
    under invalid, and the others of its body go on, as the agent would drop all of them on a 400.
Source: Ceilometer 27's publisher/http.
"""

from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.envelope import parse_json
from metering.published import is_published, is_published_event, plain_sample
from metering.refusal import RefusedError
from sources.agent_message import signed
from webapi.errors import RequestError
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("agents", __name__)


@bp.post("/v1/ceilometer")
def post_published() -> ResponseReturnValue:
    """Take samples and events, one or a list; admin only. 400: one is neither; 503: the spool is full."""
    require_admin()
    body = request.get_data()
    most = services().config.decode.max_payload_bytes
    if len(body) > most:
        raise RequestError(f"{len(body)} bytes are too many for one request, {most} are taken", 413)
    published = _published(body)
    if published:
        services().spool.append([_for_spool(body, published)])
    return {"accepted": len(published)}, 201


def _published(body: bytes) -> list[dict[str, Any]]:
    """Return the samples and events of a body. Raises RequestError."""
    try:
        content = parse_json(body)
    except RefusedError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    listed = content if isinstance(content, list) else [content]
    for number, each in enumerate(listed):
        if not is_published(each):
            raise RequestError(
                f"entry {number}: neither a sample (name, type, volume, resource_id) nor an event"
                " (event_type, generated, traits); leave raw_only out of the publisher's address"
            )
    return listed


def _for_spool(body: bytes, published: list[dict[str, Any]]) -> bytes:
    """Return the body, its samples signed where the job asks for it: the publisher does not."""
    secret = services().config.decode.telemetry_secret
    if secret is None:
        return body
    key = secret.get_secret_value()
    return orjson.dumps(
        [
            each if is_published_event(each) else signed([plain_sample(each)], key)[0]
            for each in published
        ]
    )
