"""Work on files that nobody vouches for, in processes that may die or hang without harm to anything else.

Decoders are written in C and fed with whatever users find on their disks. Each worker does one item at a time. An item
whose process dies is given to a new one, because something else may have ended the first (a machine that runs out of
memory does, also while a worker waits for work); one whose second process dies too gets the reason `crashed`, one that
takes too long `timeout`. Workers are kept for the next call, because a new one imports what it works with.

A second pool beside `pool`, because an executor of the standard library ends no item that hangs, and does not say
which one killed its process. `pool` uses that executor all the same: its queue keeps workers busy while the caller
works on an outcome, whereas here a worker waits for its next item until the caller asks again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from visaudio_bench.errors import ClipError
from visaudio_bench.pool import (
    CONTEXT,
    CRASHED,
    Outcome,
    attempt_far,
    deaf_children,
    is_elsewhere,
    map_unordered,
    prepare_workers,
    start_worker,
)

Item = TypeVar("Item")
Value = TypeVar("Value")

# A header that lies about lengths must not take the machine's memory; a long film's sound needs a third of this.
MEMORY = 8 * 1024**3
START = 600.0  # s until a process must have begun with its item, imports included
_idle: list[_Worker] = []


def map_isolated(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int, timeout: float
) -> Iterator[Outcome[Item, Value]]:
    """Apply a function to every item in processes of their own.

    As `map_unordered`, except that a dying or hanging process is the error of its item: `ClipError` with the reason
    `crashed` or `timeout`. Where another engine does the work, its workers start such processes.

    Args:
        function: importable, or a `functools.partial` of such a function.
        items: picklable.
        workers: processes.
        timeout: seconds that one item may take, from when its process has begun with it: what a loaded machine needs to
            start a process is not the item's.

    Returns:
        An iterator over the outcomes, as items finish.
    """
    if is_elsewhere():
        yield from map_unordered(partial(_isolated, function, timeout), items, workers)
        return
    prepare_workers(function)
    waiting = list(reversed(items))
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < max(1, workers):
                worker = _idle.pop() if _idle else _Worker()
                worker.begin(function, waiting.pop())
                busy.append(worker)
            for worker in _ready(busy):
                outcome = worker.answer(timeout)
                if outcome is None:
                    continue
                busy.remove(worker)
                if worker.alive:
                    _idle.append(worker)
                elif worker.died and not worker.again:
                    busy.append(_Worker())
                    busy[-1].begin(function, outcome.item, again=True)
                    continue
                yield outcome
    finally:  # the caller may stop early
        for worker in busy:
            worker.kill()


def _isolated(function: Callable[[Item], Value], timeout: float, item: Item) -> Value:
    (outcome,) = map_isolated(function, [item], 1, timeout)
    return outcome.result()


def _ready(busy: Sequence[_Worker]) -> list[_Worker]:
    """Workers that say something, or are dead, or out of time; waits for one."""
    left = min(worker.deadline for worker in busy) - time.monotonic()
    answered = set(wait([worker.connection for worker in busy], max(0.0, left)))
    now = time.monotonic()
    return [worker for worker in busy if worker.connection in answered or worker.deadline <= now]


class _Worker:
    """One process and the pipe to it; `again` where another one died with the same item."""

    def __init__(self) -> None:
        self.connection, other = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_serve, args=(other, dict(os.environ)), daemon=True)
        with deaf_children():
            self.process.start()
        other.close()
        self.alive = True
        self.died = False
        self.item: Any = None
        self.begun = self.again = False
        self.deadline = 0.0

    def begin(self, function: Callable[[Any], Any], item: Any, *, again: bool = False) -> None:
        self.item, self.begun, self.again = item, False, again
        self.deadline = time.monotonic() + START
        with suppress(OSError):  # it died while idle: `answer` notices
            self.connection.send((function, item))

    def answer(self, timeout: float) -> Outcome[Any, Any] | None:
        """What became of the item; None where the process has only now begun with it."""
        try:
            if not self.connection.poll():
                self.kill()
                took = f"reading took over {timeout:g} s" if self.begun else f"no process began with it in {START:g} s"
                return Outcome(self.item, None, ClipError("timeout", took))
            told = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            self.died = True
            said = f"reading ended the process with code {self.process.exitcode}, and another one before it"
            return Outcome(self.item, None, ClipError(CRASHED, said))
        if told is None:
            self.begun, self.deadline = True, time.monotonic() + timeout
            return None
        return Outcome(self.item, *told)

    def kill(self) -> None:
        self.alive = False
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, environment: Mapping[str, str]) -> None:
    """Answer items until the parent closes the pipe."""
    start_worker(environment)
    _limit_memory()
    while True:
        try:
            function, item = connection.recv()
        except EOFError:
            return
        connection.send(None)
        outcome = attempt_far(function, item)
        connection.send((outcome.value, outcome.error))


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system knows such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
