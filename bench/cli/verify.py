"""`bench verify`: do the numbers of a run folder come out again."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import device_option, find_device, format_option, own_suite_option, print_checks


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--clips", type=click.IntRange(0), default=8, show_default=True, metavar="N",
    help="Clips of each suite whose sounds are scored again; 0 for the aggregates alone.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the clips.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: every core]")
@own_suite_option
@device_option
@format_option
def verify(
    result: Path, clips: int, seed: int, workers: int | None, suites: tuple[str, ...], device: str, form: str
) -> None:
    """Compute the run folder RESULT again: every aggregate from its clips.csv, and random clips from their sounds.

    Numbers agree within 1e-6 of an aggregate's size, and within 1e-3 of a score's or half the last digit that tables
    show; features of networks within 1e-3 of their norm. Exit code 1 if any does not.
    """
    from visaudio_bench.bench.evaluation.run_checks import suites_here
    from visaudio_bench.bench.evaluation.verification import Rescoring
    from visaudio_bench.bench.evaluation.verification import verify as checks_of
    from visaudio_bench.leaderboards.schema import read_results
    from visaudio_bench.pool import available_cores

    sample = Rescoring(clips, seed, workers or available_cores(), find_device(device))
    checks = checks_of(result, suites_here(read_results(result), suites), sample)
    print_checks(f"{result}: do its numbers come out again", checks, form)
