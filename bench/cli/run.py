"""`bench run`: generate with every system, score, print and save the leaderboard."""

from __future__ import annotations

from typing import Any

import click

from visaudio_bench.bench.cli.common import finish, make_plan, run_options, split_names

EPILOG = """\b
Examples
  bench run                                            the embedded suite, every built-in system
  bench run --suite folder:clips --system outputs:ours=predictions
  bench run --suite simroom-mini --system motion-pan --metric default,fcd --out runs/small
  bench run --suite biaudio,music,fairplay             data that bench data prepare has prepared
  bench run --suite fairplay --subset split1:test      a part of it, as fairplay:split1:test
  bench run --dry-run                                  what would be done
"""


@click.command(epilog=EPILOG)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    default=("simroom",),
    show_default=True,
    callback=split_names,
    metavar="NAME,...",
    help="Suites to evaluate on. See: bench list suites",
)
@click.option(
    "--system",
    "systems",
    multiple=True,
    callback=split_names,
    metavar="NAME,...",
    help="Systems to evaluate, beside the anchors made of references.  [default: all that need no weights]",
)
@click.option("--subset", metavar="PART", help="A part of the suite, such as split1:test; short for NAME:PART.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N clips of each suite.")
@click.option("--allow-missing-suite", is_flag=True, help="Do not fail for suites that are not here.")
@run_options
def run(
    suites: tuple[str, ...],
    systems: tuple[str, ...],
    subset: str | None,
    limit: int | None,
    allow_missing_suite: bool,
    **options: Any,
) -> None:
    """Generate with every system, score, print and save the leaderboard.

    Another run into the same folder adds to it. Killed at any moment, the same command goes on from there.
    """
    from dataclasses import replace

    from visaudio_bench.bench.evaluation.plan import open_jobs, present_suites
    from visaudio_bench.errors import UsageError

    if subset is not None:
        if len(suites) != 1:
            raise UsageError(f"--subset {subset} is a part of one suite, and {len(suites)} are asked for.")
        suites = (f"{suites[0]}:{subset}",)
    present, absent = present_suites(suites)
    jobs = open_jobs(present, systems, limit)
    plan = replace(make_plan(jobs, "-".join(job.suite.name for job in jobs), options), absent_suites=absent)
    finish(plan, options["form"], dry_run=options["dry_run"], allow_missing_suite=allow_missing_suite)
