"""`bench mos plan`: what a listening test of a given size can separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from visaudio_bench.bench.cli.common import Number, format_option, print_tables
from visaudio_bench.bench.cli.mos_options import NameList, Scale, read_files, rules_of, several
from visaudio_bench.errors import UsageError

EPILOG = """\b
Examples:
  bench mos plan --raters 12 --clips 10 --systems 5 --difference 0.3
  bench mos plan --raters 24 --clips 20 --earlier survey
  bench mos plan --design matching --raters 12 --clips 20 --difference 0.2
"""
# What is assumed of each design: SD of a system's votes over raters, over clips, otherwise; the difference to find.
DEFAULTS = {"rating": (0.3, 0.45, 0.8, 0.5), "matching": (0.1, 0.15, 0.45, 0.2)}
GIVEN = ("system_by_rater", "system_by_clip", "noise", "difference")
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
@click.option("--design", "kind", type=click.Choice(tuple(DEFAULTS)), default="rating", show_default=True)
@click.option("--difference", type=Number(0, min_open=True), help="To find.  [default: 0.5; matching: 0.2]")
@click.option("--system-by-rater", type=Number(0), help="SD over raters.  [default: 0.3; matching: 0.1]")
@click.option("--system-by-clip", type=Number(0), help="SD over clips.  [default: 0.45; matching: 0.15]")
@click.option("--noise", type=Number(0), help="SD of votes otherwise.  [default: 0.8; matching: 0.45]")
@_earlier
@format_option
def plan(form: str, **options: Any) -> None:
    """What can be told apart, before anybody is asked.

    Variances are those of an earlier study, or three standard deviations: how much a system's votes differ from rater
    to rater and from clip to clip beyond what all systems share, and otherwise. In the design matching votes are
    right (1) or wrong (0), and systems are also compared with guessing.
    """
    from visaudio_bench.bench.mos.planning import StudyPlan, assumed, estimated, estimated_matching, plan_table

    matching = options["kind"] == "matching"
    for name, value in zip(GIVEN, DEFAULTS[options["kind"]], strict=True):
        options[name] = value if options[name] is None else options[name]
    if matching and options["difference"] > 0.5:
        raise UsageError(f"--difference {options['difference']:g}: shares lie at most 0.5 above guessing.")
    study = StudyPlan(options["raters"], options["clips"], options["systems"], options["difference"])
    if options["ratings"]:
        unused = {
            "form": "auto",
            "dimension": "AR",
            "study_id": None,
            "systems": None,
            "recruited": None,
            "per_rater": None,
        }
        reading = {**options, **unused, "allow_missing": float("inf"), "duplicates": "refuse"}
        rules = rules_of(reading)
        spreads = (estimated_matching if matching else estimated)(read_files(reading, rules), rules)
        if not spreads:
            raise UsageError("no two systems of the earlier study have votes of the same raters on the same clips.")
    else:
        spreads = assumed(*(options[name] for name in GIVEN[:3]), matching=matching)
    print_tables([plan_table(study, spreads)], form)
