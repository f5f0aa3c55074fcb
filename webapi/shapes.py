"""How samples, meters and resources look in JSON. Unknown owners are null, metadata values are text."""

import base64
import functools
from typing import Any
from urllib.parse import quote

import orjson

from webapi.sample_id import sample_id


def sample(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as /v2/samples and complex queries give it."""
    return {
        "id": sample_id(row),
        "meter": row["meter"],
        "type": row["type_"],
        "unit": row["unit"],
        "volume": row["volume"],
        "metadata": metadata_texts(row["metadata"]),
        **_about(row),
    }


def old_sample(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as /v2/meters/{name} gives it."""
    return {
        "counter_name": row["meter"],
        "counter_type": row["type_"],
        "counter_unit": row["unit"],
        "counter_volume": row["volume"],
        "resource_metadata": metadata_texts(row["metadata"]),
        "message_id": sample_id(row),
        **_about(row),
    }


def _about(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "user_id": row["user_id"] or None,
        "project_id": row["project_id"] or None,
        "resource_id": row["resource_id"],
        "source": row["source"],
        "timestamp": row["timestamp"],
        "recorded_at": row["recorded_at"],
    }


def meter(row: dict[str, Any]) -> dict[str, Any]:
    """Return one meter of one resource."""
    _, kind, unit, user_id, project_id, source = row["newest_"]
    return {
        "name": row["meter"],
        "type": kind,
        "unit": unit,
        "resource_id": row["resource_id"],
        "project_id": project_id or None,
        "user_id": user_id or None,
        "source": source,
        "meter_id": _base64(f"{row['resource_id']}+{row['meter']}"),
    }


def unique_meter(row: dict[str, Any]) -> dict[str, Any]:
    """Return a meter of any resource."""
    _, kind, unit = row["newest_"]
    none = dict.fromkeys(("resource_id", "project_id", "user_id", "source"))
    named = {"name": row["meter"], "type": kind, "unit": unit}
    return {**named, **none, "meter_id": _base64(row["meter"])}


def resource(row: dict[str, Any], root: str, meter_links: bool) -> dict[str, Any]:
    """Return a resource, with links under the API's root to itself and, if wanted, to its meters."""
    last, user_id, project_id, source, metadata = row["newest_"]
    name = quote(row["resource_id"], safe="")
    links = [{"rel": "self", "href": f"{root}/v2/resources/{name}"}]
    if meter_links:
        query = f"?q.field=resource_id&q.value={name}"
        links += [
            {"rel": one, "href": f"{root}/v2/meters/{quote(one, safe='')}{query}"}
            for one in row["meters"]
        ]
    return {
        "resource_id": row["resource_id"],
        "project_id": project_id or None,
        "user_id": user_id or None,
        "source": source,
        "first_sample_timestamp": row["first_"],
        "last_sample_timestamp": last,
        "metadata": metadata_texts(metadata),
        "links": links,
    }


@functools.lru_cache(maxsize=1024)
def metadata_texts(metadata: str) -> dict[str, str]:
    """Return flattened metadata with its values as text; not to be changed, as it is shared."""
    return {key: _text(value) for key, value in orjson.loads(metadata or "{}").items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return (
        str(value) if isinstance(value, bool | int | float | None) else orjson.dumps(value).decode()
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
