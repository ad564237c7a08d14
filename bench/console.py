"""What the user sees while work goes on: notes and progress, all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import click

from visaudio_bench.escapes import visible

T = TypeVar("T")

LINE_EVERY = 10.0


_silent = ContextVar("silent", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Neither notes nor progress inside: for callers who are programs."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def note(message: str) -> None:
    """One line to the user."""
    if not _silent.get():
        click.echo(visible(message), err=True)


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Show how far a loop is: a live bar on a terminal, a line every 10 s in a log.

    Args:
        items: what is passed through.
        total: how many there will be.
        label: what is being done.

    Returns:
        An iterator over the items.
    """
    if total == 0 or _silent.get():
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, total, label)
    else:
        yield from _lines(items, total, label)


def _bar(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _lines(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    began = shown = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if done < total and now - shown >= LINE_EVERY:
            note(f"{label}: {done}/{total}, about {clock((now - began) / done * (total - done))} left")
            shown = now
    note(f"{label}: {done}/{total} in {clock(time.monotonic() - began)}")


def clock(seconds: float) -> str:
    """A length of time for people: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Ticker:
    """One line that says how far something is: rewritten on a terminal, printed every 10 s in a log."""

    def __init__(self) -> None:
        self._shown = 0.0
        self._live = sys.stderr.isatty()
        self._width = 0

    def tell(self, line: str) -> None:
        """The newest state."""
        line = visible(line, keep="")
        if self._live:
            click.echo("\r" + line.ljust(self._width), nl=False, err=True)
            self._width = len(line)
        elif time.monotonic() - self._shown >= LINE_EVERY:
            note(line)
            self._shown = time.monotonic()

    def keep(self, line: str) -> None:
        """A line that stays."""
        self.end()
        note(line)

    def end(self) -> None:
        """Leave the line as it is."""
        if self._live and self._width:
            click.echo(err=True)
        self._width = 0
