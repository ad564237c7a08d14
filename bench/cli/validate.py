"""`bench validate`: is a run folder what it says it is."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, own_suite_option, print_checks


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@own_suite_option
@format_option
def validate(result: Path, suites: tuple[str, ...], form: str) -> None:
    """Check the run folder RESULT: schema, hashes, units, ranges, clips, counts, sounds, degenerate outputs.

    Nothing is computed again; bench verify does that. Exit code 1 if anything is wrong.
    """
    from visaudio_bench.bench.evaluation.run_checks import suites_here
    from visaudio_bench.bench.evaluation.run_validation import validate as checks_of

    checks = checks_of(result, lambda run: suites_here(run, suites))
    print_checks(f"{result}: is it what it says", checks, form)
