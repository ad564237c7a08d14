"""A pool of worker processes that never outlives its parent.

One function over many items, results as they finish, one exception an item instead of one for all. With one worker
everything happens in this process, which is what debuggers, tests and small jobs want. Workers are kept for the next
call, because starting one costs seconds of imports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar, cast

from visaudio_bench.errors import BenchError

Item = TypeVar("Item")
Value = TypeVar("Value")


class Outcome(NamedTuple, Generic[Item, Value]):
    """What became of one item: its `value`, or the `error` that it raised."""

    item: Item
    value: Value | None
    error: Exception | None

    def result(self) -> Value:
        """The value.

        Raises:
            Exception: what the function raised for this item.
        """
        if self.error is not None:
            raise self.error
        return cast(Value, self.value)


def available_cores() -> int:
    """Cores this process may use (a container or a scheduler may allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_unordered(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> Iterator[Outcome[Item, Value]]:
    """Apply `function` to every item and yield outcomes as they finish.

    `function` must be importable (a module-level function or a `functools.partial` of one) and `items` picklable.
    Each worker uses one thread for numerics: the parallelism is over items.

    Raises:
        BenchError: a worker died (killed by the system, usually for want of memory).
    """
    if workers <= 1 or len(items) <= 1:
        for item in items:
            yield attempt(function, item)
        return
    try:
        yield from _drain(_executor(workers), function, items, 4 * workers)
    except BrokenProcessPool as error:
        _executor.cache_clear()
        raise BenchError(
            "a worker process died, most likely because memory ran out. What was finished is kept: "
            "run the same command again with a smaller --workers."
        ) from error


@lru_cache(maxsize=1)
def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker)


def _drain(
    executor: ProcessPoolExecutor, function: Callable[[Item], Value], items: Sequence[Item], ahead: int
) -> Iterator[Outcome[Item, Value]]:
    running: set[Future[Outcome[Item, Value]]] = set()
    try:
        for item in items:
            running.add(executor.submit(attempt, function, item))
            if len(running) >= ahead:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:  # the caller may stop early
        for future in running:
            future.cancel()


def attempt(function: Callable[[Item], Value], item: Item) -> Outcome[Item, Value]:
    """What becomes of one item, its exception included."""
    try:
        return Outcome(item, function(item), None)
    except Exception as error:  # handed to the caller, who decides
        return Outcome(item, None, error)


def start_worker() -> None:
    """Single-threaded numerics, an end when the parent has ended (also by kill -9), and Ctrl-C left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    parent = multiprocessing.parent_process()
    assert parent is not None  # this function runs in workers only

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
