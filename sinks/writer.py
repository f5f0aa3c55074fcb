"""Writes behind the job: while one bundle is written the next is decoded.

Guarantee: writes happen in order, and what follows a write (an acknowledgement) only after it and all
    before it succeeded. A few bundles at the most wait.
Errors: a store that is away is tried again with backoff until the process stops, by writes and by the
    job's questions. Any other failure
    ends everything: nothing behind it is written or acknowledged, and it is raised to the job.
"""

import queue
import threading
from collections.abc import Callable
from typing import Final, TypeVar

import tenacity

from store.client import StoreAwayError
from transforms.counters import count

_WAITING: Final = 8  # writes; a bundle has five at the most

Task = Callable[[], None]
T = TypeVar("T")


class Writer:
    """A thread that does what it is given, in order."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._tasks: queue.Queue[Task | None] = queue.Queue(_WAITING)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def write(self, task: Task) -> None:
        """Do a write soon; waits while too many do. Raises what an earlier one failed with."""
        self.check()
        self._tasks.put(lambda: self._persist(task))

    def then(self, task: Task) -> None:
        """Do something once everything given before is written. Raises as `write`."""
        self.check()
        self._tasks.put(task)

    def flush(self) -> None:
        """Wait until everything given is done. Raises as `write`."""
        self._tasks.join()
        self.check()

    def ask(self, question: Callable[[], T]) -> T:
        """Answer a question to the store once everything given before is written. Raises as `write`.

        It waits for a store that is away, as a write does.
        """
        self.flush()
        return self._persist(question)

    def check(self) -> None:
        """Raise what a write failed with."""
        if self._failure is not None:
            raise self._failure

    def give_up(self) -> None:
        """Stop waiting for a store that is away: what waits for it fails."""
        self._stopping.set()

    def close(self) -> None:
        """Do what is given already, without waiting for a store that is away, and end."""
        self.give_up()
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                if self._failure is None:
                    task()
            except BaseException as error:  # noqa: BLE001 - raised to the job by `check`
                self._failure = error
            finally:
                self._tasks.task_done()

    def _persist(self, task: Callable[[], T]) -> T:
        """Do it, again and again while the store is away."""
        patient = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreAwayError),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            stop=tenacity.stop_when_event_set(self._stopping),
            sleep=tenacity.sleep_using_event(self._stopping),
            before_sleep=lambda _: count("write_retries"),
            reraise=True,
        )
        return patient(task)


class PromptWriter:
    """A way to a writer by which writes are done when they return.

    Guarantee: what a bundle wrote is durable when the bundle ends. A runner that takes checkpoints
        needs it so: the checkpoint behind the bundle acknowledges it.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.flush, self.ask, self.check = writer.flush, writer.ask, writer.check

    def write(self, task: Task) -> None:
        """Do a write. Raises what it failed with."""
        self._writer.write(task)
        self._writer.flush()

    def then(self, task: Task) -> None:
        """Do something once everything given before is written. Raises as `write`."""
        self._writer.then(task)
        self._writer.flush()
