"""The service: everything in one process. `streamgauge run` and `streamgauge replay`."""

import dataclasses
import gc
import glob
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jobs.actions import ActionsError
from jobs.alarming import Trials
from jobs.code_pages import let_go_of_code, page_out_files
from jobs.embedded import EmbeddedJob
from jobs.resources import Resources, resources
from jobs.restate import Restater, restate_late
from jobs.signals import stopped_by_signals
from jobs.status import Status
from jobs.web import serve_web
from metering.config import Config
from sources.feed import FeedError
from store.client import StoreError
from transforms.counters import counted
from webapi.alarming import Alarming
from webapi.app import create_app
from webapi.serving import ServingError

_LET_GO: Final = 60.0  # s between two times that code is let go of
_SHOWN: Final = 1.0  # s between status lines on a terminal
_SHOWN_ELSEWHERE: Final = 30.0  # s between them where the output is a file


class ServiceError(Exception):
    """The service cannot start or go on; says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay took in, and what became of it."""

    payloads: int
    samples: int
    events: int
    invalid: int
    repeats: int
    conflicts: int


def run(config: Config) -> int:
    """Run the job, the API and the SQL endpoint until SIGINT or SIGTERM; return the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    with stopped_by_signals(stop), ExitStack() as open_things:
        held, job = _started(config, open_things)
        _collect_less()
        status = Status(held, job, version("streamgauge"))
        _serve(config, held, status, open_things)
        page_out_files()
        _tell(config)
        shown, let_go = time.monotonic(), -_LET_GO
        while not stop.wait(0.2) and not (job.ended.is_set() or held.delivering.ended.is_set()):
            if time.monotonic() - let_go >= _LET_GO:
                let_go = time.monotonic()
                let_go_of_code()
            if time.monotonic() - shown >= (_SHOWN if sys.stdout.isatty() else _SHOWN_ELSEWHERE):
                shown = time.monotonic()
                _show(status())
        print("\nstopping: writing and acknowledging what was taken in", flush=True)
        job.stop()
    for what, failure in (("the job", job.failure), ("deliveries", held.delivering.failure)):
        if failure is not None:
            raise ServiceError(f"{what} ended: {_sentence(failure)}") from failure
    print("stopped", flush=True)
    return 0


def replay(
    config: Config,
    paths: Sequence[Path],
    speed: float | None,
    shift_to_now: bool,
    progress: Callable[[int, int], None],
) -> ReplayResult:
    """Run the job over files, without a service, to their end. Raises ServiceError."""
    files = {"type": "files", "paths": [glob.escape(str(path)) for path in paths]}
    files |= {"speed": speed, "shift_to_now": shift_to_now}
    bounded = config.model_copy(update={"feeds": [files]})
    names = [field.name for field in dataclasses.fields(ReplayResult)]
    before = {name: counted(name) for name in names}
    began = int(time.time())
    stop = threading.Event()
    with stopped_by_signals(stop), ExitStack() as open_things:
        held, job = _started(bounded, open_things, to_the_end=True)
        feed = held.hub.feeds["files"]
        while not stop.is_set() and not job.ended.wait(0.2):
            progress(*feed.progress())  # type: ignore[attr-defined]
        job.stop()
        if job.failure is None:
            restate_late(_restater(held), began)
        progress(*feed.progress())  # type: ignore[attr-defined]
        failed = feed.status()["last_error"] or held.hub.failed("files")
    if job.failure is not None:
        raise ServiceError(f"the job ended: {_sentence(job.failure)}") from job.failure
    if failed:
        raise ServiceError(failed)
    return ReplayResult(**{name: counted(name) - before[name] for name in names})


def _started(
    config: Config, open_things: ExitStack, to_the_end: bool = False
) -> tuple[Resources, EmbeddedJob]:
    try:
        held = resources(config)
        open_things.callback(held.close)
        hub = held.hub
    except (StoreError, FeedError) as error:
        raise ServiceError(str(error)) from error
    if to_the_end:
        hub.end_with_feeds({"files"})
    else:
        _deliver(config, held, open_things)
    job = EmbeddedJob(held)
    job.start()
    return held, job


def _deliver(config: Config, held: Resources, open_things: ExitStack) -> None:
    try:
        held.delivering.start(held.store, config.alarms.actions, held.alarms)
    except ActionsError as error:
        raise ServiceError(str(error)) from error
    open_things.callback(held.delivering.close)


def _serve(config: Config, held: Resources, status: Status, open_things: ExitStack) -> None:
    try:
        restater, alarming = _restater(held), _alarming(held)
        app = create_app(config, held.store, held.spool, status, restater, alarming)
        serve_web(config, app, held.store, open_things)
    except ServingError as error:
        held.hub.stop()
        raise ServiceError(str(error)) from error


def _alarming(held: Resources) -> Alarming:
    trials = Trials(held.store, held.lag, lambda: held.alarms.moment.watermark)
    delivering = held.delivering
    return Alarming(delivering.trusts, trials.dry_run, trials.explain, delivering.offer)


def _restater(held: Resources) -> Restater:
    return Restater(held.config, held.store, held.restated.put)


def _collect_less() -> None:
    """Look for garbage seldom: millions of rows come and go that hold no cycles."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _tell(config: Config) -> None:
    url = f"http://{config.api.listen}"
    feeds = ", ".join(str(feed.get("name") or feed.get("type")) for feed in config.feeds)
    print(f"Streamgauge {version('streamgauge')} is metering: {feeds or 'only what is pushed'}.")
    print(f"  API          {url}/v2/meters   (and {url}/openapi.json)")
    if config.sql.password is not None:
        print(f"  SQL          http://{config.sql.listen}   user {config.sql.user}")
    print("Try, in another terminal:")
    print("  .venv/bin/streamgauge meter list")
    print("  .venv/bin/streamgauge statistics cpu --period 60")
    print("  .venv/bin/streamgauge status", flush=True)


def _show(status: dict[str, Any]) -> None:
    line = (
        f"{status['samples_per_second']:>9,.0f} samples/s   {status['samples']:,} samples"
        f"   {status['events']:,} events   lag {status['lag_seconds']:.2f} s"
        f"   last error: {status['last_error'] or 'none'}"
    )
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line[:150]}", end="", flush=True)
    else:
        print(line, flush=True)


def _sentence(failure: BaseException) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[-1]
