"""The job in this process: Beam's in-process runner in a thread, until its feeds end or are stopped."""

import logging
import threading
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from jobs import pipeline, runner_leak
from jobs.resources import Resources, parts

_PATIENCE: Final = 60.0  # s; for the last bundle to be written
_log = logging.getLogger(__name__)


class EmbeddedJob:
    """Runs the pipeline over these resources, and opens their feeds. Raises FeedError, ConfigError.

    Errors: what fails a bundle ends the job; `failure` says what it was. Nothing of that bundle is
        acknowledged.
    """

    def __init__(self, held: Resources) -> None:
        self._held = held
        self._hub = held.hub
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)

    def start(self) -> None:
        """Start the job's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the job write and acknowledge what it has taken, and wait for its end."""
        self._hub.stop()
        if self._held.store.last_error is None:
            self._thread.join(_PATIENCE)
        self._held.writer.give_up()  # a sink that waits for its store would wait for ever
        self._thread.join()

    def _run(self) -> None:
        try:
            runner_leak.mend()
            options = PipelineOptions(["--streaming"])
            job = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options)
            pipeline.build(job, self._held.config, parts(self._held.config))
            job.run().wait_until_finish()
            self._held.writer.flush()
        except BaseException as error:  # noqa: BLE001 - kept, and told by who waits for the job
            self.failure = error
            _log.debug("the job failed", exc_info=True)
        finally:
            self.ended.set()
