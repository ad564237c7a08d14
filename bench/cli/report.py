"""`bench report`: the tables of a finished run, recomputed from its per-clip rows."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.common import format_option, print_tables


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@format_option
def report(run: Path, form: str) -> None:
    """Print the tables of the finished RUN again, recomputed from its clips.csv."""
    from bench.console import note
    from bench.report import recompute
    from leaderboards.schema import read_results

    tables, results = recompute(run)
    print_tables(tables, form)
    if results != read_results(run).results:
        note(f"these numbers are not those of {run / 'results.json'}: it was made by other code, or clips.csv changed")
