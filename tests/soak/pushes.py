"""Pushing by HTTP to a service that is killed meanwhile: each push is sent until it is answered."""

import dataclasses
import itertools
import threading
import time
from collections import Counter
from typing import Any, Final

import requests

from metering.identity import content_id
from metering.timestamps import iso

BASE: Final = int(time.time()) // 3600 * 3_600_000  # ms; a full hour
PAUSE: Final = 0.02  # s between two pushes, and before one is sent again
PATIENCE: Final = 120.0  # s that the last push may take
GNOCCHI: Final = "/gnocchi/v1/batch/resources/metrics/measures?create_metrics=true"
CLOUDEVENT: Final = "application/cloudevents+json"
METERS: Final = ("pushed.http", "image.download", "pushed.v2")
EVENTS: Final = ("pushed.http", "pushed.cloud", "pushed.raw")


@dataclasses.dataclass
class Expected:
    """What there must be of what was answered."""

    samples: Counter[tuple[str, str, str, float, int]]  # meter, type, resource, volume, ms
    events: Counter[tuple[str, str]]  # type, message id
    invalid: Counter[tuple[str, str]]  # reason, id of the sample


class Pusher:
    """Pushes in a thread, by every route in turn, every third of it twice."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._stop = threading.Event()
        self._ends = 0.0  # monotonic s; when to give up, once it is to stop
        self._thread = threading.Thread(target=self._run)
        self.expected = Expected(Counter(), Counter(), Counter())
        self.answered = 0
        self.sent_again = 0  # as nobody answered, or not yet
        self.failure: BaseException | None = None

    def __enter__(self) -> "Pusher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End once the push under way is answered; raises what went wrong."""
        self._stop.set()
        self._thread.join()
        self._session.close()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        routes = (self._http, self._event, self._gnocchi, self._cloud, self._v2, self._raw)
        try:
            for number in itertools.count():
                if self._stop.wait(PAUSE):
                    return
                push = routes[number % len(routes)]
                for _ in range(2 if number % 3 == 0 else 1):
                    push(number)
                self.answered += 1
        except BaseException as failure:
            self.failure = failure  # for who stops it
            raise

    def _post(self, path: str, body: Any, kind: str = "application/json") -> requests.Response:
        """Send until there is an answer other than 503."""
        while True:
            try:
                answer = self._session.post(
                    self._url + path, json=body, headers={"Content-Type": kind}, timeout=30
                )
            except requests.RequestException:  # killed before, or in the middle of its answer
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            self.sent_again += 1
            self._ends = self._ends or (time.monotonic() + PATIENCE if self._stop.is_set() else 0)
            assert not self._ends or time.monotonic() < self._ends, f"nobody answers {path}"
            threading.Event().wait(PAUSE)

    def _taken(self, path: str, body: Any, kind: str = "application/json") -> None:
        answer = self._post(path, body, kind)
        assert answer.status_code in (201, 202), answer.text

    def _http(self, number: int) -> None:
        good = {
            "name": "pushed.http",
            "type": "delta",
            "unit": "B",
            "volume": number,
            "resource_id": f"r-{number % 7}",
            "timestamp": _time(number),
            "id": f"http-{number}",
        }
        bad = {**good, "id": f"bad-{number}", "volume": "much"}
        self._taken("/v1/ceilometer", [good, bad])
        row = ("pushed.http", "delta", good["resource_id"], float(number), BASE + number)
        self.expected.samples[row] = 1
        self.expected.invalid["bad_volume", bad["id"]] = 1

    def _event(self, number: int) -> None:
        event = {
            "event_type": "pushed.http",
            "message_id": f"event-{number}",
            "generated": _time(number),
            "traits": [["number", 2, number]],
            "raw": {},
        }
        self._taken("/v1/ceilometer", [event])
        self.expected.events["pushed.http", f"event-{number}"] = 1

    def _gnocchi(self, number: int) -> None:
        resource = f"g-{number % 5}"
        measures = [{"timestamp": _time(number), "value": number}]
        body = {resource: {"image.download": {"measures": measures, "unit": "B"}}}
        while (answer := self._post(GNOCCHI, body)).status_code == 400:
            assert answer.json()["description"]["cause"] == "Unknown resources", answer.text
            told = {"id": resource, "project_id": "p", "user_id": "u"}
            assert self._post("/gnocchi/v1/resource/image", told).status_code in (201, 409)
        assert answer.status_code == 202, answer.text
        row = ("image.download", "delta", resource, float(number), BASE + number)
        self.expected.samples[row] = 1

    def _cloud(self, number: int) -> None:
        event = {
            "specversion": "1.0",
            "id": str(number),
            "source": "/here",
            "type": "pushed.cloud",
            "time": _time(number) + "Z",
        }
        self._taken("/v1/events", event, CLOUDEVENT)
        named = content_id((len("/here"), "/here", str(number)))
        self.expected.events["pushed.cloud", named] = 1

    def _v2(self, number: int) -> None:
        sample = {
            "counter_name": "pushed.v2",
            "counter_type": "gauge",
            "counter_unit": "B",
            "counter_volume": number,
            "resource_id": f"v-{number % 3}",
            "project_id": "p",
            "timestamp": _time(number),
        }
        self._taken("/v2/meters/pushed.v2", [sample])
        row = ("pushed.v2", "gauge", f"v-{number % 3}", float(number), BASE + number)
        self.expected.samples[row] = 1

    def _raw(self, number: int) -> None:
        notification = {
            "event_type": "pushed.raw",
            "message_id": f"raw-{number}",
            "publisher_id": "here",
            "priority": "INFO",
            "timestamp": _time(number),
            "payload": {},
        }
        self._taken("/v1/payloads", notification, "application/x-ndjson")
        self.expected.events["pushed.raw", f"raw-{number}"] = 1


def _time(number: int) -> str:
    """Return a time of its own for each push, a millisecond apart."""
    assert number < 3_600_000
    return iso(BASE + number)


def found(query: Any) -> Expected:
    """Return what is stored of pushes."""
    samples = query(
        "SELECT meter, type, resource_id, volume, toUnixTimestamp64Milli(timestamp)"
        f" FROM metering.v_samples WHERE meter IN {METERS}"
    )
    events = query(
        f"SELECT event_type, message_id FROM metering.v_events WHERE event_type IN {EVENTS}"
    )
    invalid = query(
        "SELECT reason, JSONExtractString(payload, 'message_id') FROM metering.v_invalid"
    )
    return Expected(Counter(samples), Counter(events), Counter(invalid))
