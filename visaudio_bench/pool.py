"""A pool of worker processes that never outlives its parent.

One function over many items, results as they finish, one exception an item instead of one for all. With one worker
everything happens in this process, which is what debuggers, tests and small jobs want. Workers are kept for the next
call, because starting one costs seconds of imports.

Inside `elsewhere` the same calls go to another engine, which has machines of its own (`bench.cluster`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache, partial
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar, cast

from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.files import cache_dir
from visaudio_bench.guard import as_clip_error, portable
from visaudio_bench.processes import whether_memory_ran_out

if TYPE_CHECKING:  # not every system has both
    from multiprocessing.context import ForkServerContext, SpawnContext

Item = TypeVar("Item")
Value = TypeVar("Value")

CONTEXT: ForkServerContext | SpawnContext = multiprocessing.get_context("spawn")
if sys.platform.startswith("linux"):
    CONTEXT = multiprocessing.get_context("forkserver")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# The functions that take turns in a worker are threads, and glibc would give each a store of memory of its own, which
# goes back to the system and is asked for anew all the time: three times as many page faults.
ONE_STORE = {"MALLOC_ARENA_MAX": "1"}

CRASHED = "crashed"  # the reason of an item whose process died


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

    def clip_error(self) -> ClipError | None:
        """Why there is no value, as the failure of this item alone; None if there is one.

        Raises:
            Exception: what the function raised, where it is not of one item (see `visaudio_bench.guard`).
        """
        return None if self.error is None else as_clip_error(self.error)


class Needs(NamedTuple):
    """What one item takes of the machine that works on it: cores, and graphics cards."""

    cpus: int = 1
    gpus: int = 0


ONE_CORE = Needs()


class Engine(Protocol):
    """Applies a function to many items on other machines, and says what became of each as it is done.

    As `map_unordered`: function and items can be pickled, an item that ends its process again and again has the error
    `crashed`, and a lost machine costs time alone.
    """

    def __call__(
        self, function: Callable[[Item], Value], items: Sequence[Item], needs: Needs, /
    ) -> Iterator[Outcome[Item, Value]]:
        """Outcomes in any order."""


_engines: list[Engine] = []


@contextmanager
def elsewhere(engine: Engine) -> Iterator[None]:
    """Let an engine do what `map_unordered` is asked for in this process while the block lasts."""
    _engines.append(engine)
    try:
        yield
    finally:
        _engines.remove(engine)


def is_elsewhere() -> bool:
    """Whether another engine works for `map_unordered`, on machines that share files with this one and nothing else."""
    return bool(_engines)


def available_cores() -> int:
    """Cores this process may use (a container or a scheduler may allow fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_unordered(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int, needs: Needs = ONE_CORE
) -> Iterator[Outcome[Item, Value]]:
    """Apply a function to every item.

    Each worker uses one thread for numerics: the parallelism is over items. With one worker, or one item, everything
    happens in this process.

    When a worker dies, all that was being worked on is done again, one at a time; an item whose process dies then too
    has the error `crashed`.

    Args:
        function: importable: a module-level function or a `functools.partial` of one.
        items: picklable.
        workers: processes.
        needs: what an item takes, for an engine that has machines to choose from.

    Returns:
        An iterator over the outcomes, as items finish.

    Raises:
        BenchError: every one of several died, or the only one before anything was finished (killed by the system,
            usually for want of memory).
    """
    if _engines:
        yield from _engines[-1](function, items, needs)
        return
    if workers <= 1 or len(items) <= 1:
        for item in items:
            yield attempt(function, item)
        return
    waiting: deque[Item] = deque(items)
    running: dict[Future[Outcome[Item, Value]], Item] = {}
    finished = 0
    while waiting or running:
        try:
            for outcome in _drain(_executor(function, workers), function, waiting, running, 4 * workers):
                finished += 1
                yield outcome
        except BrokenProcessPool as error:
            _started.cache_clear()
            suspects = list(running.values())
            running.clear()
            if not suspects:  # kept workers that were ended while they waited for work: new ones have not been asked
                continue
            outcomes = list(_one_by_one(function, suspects))
            crashed = [
                outcome
                for outcome in outcomes
                if isinstance(outcome.error, ClipError) and outcome.error.reason == CRASHED
            ]
            # One that was left when the pool broke costs itself; where all of several die, the machine is to blame.
            if len(crashed) == len(outcomes) and (len(crashed) > 1 or not finished):
                raise BenchError(
                    f"a worker process died; {whether_memory_ran_out()}. What was finished is kept: "
                    "run the same command again with a smaller --workers."
                ) from error
            finished += len(outcomes)
            yield from outcomes


def _executor(function: Callable[..., object], workers: int) -> ProcessPoolExecutor:
    prepare_workers(function)
    # Workers keep the environment that they were started with: after a change of the cache there are new ones.
    return _started(workers, cache_dir())


@lru_cache(maxsize=1)
def _started(workers: int, cache: Path) -> ProcessPoolExecutor:
    del cache
    return ProcessPoolExecutor(workers, mp_context=CONTEXT, initializer=start_worker, initargs=(dict(os.environ),))


def prepare_workers(function: Callable[..., object]) -> None:
    """Make the process ready from which workers are copied, where workers start that way (on Linux).

    It imports, once, the module of the function that the first workers are for, and does nothing else. A worker then
    costs milliseconds and shares that memory, where a new interpreter costs seconds of processor time. Copies of this
    process itself would inherit its threads' locks and its graphics card.

    Args:
        function: what the workers will do: importable, or a `functools.partial` of such a function.
    """
    if CONTEXT.get_start_method() != "forkserver":
        return
    while isinstance(function, partial):
        function = function.func
    CONTEXT.set_forkserver_preload([function.__module__])
    with deaf_children(), _single_threaded():
        forkserver.ensure_running()


def _drain(
    executor: ProcessPoolExecutor,
    function: Callable[[Item], Value],
    waiting: deque[Item],
    running: dict[Future[Outcome[Item, Value]], Item],
    ahead: int,
) -> Iterator[Outcome[Item, Value]]:
    """Outcomes of what is `waiting`; when the pool breaks, `running` holds what has none yet."""
    try:
        while waiting or running:
            if len(running) <= ahead // 2:  # several at once: each time the executor's thread is woken
                while waiting and len(running) < ahead:
                    running[_submit(executor, function, waiting[0])] = waiting[0]
                    waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = _outcome(future, running[future])
                del running[future]
                yield outcome
    finally:  # the caller may stop early
        for future in running:
            future.cancel()


def _submit(
    executor: ProcessPoolExecutor, function: Callable[[Item], Value], item: Item
) -> Future[Outcome[Item, Value]]:
    try:
        with deaf_children():
            return executor.submit(attempt_far, function, item)
    except (EOFError, ConnectionError) as error:  # of a new worker: the process that workers are copied from has ended
        raise BrokenProcessPool(str(error)) from error


def _outcome(future: Future[Outcome[Item, Value]], item: Item) -> Outcome[Item, Value]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:  # the function, the item or its value cannot be sent from process to process
        return Outcome(item, None, error)


def _one_by_one(function: Callable[[Item], Value], items: Sequence[Item]) -> Iterator[Outcome[Item, Value]]:
    """Each item in a process that works on nothing else meanwhile."""
    for item in items:
        try:
            yield _outcome(_submit(_executor(function, 1), function, item), item)
        except BrokenProcessPool:
            _started.cache_clear()
            said = "the process that worked on it died, and died again when it worked on nothing else."
            yield Outcome(item, None, ClipError(CRASHED, said))
    _started.cache_clear()


def of_this_worker(several: Sequence[Value]) -> Value:
    """Which of several this worker asks: always the same, and each has as many. Workers are numbered as they start."""
    number = multiprocessing.current_process().name.rpartition("-")[2]
    return several[int(number) % len(several) if number.isdecimal() else 0]


def attempt(function: Callable[[Item], Value], item: Item) -> Outcome[Item, Value]:
    """Try one item.

    Args:
        function: what is tried.
        item: with what.

    Returns:
        What becomes of it, its exception included.
    """
    try:
        return Outcome(item, function(item), None)
    except Exception as error:  # handed to the caller, who decides
        return Outcome(item, None, error)


def attempt_far(function: Callable[[Item], Value], item: Item) -> Outcome[Item, Value]:
    """Try one item in a worker process.

    Args:
        function: what is tried.
        item: with what.

    Returns:
        As `attempt`, with an error that can be sent to another process.
    """
    outcome = attempt(function, item)
    return outcome if outcome.error is None else outcome._replace(error=portable(outcome.error))


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started inside do not hear Ctrl-C, not even while they import; this one hears it after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes that are started inside begin no threads when they import, so that they can be copied.

    Nor do the threads that their copies begin have stores of their own, unless the user says how many there may be.
    """
    meanwhile = {**ONE_STORE, **os.environ, **ONE_THREAD}
    before = {name: os.environ.get(name) for name in (*ONE_STORE, *ONE_THREAD)}
    os.environ.update({name: meanwhile[name] for name in before})
    try:
        yield
    finally:
        for name, value in before.items():  # one by one: other threads read the environment meanwhile
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def start_worker(environment: Mapping[str, str]) -> None:
    """Make a fresh process a worker.

    It does its numerics in one thread, ends when its parent has ended (also by kill -9), and leaves Ctrl-C to it.

    Args:
        environment: the parent's environment now; the process that workers are copied from may have an older one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment, **ONE_THREAD)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this function runs in workers only

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
