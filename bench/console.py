"""What the user sees while work goes on: notes and progress, all on stderr."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
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


def folded(text: str, indent: int) -> str:
    """Fold the long lines of a text where stderr is a terminal.

    Args:
        text: lines.
        indent: how far from the left a line goes on.

    Returns:
        The text, whose long lines go on at a word; a command stays whole on a line of its own, for it is to be copied.
    """
    if not sys.stderr.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 80)
    fold = partial(
        textwrap.fill, width=width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )

    def folded_line(line: str) -> str:
        said, command, rest = line.rpartition(": bench ")
        if not command or len(line) <= width:
            return fold(line)
        between = " " if len(said) < width / 2 else "\n" + " " * indent
        return f"{fold(said + ':')}{between}{command[2:]}{rest}"

    return "\n".join(map(folded_line, text.splitlines()))


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


class Pace:
    """How long a loop will take yet, from its pace since its first item was done.

    What comes before that is warming up: processes start, networks are loaded. And the first items of many workers are
    done at nearly the same time. So nothing is foretold until as much time again has passed.
    """

    def __init__(self, total: int):
        self._total = total
        self._done = 0
        self._began = self._first = time.monotonic()

    def one_more(self) -> None:
        """An item is done."""
        self._done += 1
        if self._done == 1:
            self._first = time.monotonic()

    @property
    def left(self) -> str:
        """What is left to wait, for people; empty as long as nobody can know."""
        since = time.monotonic() - self._first
        if self._done < 2 or since < self._first - self._began:
            return ""
        return f"about {clock(since / (self._done - 1) * (self._total - self._done))} left"


def _bar(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    pace = Pace(total)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total, left="")
        for item in items:
            yield item
            pace.one_more()
            progress.update(task, advance=1, left=pace.left)


def _lines(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    began = shown = time.monotonic()
    pace = Pace(total)
    done = 0
    for item in items:
        yield item
        pace.one_more()
        done += 1
        now = time.monotonic()
        if done < total and now - shown >= LINE_EVERY:
            note(", ".join(part for part in (f"{label}: {done}/{total}", pace.left) if part))
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
