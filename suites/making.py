"""Make the files of many clips: all that can be made are, and what went wrong with the others is told at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from visaudio_bench.errors import BenchError, ClipError, ClipsError
from visaudio_bench.guard import advice_on, is_of_the_machine
from visaudio_bench.pool import map_unordered

Source = TypeVar("Source")


def make_each(
    make: Callable[[Source], object], sources: Mapping[str, Source], workers: int, *, task: str
) -> Iterator[str]:
    """Make the files of every clip; safe to kill at any moment if `make` writes its last file last.

    Args:
        make: makes the files of one clip from its source; a module-level function or a partial of one.
        sources: what each clip is made from, by its id.
        workers: processes.
        task: what should have been done, for the error: `clips of simroom could not be rendered`.

    Returns:
        An iterator over the ids, each as soon as its files are complete.

    Raises:
        BenchError: the system refused to write files, whichever clip they are of; the others are made, and stay.
        ClipsError: some clips could not be made, each with its own error; the others are, and stay.
    """
    refused: list[str] = []
    failed: dict[str, ClipError] = {}
    for outcome in map_unordered(partial(_make, make), list(sources.items()), workers):
        name = outcome.item[0]
        if outcome.error is None:
            yield name
        elif is_of_the_machine(outcome.error):
            refused.append(f"{name} ({outcome.error}); {advice_on(outcome.error)}")
        elif (error := outcome.clip_error()) is not None:
            failed[name] = error
    if refused:
        raise BenchError(
            f"{len(refused)} of {len(sources)} {task}, first: {refused[0]}, and run the same command again."
        )
    if failed:
        first, error = next(iter(failed.items()))
        raise ClipsError(f"{len(failed)} of {len(sources)} {task}, first: {first} ({error}).", failed)


def _make(make: Callable[[Source], object], item: tuple[str, Source]) -> None:
    make(item[1])
