"""`bench report`: the tables of a finished run, recomputed from its per-clip rows, and its pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import format_option, mos_option, print_tables, with_mos

if TYPE_CHECKING:  # the command line starts without these
    from visaudio_bench.leaderboards.tables import Table


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@mos_option
@click.option("--summary", is_flag=True, help="Say what the folder holds: suites, systems, metrics, by which commands.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Make a folder of pages to look at and listen to: open its index.html.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes for --html.  [default: every core]")
@format_option
def report(run: Path, mos: Path | None, summary: bool, html: Path | None, workers: int | None, form: str) -> None:
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
    shown = with_mos(tables, mos, content)
    print_tables(shown, form)
    if results != content.results:
        note(f"these numbers are not those of {run / 'results.json'}: it was made by other code, or clips.csv changed")
    if html is not None:
        _write_pages(run, html, workers, shown)


def _write_pages(run: Path, html: Path, workers: int | None, tables: Sequence[Table]) -> None:
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.report_pages.folder import write_report
    from visaudio_bench.pool import available_cores

    made = write_report(run, html, tables, workers or available_cores())
    each = f", {made.media_bytes / made.clips / 1e6:.1f} MB a clip" if made.clips else ""
    note(f"{made.clips} clips{each}; open {made.page}")
