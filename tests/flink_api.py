"""`streamgauge api` beside the job on Flink: an alarm is created there, and called by what is pushed there."""

import random
import time
from collections.abc import Sequence
from typing import Any, Final

from tests.api_process import ApiProcess, ended
from tests.flink_job import SECONDS, Job
from tests.servers.rabbitmq import publish, wait_until
from tests.servers.receiver import receiving
from tests.soak.notifications import Message, measured

_SEED: Final = 4
_HOUR: Final = 3_600_000  # ms
_DELIVERED: Final = "streamgauge_deliveries_delivered"
_SERVICE: Final = "soak.notifications"  # the queue of the one process that is compared with


def watched_by_the_api(job: Job, meanwhile: Sequence[Message]) -> None:
    """The job learns of the alarm by the store, and of the sample by the queue that it is forwarded to."""
    assert job.broker is not None
    job.publish(meanwhile)
    api = ApiProcess(job.folder / "api", job.engine.database(), [job.source.feed()])
    with receiving() as receiver, ended(api):
        alarm_id = _create_alarm(api, receiver.url)
        an_hour_ago = int(time.time() * 1000) - _HOUR
        pushed = [measured(random.Random(_SEED), "embers", 90, an_hour_ago)]
        job.published += pushed
        publish(job.broker.url, "", _SERVICE, [one.body for one in pushed])
        api.push_payloads([one.body for one in pushed])
        receiver.await_calls(1, SECONDS)
        (call,) = receiver.calls
        told = {name: call.json[name] for name in ("alarm_id", "previous", "current")}
        assert told == {"alarm_id": alarm_id, "previous": "insufficient data", "current": "alarm"}
        wait_until(lambda: _state(api, alarm_id) == "alarm", "the state to be served", SECONDS)
        wait_until(lambda: _DELIVERED in _counted(job), "its delivery to be counted", SECONDS)
        assert api.stop() == 0


def _create_alarm(api: ApiProcess, url: str) -> str:
    rule = {
        "meter_name": "embers",
        "statistic": "max",
        "comparison_operator": "gt",
        "threshold": 80.0,
        "period": 86_400,
    }
    said = {"name": "embers", "type": "threshold", "threshold_rule": rule, "alarm_actions": [url]}
    code, made = api.ask("/v2/alarms", said, **{"X-Project-Id": "p", "X-User-Id": "user"})
    assert code == 201, made
    return str(made["alarm_id"])


def _state(api: ApiProcess, alarm_id: str) -> Any:
    return api.ask(f"/v2/alarms/{alarm_id}")[1]["state"]


def _counted(job: Job) -> dict[str, int]:
    return job.flink().counted(job.id, _DELIVERED)
