"""`bench cache`: what is kept between runs, how much it is, and how to be rid of the answers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, print_tables

# Where older versions kept one file an answer; nothing reads it any more.
OLD = "features"


@click.group("cache", epilog="The folder is ~/.cache/visaudio-bench, or $VISAUDIO_BENCH_CACHE.")
def cache() -> None:
    """Say what is kept between runs, and remove the answers of networks and cues."""


@cache.command()
@format_option
def info(form: str) -> None:
    """What the cache holds: entries or files, and megabytes, of each of its folders."""
    from visaudio_bench.bench.evaluation.score_cache import FOLDER, answers
    from visaudio_bench.files import cache_dir
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    here = cache_dir()
    contents = answers(here).contents()
    told = [(FOLDER, f"answers in {contents.segments} segments", contents.entries, contents.size)]
    for path in sorted(path for path in here.glob("[!.]*") if path.is_dir() and path.name != FOLDER):
        what = "of an older version, no longer read: bench cache clear" if path.name == OLD else "files"
        told.append((path.name, what, *_count(path)))
    rows = tuple(
        TableRow(name, (Cell(what), Cell(f"{number:,}", number), Cell(f"{size / 1e6:,.1f}", size / 1e6)))
        for name, what, number, size in told
    )
    columns = (Column("what", "what", left=True), Column("number", "number"), Column("megabytes", "MB"))
    print_tables([Table("cache", columns, rows, corner="folder", notes=(f"folder: {here}",))], form)


@cache.command()
def clear() -> None:
    """Remove all answers; they are computed again when they are needed. Suites and weights stay."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.score_cache import answers
    from visaudio_bench.errors import BenchError
    from visaudio_bench.files import cache_dir

    store = answers(cache_dir())
    contents = store.contents()
    number, size = _count(cache_dir() / OLD)
    store.clear()
    shutil.rmtree(cache_dir() / OLD, ignore_errors=True)
    for path in (store.folder, cache_dir() / OLD):
        try:
            if path.exists():
                shutil.rmtree(path)
        except OSError as error:
            raise BenchError(f"{path} cannot be removed whole: {error.strerror} ({error.filename}).") from error
    note(f"removed {contents.entries + number:,} answers, {(contents.size + size) / 1e6:,.1f} MB")


def _count(folder: Path) -> tuple[int, int]:
    """Files below a folder, and their bytes."""
    number = size = 0
    for where, _, names in os.walk(folder):
        for name in names:
            number += 1
            size += (Path(where) / name).lstat().st_size
    return number, size
