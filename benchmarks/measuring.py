"""What a stage of the benchmark is: something that is timed, and a named reference that is timed beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Size:
    """How much is measured: pixels each way, seconds of a clip, and how often.

    Attributes:
        full: networks of full size, and as many rows as a real suite has; otherwise only whether everything works.
        pixels: of pictures, each way.
        seconds: of a clip.
        repeats: of every measurement; the fastest counts.
    """

    full: bool = True
    pixels: int = 256
    seconds: float = 8.0
    repeats: int = 3


TINY = Size(full=False, pixels=64, seconds=2.0, repeats=1)


class Figure(NamedTuple):
    """One line of the table.

    Attributes:
        stage: what it belongs to.
        what: is measured; with the stage the name of its rate.
        per: what one unit of it is.
        seconds: CPU seconds of one core for one unit.
        reference: what was measured beside it; empty where there is nothing to compare with.
        times: CPU seconds of the reference, as a multiple of ours.
        more: other numbers by name, which the plan of a run needs.
    """

    stage: str
    what: str
    per: str
    seconds: float
    reference: str = ""
    times: float | None = None
    more: dict[str, float] = {}  # noqa: RUF012 (never changed)


@dataclass(frozen=True)
class Bench:
    """Where a stage works, and how much it measures."""

    size: Size
    folder: Path

    def compared(
        self, stage: str, what: str, per: str, ours: Callable[[], Any], reference: str, theirs: Callable[[], Any],
        units: int = 1, **more: float,
    ) -> Figure:  # fmt: skip
        """Time something and its reference.

        Args:
            stage: see `Figure`.
            what: see `Figure`.
            per: see `Figure`.
            ours: does `units` of it.
            reference: name of the reference.
            theirs: does what the reference does for as many.
            units: done by one call.
            more: other numbers.

        Returns:
            The line of the table.
        """
        mine, other = fastest(ours, self.size.repeats), fastest(theirs, self.size.repeats)
        return Figure(stage, what, per, mine / units, reference, other / mine, more)


def fastest(work: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of this process for one call, the least of several after one that does not count."""
    if repeats > 1:
        work()
    spent = []
    for _ in range(repeats):
        with cpu() as took:
            work()
        spent += took
        if sum(spent) > 20:
            break
    return min(spent)


@contextmanager
def cpu() -> Iterator[list[float]]:
    """A list that holds, after the block, the CPU seconds that this process took for it."""
    took: list[float] = []
    began = time.process_time()
    yield took
    took.append(max(time.process_time() - began, 1e-9))
