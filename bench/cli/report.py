"""`bench report`: the tables of a finished run, recomputed from its per-clip rows."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, mos_option, print_tables, with_mos


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@mos_option
@click.option("--summary", is_flag=True, help="Say what the folder holds: suites, systems, metrics, by which commands.")
@format_option
def report(run: Path, mos: Path | None, summary: bool, form: str) -> None:
    """Print the tables of the finished RUN again, recomputed from its clips.csv."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.recomputation import recompute
    from visaudio_bench.leaderboards.schema import read_results

    content = read_results(run)
    if summary:
        from visaudio_bench.bench.evaluation.run_summary import summary_tables

        print_tables(summary_tables(content), form)
        return
    tables, results = recompute(run)
    print_tables(with_mos(tables, mos, content), form)
    if results != content.results:
        note(f"these numbers are not those of {run / 'results.json'}: it was made by other code, or clips.csv changed")
