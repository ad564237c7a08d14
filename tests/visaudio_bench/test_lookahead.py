"""Work that is begun ahead: in order, bounded, and an item's fault is its own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest

from visaudio_bench.lookahead import ahead


class Result:
    """Something that can be seen to be gone."""

    def __init__(self, number: int):
        self.number = number


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order_and_what_fails_fails_where_it_is_asked_for(threads: int) -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return 10 * number

    asked = []
    for number, result in ahead(work, range(6), threads, 4):
        if number == 2:
            with pytest.raises(ValueError, match="two"):
                result()
        elif number != 3:  # nobody has to ask
            assert result() == 10 * number
        asked.append(number)
    assert asked == list(range(6))
    assert list(ahead(work, [], threads, 4)) == []


def test_no_more_is_begun_than_is_allowed_and_nothing_is_kept() -> None:
    taken: list[int] = []
    alive: weakref.WeakSet[Result] = weakref.WeakSet()
    begun, most = threading.Semaphore(0), 3

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    def work(number: int) -> Result:
        made = Result(number)
        alive.add(made)
        begun.release()
        return made

    for number, result in ahead(work, items(), 2, most):
        assert begun.acquire(timeout=60)
        assert len(taken) <= number + most and len(alive) <= most + 1
        assert result().number == number
    assert len(taken) == 20


def test_work_is_done_while_nobody_waits_and_stops_when_nobody_wants_it() -> None:
    second, threads = threading.Event(), set()

    def work(number: int) -> int:
        threads.add(threading.current_thread())
        if number == 1:
            second.set()
        return number

    results = ahead(work, range(100), 2, 4)
    assert next(results)[1]() == 0
    assert second.wait(60)
    results.close()
    assert not any(thread.is_alive() for thread in threads)
