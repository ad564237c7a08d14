"""`bench weights`: the files that networks need, which are fetched only here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import format_option, print_list, print_tables, verbose_option

if TYPE_CHECKING:
    from visaudio_bench.models.download import Progress

PROGRESS_EVERY = 2.0


@click.group("weights", epilog="Nothing else downloads: a run says which files are missing and scores the rest.")
def weights() -> None:
    """List, fetch and verify the weight files of networks, those of plug-ins too."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.family_registry import tell_weights

    for error in tell_weights():
        note(f"left out: {error}")


@weights.command("list")
@verbose_option
@format_option
def list_weights(verbose: bool, form: str) -> None:
    """What there is, what it is for, its licence, and whether it is here. Compares sizes only; see verify."""
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
    from visaudio_bench.models.weights import WEIGHTS, missing, path_of, weights_dir

    rows = []
    for name, wanted in WEIGHTS.items():
        absent = missing([name])
        state = "here" if not absent else "wrong size" if path_of(name).is_file() else "missing"
        reason = absent[0].reason if absent else ""
        size = Cell(wanted.shown_size, wanted.size if wanted.size_is_exact else None)
        texts = [Cell(text) for text in (wanted.licence, wanted.file, wanted.origin)]
        rows.append(TableRow(name, (Cell(wanted.purpose), Cell(state, reason=reason), size, *texts)))
    columns = (
        Column("purpose", "for", left=True), Column("state", "state", left=True), Column("size", "size"),
        Column("licence", "licence", left=True), Column("file", "file", left=True),
        Column("origin", "origin", left=True),
    )  # fmt: skip
    notes = (f"folder: {weights_dir()}", "get one: bench weights fetch NAME")
    table = Table("weights", columns, tuple(rows), corner="name", notes=notes)
    print_list(table, form, verbose=verbose, long=("file", "origin"), command="bench weights list")


@weights.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--from", "source", type=click.Path(exists=True, path_type=Path), metavar="FILE|DIR",
    help="Take the files from here instead of downloading them.",
)  # fmt: skip
def fetch(names: tuple[str, ...], source: Path | None) -> None:
    """Put files where they belong: download them, or take them from --from. Interrupted downloads go on."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.errors import UsageError
    from visaudio_bench.models.download import adopt
    from visaudio_bench.models.download import fetch as download
    from visaudio_bench.models.weights import entry

    wanted = [entry(name) for name in names]
    if source is not None and source.is_file() and len(wanted) > 1:
        raise UsageError(f"--from {source} is one file, {len(wanted)} names were given; give a folder instead")
    for weight in wanted:
        note(f"{weight.name}: {weight.shown_size}, licence {weight.licence}, from {source or weight.origin}")
        located = adopt(weight.name, source) if source else download(weight.name, progress_line(weight.name))
        note(f"{weight.name}: whole, in {located.path}")


@weights.command()
@click.argument("names", nargs=-1)
@format_option
def verify(names: tuple[str, ...], form: str) -> None:
    """Check size, checksum and contents of files, of all that are here by default. Exit code 1 if one is wrong."""
    from visaudio_bench.errors import BenchError
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
    from visaudio_bench.models.weights import WEIGHTS, path_of
    from visaudio_bench.models.weights import verify as check

    verified = list(check(names or [name for name in WEIGHTS if path_of(name).is_file()]))
    columns = (Column("state", "state", left=True), Column("detail", "detail", left=True))
    rows = tuple(TableRow(file.name, (Cell(file.state), Cell(file.detail))) for file in verified)
    print_tables([Table("weights", columns, rows, corner="name")], form)
    bad = [file.name for file in verified if file.state != "ok"]
    if bad:
        raise BenchError(f"{len(bad)} of {len(verified)} weight files cannot be used: {', '.join(bad)}")


@weights.command()
@click.argument("names", nargs=-1)
def where(names: tuple[str, ...]) -> None:
    """Print the folder of weights, or the path where each named file belongs."""
    from visaudio_bench.models.weights import path_of, weights_dir

    for path in [path_of(name) for name in names] or [weights_dir()]:
        click.echo(path)


def progress_line(name: str) -> Progress:
    """A line on stderr every two seconds."""
    from visaudio_bench.bench.console import note

    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_EVERY:
            last = time.monotonic()
            note(f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return show
