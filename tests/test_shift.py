"""A message moved in time is another message: its times and its message ids change, nothing else."""

import json

from sources.shift import shifted

SAMPLE = {"message_id": "s1", "timestamp": "2026-11-22T10:00:00.5+00:00", "resource_id": "r"}
INNER = {"message_id": "m1", "timestamp": "2026-11-22 10:00:00", "payload": {"samples": [SAMPLE]}}
ENVELOPE = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(INNER)}).encode()


def _inner(body: bytes) -> dict:
    return json.loads(json.loads(body)["oslo.message"])


def test_times_move_by_the_same_seconds_inside_an_envelope_too() -> None:
    moved = _inner(shifted(ENVELOPE, 3600))
    assert moved["timestamp"] == "2026-11-22 11:00:00"
    assert moved["payload"]["samples"][0]["timestamp"] == "2026-11-22T11:00:00.5+00:00"
    assert moved["payload"]["samples"][0]["resource_id"] == "r"


def test_message_ids_follow_the_move_and_nothing_else() -> None:
    once, again, further = (_inner(shifted(ENVELOPE, by)) for by in (3600, 3600, 7200))
    assert once == again
    ids = {_id for moved in (once, further, INNER) for _id in (moved["message_id"], moved["payload"]["samples"][0]["message_id"])}  # fmt: skip
    assert len(ids) == 6


def test_a_message_that_stays_is_the_same_byte_for_byte() -> None:
    assert shifted(ENVELOPE, 0) is ENVELOPE
