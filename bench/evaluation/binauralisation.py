"""The protocol of Garg et al.'s Table 2: mono sound made binaural, by STFT and ENV; and where it is heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visaudio_bench.bench.evaluation.plan import SuiteJob
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.beside_published import binauralisation_table
from visaudio_bench.leaderboards.published_tables import read_published
from visaudio_bench.leaderboards.schema import read_results
from visaudio_bench.leaderboards.tables import Table

SYSTEMS = ("motion-pan", "foleyspace-like")  # those that need no weights
METRICS = ("stft", "env", "lat_r", "lr_acc", "lat_err", "delta_ild", "delta_itd")


def require_binauralisers(jobs: Sequence[SuiteJob]) -> None:
    """See that every system is given the reference's mono sound; the anchors stand beside them.

    Raises:
        UsageError: one makes sound of its own, or a suite has no references.
    """
    for job in jobs:
        if not job.has_references:
            raise UsageError(f"{job.suite.name} has no reference sounds, whose mono sound could be made binaural.")
        for system in job.systems:
            if not system.card.binauralises:
                raise UsageError(
                    f"{system.card.name} is not given the reference's mono sound, and --protocol binauralize compares "
                    "those that are: motion-pan, geometry-aware:FILE, mono2binaural:FILE, foleyspace:FILE, ..."
                )


def published_beside(run: Path) -> list[Table]:
    """The published numbers beside those of a run, where they belong together."""
    table = binauralisation_table(run.name, read_results(run), read_published())
    return [table] if table else []
