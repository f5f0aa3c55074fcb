"""Answers that may be a moment old: asked again once they are older, and never too many of them."""

import dataclasses
from typing import Any

from store.queries.run import Query
from webapi.recent import Recent


@dataclasses.dataclass
class Asked:
    """A store that counts, and a clock that is moved by hand."""

    now: float = 0.0
    count: int = 0

    def clock(self) -> float:
        return self.now

    def ask(self, _query: Query) -> list[dict[str, Any]]:
        self.count += 1
        return [{"asked": self.count}]


@dataclasses.dataclass(frozen=True)
class Question:
    """A question that differs from others by a parameter."""

    about: str = "a"

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        return "SELECT {p0:String}", {"p0": self.about}


def recent(asked: Asked, most: int = 10) -> Recent:
    return Recent(1.0, most, asked.clock)


def test_a_question_is_asked_again_once_its_answer_is_too_old() -> None:
    asked = Asked()
    kept = recent(asked)
    for now, count in ((0.0, 1), (0.5, 1), (0.999, 1), (1.0, 2), (1.9, 2), (7.0, 3)):
        asked.now = now
        assert kept.rows(Question(), asked.ask) == [{"asked": count}]


def test_questions_that_differ_in_a_parameter_have_answers_of_their_own() -> None:
    asked = Asked()
    kept = recent(asked)
    assert [kept.rows(Question(each), asked.ask)[0]["asked"] for each in "aba"] == [1, 2, 1]


def test_the_oldest_answers_go_where_there_are_too_many() -> None:
    asked = Asked()
    kept = recent(asked, most=2)
    found = [kept.rows(Question(each), asked.ask)[0]["asked"] for each in "abcba"]
    assert found == [1, 2, 3, 2, 4]


def test_an_answer_is_as_old_as_its_question() -> None:
    """What was asked before a change must not pass for newer than it."""
    asked = Asked()
    kept = recent(asked)

    def slow(query: Query) -> list[dict[str, Any]]:
        asked.now += 1.0
        return asked.ask(query)

    assert kept.rows(Question(), slow) == [{"asked": 1}]
    assert kept.rows(Question(), asked.ask) == [{"asked": 2}]
