"""`bench diff`: why the results of two runs differ."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, print_tables


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@format_option
def diff(first: Path, second: Path, form: str) -> None:
    """Explain why the results of two runs differ: code, packages, data, seeds, clips, and what came of it."""
    from visaudio_bench.bench.evaluation.run_differences import compare

    print_tables(compare(first, second), form)
