"""Functions that take turns: their questions go out together, one runs at a time, and none disturbs another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import pytest

from visaudio_bench.turns import alone, ask, in_turns


class Oracle:
    """Doubles what it is asked, and remembers what it was asked together."""

    def __init__(self) -> None:
        self.messages: list[list[Any]] = []

    def __call__(self, questions: Sequence[Any]) -> list[Any]:
        self.messages.append(list(questions))
        if "together" in questions and len(questions) > 1:
            raise OSError("not with others")
        return [ValueError("no number") if question == "odd" else 2 * question for question in questions]


def ended(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """What functions return; fails where they wait for each other for ever."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(in_turns(functions)), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return results


def test_what_all_ask_goes_out_together() -> None:
    oracle, running = Oracle(), []

    def rounds(number: int, count: int) -> int:
        for _ in range(count):
            assert not running, "two run at a time"
            running.append(number)
            time.sleep(0.001)
            running.remove(number)
            number = ask(oracle, number)
        return number

    assert in_turns([partial(rounds, number, count) for number, count in ((1, 2), (2, 0), (3, 1), (4, 2))]) == [
        4, 2, 6, 16,
    ]  # fmt: skip
    assert oracle.messages == [[1, 3, 4], [2, 8]]
    assert in_turns([]) == []
    assert (rounds(1, 2), oracle.messages[2:]) == (4, [[1], [2]]), "where nobody takes turns each asks by itself"


def test_questions_to_several_do_not_mix() -> None:
    first, second = Oracle(), Oracle()
    assert in_turns([partial(ask, oracle, n) for n, oracle in enumerate((first, second, first))]) == [0, 2, 4]
    assert (first.messages, second.messages) == ([[0, 2]], [[1]])


def test_what_several_want_is_computed_once() -> None:
    oracle = Oracle()
    kept: dict[str, int] = {}

    def wanted(key: str, then: int) -> int:
        with alone(key):
            if key not in kept:
                kept[key] = ask(oracle, 5)
        return kept[key] + int(ask(oracle, then))

    assert ended([partial(wanted, "a", then) for then in (1, 2, 3)]) == [12, 14, 16]
    assert oracle.messages == [[5], [1, 2, 3]]


def test_who_fails_fails_alone() -> None:
    oracle = Oracle()

    def caught(question: Any) -> str:
        try:
            with alone("key"):
                return str(ask(oracle, question))
        except ValueError as error:
            return str(error)

    assert ended([partial(caught, question) for question in ("odd", 1, "odd")]) == ["no number", "2", "no number"]
    results = in_turns([partial(ask, oracle, question) for question in ("together", 1)])
    assert results == ["togethertogether", 2]
    assert oracle.messages[-3:] == [["together", 1], ["together"], [1]]
    done: list[int] = []

    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(ValueError, match="no number"):
        in_turns([partial(ask, oracle, "odd"), leave, lambda: done.append(ask(oracle, 1))])
    assert done == [2], "the others have ended all the same"
    with pytest.raises(SystemExit):
        in_turns([leave])


def test_a_property_that_is_computed_for_several_lets_all_of_them_in() -> None:
    """Until Python 3.12 such a property lets in one thread at a time, whatever object it is of."""
    oracle = Oracle()

    class Owner:
        @cached_property
        def answer(self) -> int:
            with alone("key"):
                return int(ask(oracle, 1))

    assert ended([lambda: Owner().answer, lambda: ask(oracle, 3), lambda: Owner().answer]) == [2, 6, 2]
