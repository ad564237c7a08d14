"""`bench score`: judge folders of sound files that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from visaudio_bench.bench.cli.common import Number, finish, make_plan, run_options

EPILOG = """\b
Examples
  bench score --predictions outputs/ours                           descriptive cues only: there is no reference
  bench score --predictions outputs/ours --references data/wavs    paired metrics too, and the anchor rows
  bench score --predictions a --predictions b --references data/wavs
  bench score --predictions a --labels labels.csv                  against labelled directions, without a reference
"""


@click.command(epilog=EPILOG)
@click.option(
    "--predictions",
    "predictions",
    multiple=True,
    required=True,
    metavar="DIR",
    help="Folder with one sound or video file per clip; NAME=DIR names the row. May be given several times.",
)
@click.option(
    "--references", type=click.Path(path_type=Path), metavar="DIR", help="Folder with the true sound of each clip."
)
@click.option("--videos", type=click.Path(path_type=Path), metavar="DIR", help="Folder with the videos.")
@click.option(
    "--labels", type=click.Path(path_type=Path), metavar="FILE", help="Direction labels of the clips, as csv."
)
@click.option(
    "--binauralised",
    is_flag=True,
    help="The predictions were made from the references' own mono sound: waveform distances apply.",
)
@click.option(
    "--duration",
    type=Number(min=0, min_open=True),
    metavar="SECONDS",
    help="Judge only so much of each clip.",
)
@run_options
def score(
    predictions: tuple[str, ...],
    references: Path | None,
    videos: Path | None,
    labels: Path | None,
    binauralised: bool,
    duration: float | None,
    **options: Any,
) -> None:
    """Score folders of sound files that you already have.

    Files are matched by name without the suffix; whatever does not match is listed.
    """
    from visaudio_bench.bench.evaluation.plan import score_job

    job = score_job(predictions, references, videos, binauralised=binauralised, duration=duration, labels=labels)
    names = "-".join(system.card.name for system in job.systems if not system.card.anchor)
    finish(make_plan((job,), f"score-{names}", options), options["form"], dry_run=options["dry_run"])
