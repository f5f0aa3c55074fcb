"""The writer behind the job: in order, again while the store is away, and nothing after a failure."""

import threading

import pytest

from sinks.writer import PromptWriter, Writer
from store.client import StoreAwayError
from transforms.counters import counted


def _failing(error: Exception) -> None:
    raise error


def test_what_follows_a_write_comes_after_it_and_all_before() -> None:
    writer, done, gate = Writer(), [], threading.Event()
    writer.write(lambda: (gate.wait(10), done.append("first")))
    writer.write(lambda: done.append("second"))
    writer.then(lambda: done.append("acknowledged"))
    assert done == []
    gate.set()
    writer.flush()
    assert done == ["first", "second", "acknowledged"]
    writer.close()


def test_a_store_that_is_away_is_tried_again() -> None:
    writer, tries, before = Writer(), [], counted("write_retries")

    def write() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise StoreAwayError("away")

    writer.write(write)
    writer.flush()
    assert tries == [0, 1, 2]
    assert counted("write_retries") - before == 2
    writer.close()


def test_a_question_waits_for_the_writes_before_it_and_for_a_store_that_is_away() -> None:
    writer, done, tries = Writer(), [], []

    def question() -> list[str]:
        tries.append(len(tries))
        if len(tries) < 3:
            raise StoreAwayError("away")
        return list(done)

    writer.write(lambda: done.append("written"))
    assert writer.ask(question) == ["written"]
    assert tries == [0, 1, 2]
    writer.close()


def test_nothing_is_written_or_acknowledged_after_a_failure() -> None:
    writer, done, gate = Writer(), [], threading.Event()
    writer.write(lambda: (gate.wait(10), _failing(ValueError("unforeseen"))))
    writer.write(lambda: done.append("written"))
    writer.then(lambda: done.append("acknowledged"))
    gate.set()
    with pytest.raises(ValueError, match="unforeseen"):
        writer.flush()
    with pytest.raises(ValueError, match="unforeseen"):
        writer.write(lambda: done.append("later"))
    writer.close()
    assert done == []


def test_giving_up_fails_what_waits_for_the_store() -> None:
    writer, done, tried = Writer(), [], threading.Event()

    def write() -> None:
        tried.set()
        raise StoreAwayError("away")

    writer.write(write)
    writer.then(lambda: done.append("acknowledged"))
    assert tried.wait(10)
    writer.give_up()
    with pytest.raises(StoreAwayError):
        writer.flush()
    assert done == []
    writer.close()


def test_a_prompt_writer_has_written_when_it_returns_and_raises_what_it_failed_with() -> None:
    writer, done = Writer(), []
    prompt = PromptWriter(writer)
    prompt.write(lambda: done.append("written"))
    assert done == ["written"]
    prompt.then(lambda: done.append("acknowledged"))
    assert done == ["written", "acknowledged"]
    with pytest.raises(ValueError, match="unforeseen"):
        prompt.write(lambda: _failing(ValueError("unforeseen")))
    with pytest.raises(ValueError, match="unforeseen"):
        prompt.then(lambda: done.append("acknowledged"))
    assert done == ["written", "acknowledged"]
    writer.close()
