"""`bench hear`: modules with the HEAR API."""

from __future__ import annotations

import click

from visaudio_bench.bench.cli.common import format_option, print_tables


@click.group("hear")
def hear() -> None:
    """Modules with the HEAR API, which can serve as backbones: --backbone hear:MODULE#WEIGHTS."""


@hear.command()
@click.argument("module")
@click.option("--weights", default="", metavar="TEXT", help="What the module's load_model is given.")
@format_option
def validate(module: str, weights: str, form: str) -> None:
    """Check that MODULE follows the HEAR API. Exit code 1 if it does not; warnings are allowed."""
    from visaudio_bench.errors import BenchError
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
    from visaudio_bench.models.hear_modules import validate as check

    findings = check(module, weights)
    rows = tuple(TableRow(finding.level, (Cell(finding.text),)) for finding in findings) or (
        TableRow("ok", (Cell("follows the HEAR API"),)),
    )
    print_tables([Table(module, (Column("finding", "finding", left=True),), rows, corner="level")], form)
    errors = sum(finding.level == "error" for finding in findings)
    if errors:
        raise BenchError(f"{module} breaks the HEAR API in {errors} points")
