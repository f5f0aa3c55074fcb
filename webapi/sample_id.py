"""A sample's id: its message id while that is kept, else a text that names the sample by its key.

Message ids are forgotten after a day; both forms find the sample again while it has one.
"""

import base64
import binascii
from typing import Any, Final

import orjson

from store.queries.predicate import Predicate, milliseconds
from store.queries.samples import MessageId, SampleKey

_PREFIX: Final = "key-"  # then URL-safe base64 of the key as a JSON list


def sample_id(row: dict[str, Any]) -> str:
    """Return the id of a row of SampleQuery."""
    if row["message_id"]:
        return str(row["message_id"])
    key = [row["meter"], row["project_id"], row["resource_id"]]
    packed = orjson.dumps([*key, milliseconds(row["timestamp"]), row["variant"]])
    return _PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def id_predicate(text: str) -> Predicate:
    """Return what finds the sample of an id of either form."""
    return _key(text) or MessageId(text)


def _key(text: str) -> SampleKey | None:
    if not text.startswith(_PREFIX):
        return None
    packed = text[len(_PREFIX) :].encode("utf-8", "replace")
    try:
        found = orjson.loads(base64.urlsafe_b64decode(packed + b"=" * (-len(packed) % 4)))
    except (binascii.Error, orjson.JSONDecodeError):
        return None
    match found:
        case [str(meter), str(project_id), str(resource_id), int(timestamp), int(variant)]:
            in_reach = abs(timestamp) < 2**53 and 0 <= variant < 2**32
            return (
                SampleKey(meter, project_id, resource_id, timestamp, variant) if in_reach else None
            )
    return None
