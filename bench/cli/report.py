"""`bench report`: the tables of a finished run, recomputed from its per-clip rows, and its pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import format_option, mos_option, print_tables, with_mos

if TYPE_CHECKING:  # the command line starts without these
    from visaudio_bench.leaderboards.schema import Run
    from visaudio_bench.leaderboards.tables import Table

EPILOG = """\b
Examples
  bench report runs/ours                                the tables again
  bench report runs/ours --html pages                   pages to look at and listen to
  bench report runs/step1000 runs/step2000 --html pages      checkpoints side by side, and what changed
"""


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
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
def report(
    runs: tuple[Path, ...], mos: Path | None, summary: bool, html: Path | None, workers: int | None, form: str
) -> None:
    """Print the tables of the finished RUN again, recomputed from its clips.csv; of several RUNs side by side."""
    from visaudio_bench.leaderboards.schema import read_results
    from visaudio_bench.plotly_script import plotly_script

    if html is not None:
        plotly_script()  # before minutes are spent
    contents = {run: read_results(run) for run in runs}
    if summary:
        from visaudio_bench.bench.evaluation.run_summary import summary_tables

        print_tables([table for content in contents.values() for table in summary_tables(content)], form)
        return
    tables = _tables(contents, mos)
    print_tables(tables, form)
    if html is not None:
        _write_pages(list(contents), html, workers, tables)


def _tables(contents: Mapping[Path, Run], mos: Path | None) -> list[Table]:
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.recomputation import recompute
    from visaudio_bench.errors import UsageError

    if len(contents) > 1:
        from visaudio_bench.bench.evaluation.joint_runs import join_runs, joint_tables
        from visaudio_bench.bench.report_pages.run_content import run_names

        if mos is not None:
            raise UsageError(f"--mos stands beside the results of one RUN, {len(contents)} were given.")
        return joint_tables(join_runs(list(contents.items()), called=run_names(list(contents))))
    ((run, content),) = contents.items()
    tables, results = recompute(run)
    if results != content.results:
        note(f"these numbers are not those of {run / 'results.json'}: it was made by other code, or clips.csv changed")
    return with_mos(tables, mos, content)


def _write_pages(runs: Sequence[Path], html: Path, workers: int | None, tables: Sequence[Table]) -> None:
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.report_pages.report_folder import write_report
    from visaudio_bench.pool import available_cores

    made = write_report(runs, html, tables, workers or available_cores())
    each = f", {made.media_bytes / made.clips / 1e6:.1f} MB a clip" if made.clips else ""
    note(f"{made.clips} clips{each}; open {made.page}")
