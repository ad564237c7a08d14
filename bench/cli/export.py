"""`bench export`: a suite as files, to run one's own model on."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("suite", metavar="SUITE")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the files go.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N clips.")
@click.option("--workers", type=click.IntRange(1), help="Processes for preparing the suite.  [default: every core]")
def export(suite: str, out: Path, limit: int | None, workers: int | None) -> None:
    """Write the videos, captions and reference sounds of SUITE, to run a model of your own on them.

    Leaves videos/CLIP.mp4 (silent, cut to the clip), references/CLIP.wav and captions.csv. Example: bench export
    simroom-mini --out clips
    """
    from visaudio_bench.bench.evaluation.suite_export import export as write
    from visaudio_bench.lock import hold
    from visaudio_bench.pool import available_cores
    from visaudio_bench.suites import open_suite

    opened = open_suite(suite)
    with hold(out, "bench export"):
        write(opened, limit, out, workers or available_cores())
