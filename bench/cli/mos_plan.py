"""`bench mos plan`: what a listening test of a given size can separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from visaudio_bench.bench.cli.common import format_option, print_tables
from visaudio_bench.bench.cli.mos_options import NameList, Scale, read_files, rules_of, several
from visaudio_bench.errors import UsageError

EPILOG = """\b
Examples:
  bench mos plan --raters 12 --clips 10 --systems 5 --difference 0.3
  bench mos plan --raters 24 --clips 20 --earlier survey
"""
_earlier = several(
    click.option("--earlier", "ratings", type=click.Path(path_type=Path), multiple=True, help="Responses of a pilot."),
    click.option("--codes", type=click.Path(path_type=Path), help="Their key."),
    click.option("--dimensions", type=NameList(), help="Their dimensions, if not SI,SC,TA,SA,AR."),
    click.option("--scale", type=Scale(), default=(1, 5), help="Their scale.  [default: 1-5]"),
)


@click.command(epilog=EPILOG)
@click.option("--raters", type=click.IntRange(2), default=12, show_default=True)
@click.option("--clips", type=click.IntRange(2), default=10, show_default=True)
@click.option("--systems", type=click.IntRange(2), default=5, show_default=True, help="How many are compared.")
@click.option("--difference", type=click.FloatRange(0, min_open=True), default=0.5, show_default=True)
@click.option("--system-by-rater", type=click.FloatRange(0), default=0.3, show_default=True, help="SD over raters.")
@click.option("--system-by-clip", type=click.FloatRange(0), default=0.45, show_default=True, help="SD over clips.")
@click.option("--noise", type=click.FloatRange(0), default=0.8, show_default=True, help="SD of votes otherwise.")
@_earlier
@format_option
def plan(form: str, **options: Any) -> None:
    """What can be told apart, before anybody is asked.

    Variances are those of an earlier study, or three standard deviations: how much a system's votes differ from rater
    to rater and from clip to clip beyond what all systems share, and otherwise.
    """
    from visaudio_bench.bench.mos.planning import Design, assumed, estimated, plan_table

    design = Design(options["raters"], options["clips"], options["systems"], options["difference"])
    if options["ratings"]:
        unused = {"form": "auto", "dimension": "AR", "study_id": None, "systems": None, "recruited": None}
        reading = {**options, **unused, "allow_missing": float("inf"), "duplicates": "refuse"}
        rules = rules_of(reading)
        spreads = estimated(read_files(reading, rules), rules)
        if not spreads:
            raise UsageError("no two systems of the earlier study have votes of the same raters on the same clips.")
    else:
        spreads = assumed(options["system_by_rater"], options["system_by_clip"], options["noise"])
    print_tables([plan_table(design, spreads)], form)
