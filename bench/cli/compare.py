"""`bench compare`: is one system better than another, by how much, and on which clips."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, print_tables

EPILOG = """\b
Examples
  bench compare runs/a runs/b                      two runs with one system each, on the same clips
  bench compare runs/a:ours runs/b:theirs          of runs with several systems
  bench compare ours theirs --run runs/a           two systems of one run
  bench compare outputs/a outputs/b --references data/wavs      two folders of sounds
"""


@click.command(epilog=EPILOG)
@click.argument("first")
@click.argument("second")
@click.option(
    "--run", "run_folder", type=click.Path(path_type=Path), metavar="RUN", help="The run that has both systems."
)
@click.option(
    "--references", type=click.Path(path_type=Path), metavar="DIR",
    help="FIRST and SECOND are folders of sounds, and this one has the true sound of each clip.",
)  # fmt: skip
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With --references: keep the run there.  [default: no]",
)
@format_option
def compare(
    first: str, second: str, run_folder: Path | None, references: Path | None, out: Path | None, form: str
) -> None:
    """Compare two systems: difference, interval, test, effect, and the clips that make the difference."""
    from tempfile import TemporaryDirectory

    from visaudio_bench.bench.evaluation.system_comparison import comparison_tables, find_sides
    from visaudio_bench.errors import UsageError

    if references is None:
        if out is not None:
            raise UsageError("--out is for two folders of sounds, with --references DIR; runs are kept as they are.")
        print_tables(comparison_tables(*find_sides(first, second, run_folder)), form)
        return
    if run_folder is not None:
        raise UsageError("--run names systems of a run, and --references is for folders of sounds; give one of them.")
    with TemporaryDirectory() as temporary:
        kept = out or Path(temporary) / "run"
        names = _scored(first, second, references, kept)
        print_tables(comparison_tables(*find_sides(*names, kept)), form)


def _scored(first: str, second: str, references: Path, out: Path) -> tuple[str, str]:
    """Judge two folders of sounds, and say what their systems are called."""
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.execution import execute
    from visaudio_bench.bench.evaluation.plan import Plan, score_job
    from visaudio_bench.bench.evaluation.run_writing import fates, unusable

    job = score_job((first, second), references, None, binauralised=False, duration=None)
    finished = execute(Plan((job,), metrics=None, out=out))
    assert finished is not None  # only a dry run ends with nothing
    bad = unusable(finished.failures)
    if bad:
        some = next(iter(bad.values()))[0].message
        note(f"{len(bad)} of {len(job.clips)} clips: {fates(bad)}; the first: {some}")
    mine, theirs = (system.card.name for system in job.systems if not system.card.anchor)
    return mine, theirs
