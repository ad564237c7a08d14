"""Functions that take turns in one process, so that what they wait for is asked for together.

One runs until it is done or asks for something that takes time (`ask`); then the next one begins. When all of them are
done or wait, all questions go out at once, and each goes on with its answer. There is never more than one that runs,
and it gives up its turn nowhere else but where it comes to what another one is computing (`alone`): a function is
written as if it were by itself, and does what it does by itself where nobody lets it take turns.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from types import FrameType
from typing import Any, Generic, TypeAlias, TypeVar, cast

T = TypeVar("T")
Ask: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""Gives the answers to several questions; an exception that is among them is raised where that question was asked."""


def in_turns(functions: Sequence[Callable[[], T]]) -> list[T]:
    """What functions return, which take turns.

    Raises:
        Exception: what the first of those raised that failed, when all have ended.
    """
    return _Turns(functions).results()


def ask(everything: Ask, question: Any) -> Any:
    """Ask a question together with those of the functions that this one takes turns with.

    Args:
        everything: asks several questions.
        question: what is asked.

    Returns:
        The answer.

    Raises:
        Exception: there is none.
    """
    part = _waiting_part()
    answer = everything([question])[0] if part is None else part.wait(everything, question)
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def alone(key: Hashable) -> Iterator[None]:
    """Compute something that others want, too: who else comes to the same key goes on when the block has ended."""
    part = _waiting_part()
    if part is None:
        yield
        return
    wanted = part.turns.wanted
    while key in wanted:
        wanted[key].append(part)
        part.give_up()
    wanted[key] = []
    try:
        yield
    finally:
        part.turns.ready.extend(wanted.pop(key))


class _Turns(Generic[T]):
    """Functions, and the threads that run them: a new one begins where an old one waits in the middle of a function."""

    def __init__(self, functions: Sequence[Callable[[], T]]):
        self.waiting = deque(enumerate(functions))
        self.outcomes: list[tuple[T | None, BaseException | None]] = [(None, None)] * len(functions)
        self.ready: deque[_Part] = deque()
        self.asked: list[tuple[_Part, Ask, Any]] = []
        self.wanted: dict[Hashable, list[_Part]] = {}  # keys of what is being computed, and who waits for it
        self.turn_ended = threading.Lock()
        self.turn_ended.acquire()

    def results(self) -> list[T]:
        while self.ready or self.waiting or self.asked:
            if not self.ready and not self.waiting:
                self._answer()
            part = self.ready.popleft() if self.ready else _Part(self)
            part.go_on()
            self.turn_ended.acquire()
        for _, error in self.outcomes:
            if error is not None:
                raise error
        return [cast(T, value) for value, _ in self.outcomes]

    def run(self) -> None:
        """Run what nobody has begun."""
        while self.waiting:
            number, function = self.waiting.popleft()
            try:
                self.outcomes[number] = function(), None
            except BaseException as error:  # told by who waits for all
                self.outcomes[number] = None, error

    def _answer(self) -> None:
        """Ask what was asked for, all that goes to the same place at once."""
        asked, self.asked = self.asked, []
        for everything in dict.fromkeys(everything for _, everything, _ in asked):
            parts = [part for part, other, _ in asked if other == everything]
            questions = [question for _, other, question in asked if other == everything]
            for part, answer in zip(parts, _answers(everything, questions), strict=True):
                part.answer = answer
            self.ready.extend(parts)


def _answers(everything: Ask, questions: Sequence[Any]) -> Sequence[Any]:
    """The answers to questions; where they cannot be asked together, each by itself, so that one costs one."""
    try:
        return everything(questions)
    except Exception as error:
        if len(questions) == 1:
            return [error]
        return [_answers(everything, [question])[0] for question in questions]


class _Part:
    """A thread of those that take turns."""

    def __init__(self, turns: _Turns[Any]):
        self.turns = turns
        self.answer: Any = None
        self._turn = threading.Lock()
        self._turn.acquire()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), daemon=True)

    def go_on(self) -> None:
        """Give it the turn."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._turn.release()

    def give_up(self) -> None:
        """Let others run until it is this one's turn again."""
        self.turns.turn_ended.release()
        self._turn.acquire()

    def wait(self, everything: Ask, question: Any) -> Any:
        self.turns.asked.append((self, everything, question))
        self.give_up()
        answer, self.answer = self.answer, None
        return answer

    def _run(self) -> None:
        _current.part = self
        try:
            self.turns.run()
        finally:
            self.turns.turn_ended.release()


_current = threading.local()


def _waiting_part() -> _Part | None:
    """The part that this thread is, if it may wait here."""
    part: _Part | None = getattr(_current, "part", None)
    return None if part is None or _keeps_others_out() else part


def _keeps_others_out() -> bool:
    """Whether this happens inside a `functools.cached_property`, which until Python 3.12 lets one thread in at a time.

    The next function would wait for it for ever.
    """
    if sys.version_info >= (3, 12):
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not _COMPUTES_A_PROPERTY:
        frame = frame.f_back
    return frame is not None


_COMPUTES_A_PROPERTY = functools.cached_property.__get__.__code__
