"""The Python interface: what `from visaudio_bench import cues, score, run, read_run` brings.

These functions do what the commands of the same names do, by the same code. They answer with pandas frames, print
nothing unless asked, raise the errors of `visaudio_bench.errors` where a command ends with an exit code, and leave no
files behind unless a folder is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

from visaudio_bench.bench.console import quiet
from visaudio_bench.bench.evaluation.frozen_networks import Dtype
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import BenchError, UsageError

if TYPE_CHECKING:  # pandas is imported by the functions that make frames
    import numpy.typing as npt
    from pandas import DataFrame

    from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
    from visaudio_bench.leaderboards.schema import ClipTable, Failure

Folder = str | PathLike[str]
Compat = Literal["av-benchmark"]


@dataclass(frozen=True)
class RunFrames:
    """A finished run as frames.

    Attributes:
        results: one row for each suite, system, metric and view, with the columns of `results.csv` and `unit`,
            `better`, `version`, `interval` and `rank`. `value`, `low` and `high` are NaN where there is none, and
            `reason` says why; `rank` is a nullable integer.
        clips: the per-clip table that every result is computed from, with the columns of `clips.csv`: `suite`,
            `system`, `clip`, `metric`, `view`, `value`, `status`, `reason`.
        failures: what went wrong with single clips: `suite`, `system`, `clip`, `stage`, `reason`, `message`.
        provenance: everything that could change a number: versions, weights, seed, device and more.
        folder: the run folder, None if it was not kept.
    """

    results: DataFrame
    clips: DataFrame
    failures: DataFrame
    provenance: dict[str, Any]
    folder: Path | None


class IncompleteRunError(BenchError):
    """More clips count against the run than were allowed; `run` holds everything that was computed."""

    def __init__(self, message: str, run: RunFrames):
        super().__init__(message)
        self.run = run


def cues(samples: npt.ArrayLike, sample_rate: int) -> DataFrame:
    """The interaural cues of a binaural sound, as the scores use them.

    Args:
        samples: (2, T) floating point, left first. At another rate than 44100 Hz they are resampled, as files are.
        sample_rate: in Hz.

    Returns:
        One row for each segment of 1 s, every 0.25 s: `start_s`, seconds; `ild_db`, positive when the left ear is
        louder; `itd_us`, microseconds, positive when the left ear leads; `iacc` in [0, 1]; `lateralisation` in
        [-1, 1], positive left; `energy`, mean square of both channels between 0.2 and 8 kHz; `active`, whether the
        segment is loud enough to count. A cue is NaN where too little energy is in its range.

    Raises:
        ClipError: not two channels, not floating point, or shorter than a segment.
        UsageError: the rate is not positive.
    """
    import numpy as np
    import pandas as pd

    from visaudio_bench.metrics.interaural import HOP, SEGMENT_HOP, interaural_cues
    from visaudio_bench.suites.media import resample

    sound = np.asarray(samples)
    if not sample_rate > 0:
        raise UsageError(f"a sample rate in Hz was expected, got {sample_rate}.")
    # Whatever else is wrong with them, `interaural_cues` says.
    if sample_rate != SAMPLE_RATE and sound.ndim == 2 and len(sound) == 2 and sound.dtype.kind == "f":
        sound = resample(sound.astype(np.float32), sample_rate, SAMPLE_RATE)
    measured = interaural_cues(sound)
    return pd.DataFrame(
        {
            "start_s": np.arange(len(measured.ild)) * (SEGMENT_HOP * HOP / SAMPLE_RATE),
            "ild_db": np.where(measured.ild_ok, measured.ild, np.nan),
            "itd_us": np.where(measured.itd_ok, measured.itd, np.nan),
            "iacc": measured.iacc,
            "lateralisation": np.where(measured.ild_ok | measured.itd_ok, measured.lateralisation, np.nan),
            "energy": measured.energy,
            "active": measured.active,
        }
    )


def score(
    predictions: Folder | Sequence[Folder] | Mapping[str, Folder],
    references: Folder | None = None,
    *,
    videos: Folder | None = None,
    labels: Folder | None = None,
    binauralised: bool = False,
    duration: float | None = None,
    metrics: str | Sequence[str] = (),
    out: Folder | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: Dtype = "float32",
    backbones: str | Sequence[str] = (),
    compat: Compat | None = None,
    companions: Folder | None = None,
    workers: int = 1,
    allow_missing: int = 0,
    progress: bool = False,
) -> RunFrames:
    """Score folders of sound files that exist already, as `bench score` does.

    Args:
        predictions: a folder with one sound or video file for each clip, several, or folders by the name of their row.
        references: folder with the true sound of each clip; without it only descriptive cues are computed.
        videos: folder with the videos, for the metrics that look at pictures.
        labels: file with direction labels of the clips, for the metrics of the family `direction`.
        binauralised: the predictions were made from the references' own mono sound: waveform distances apply.
        duration: seconds of each clip that are judged; the whole clip if None.
        metrics: keys or titles, or the groups `default` and `all`; the default ones if empty.
        out: run folder, from which a later call goes on; a temporary one if None.
        seed: of everything random.
        device: where networks run, as `cpu` or `cuda:1`; `auto` takes a CUDA device if there is one.
        dtype: numbers that networks compute with.
        backbones: modules with the HEAR API, as `hear:MODULE#WEIGHTS`, for distances between sets of their features.
        compat: make the choices of another implementation where they differ from ours.
        companions: folder of what other programs say of the clips, for the metrics `av_align` and `foa_angular`.
        workers: processes. With more than one, a script must start its work under `if __name__ == "__main__":`.
        allow_missing: number of clips that may have a sound which is left out or degenerate.
        progress: show on stderr what the command line shows there.

    Returns:
        The results, the per-clip table and the failures as pandas frames.

    Raises:
        UsageError: the request cannot be carried out as it was written.
        IncompleteRunError: more clips count against the run than allowed; it holds the frames of the others.
        BenchError: the run failed as a whole.
    """
    given = locals()  # the arguments alone
    from visaudio_bench.bench.evaluation.plan import score_job

    if duration is not None and not duration > 0:
        raise UsageError(f"duration must be more than 0 seconds, got {duration}.")
    if isinstance(predictions, Mapping):
        named = [f"{name}={Path(folder)}" for name, folder in predictions.items()]
    else:
        several = [predictions] if isinstance(predictions, str | PathLike) else predictions
        named = [str(Path(folder)) if isinstance(folder, PathLike) else folder for folder in several]
    if not named:
        raise UsageError("score needs at least one folder of predictions, got none.")
    job = score_job(
        named,
        _path(references),
        _path(videos),
        binauralised=binauralised,
        duration=duration,
        labels=_path(labels),
    )
    return _evaluate("score", (job,), given)


def run(
    suites: str | Sequence[str] = "simroom",
    systems: str | Sequence[str] = (),
    *,
    limit: int | None = None,
    metrics: str | Sequence[str] = (),
    out: Folder | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: Dtype = "float32",
    backbones: str | Sequence[str] = (),
    compat: Compat | None = None,
    companions: Folder | None = None,
    workers: int = 1,
    allow_missing: int = 0,
    progress: bool = False,
) -> RunFrames:
    """Generate with every system and score, as `bench run` does; anchors made of the references are always among them.

    Args:
        suites: one name or several, as `bench list suites` shows them; `folder:DIR` is a folder of your own.
        systems: one name or several, as `bench list systems` shows them; all that need no weights if empty.
        limit: only so many clips of each suite, from the first on.
        metrics: see `score`, as all that follow.
        out: run folder, in which the sounds are kept and from which a later call goes on; a temporary one if None.
        seed: of everything random.
        device: where networks run.
        dtype: numbers that networks compute with.
        backbones: modules with the HEAR API.
        compat: make the choices of another implementation.
        companions: folder of what other programs say of the clips.
        workers: processes.
        allow_missing: number of clips that may have a sound which is left out or degenerate.
        progress: show on stderr what the command line shows there.

    Returns:
        The results, the per-clip table and the failures as pandas frames.

    Raises:
        UsageError: the request cannot be carried out as it was written.
        IncompleteRunError: more clips count against the run than allowed; it holds the frames of the others.
        BenchError: the run failed as a whole.
    """
    given = locals()  # the arguments alone
    from visaudio_bench.bench.evaluation.plan import open_jobs

    if limit is not None and limit < 1:
        raise UsageError(f"limit must be at least 1 clip, got {limit}.")
    names = _names(suites)
    if not names:
        raise UsageError("run needs at least one suite, got none. See: bench list suites")
    return _evaluate("run", open_jobs(names, _names(systems), limit), given)


def read_run(folder: Folder) -> RunFrames:
    """The frames of a finished run folder, of `bench run` or `bench score`, as they were written.

    Raises:
        UsageError: it is no folder of a finished run, or a file of it does not keep the schema.
    """
    import pandas as pd

    from visaudio_bench.leaderboards.schema import Result, read_clip_rows, read_failures, read_results

    path = Path(folder)
    content = read_results(path)
    rows = [dataclasses.asdict(result) for result in content.results]
    results = pd.DataFrame(rows, columns=[field.name for field in dataclasses.fields(Result)])
    numbers = dict.fromkeys(("value", "low", "high"), "float64")
    return RunFrames(
        results=results.astype({**numbers, "rank": "Int64"}),
        clips=_clips_frame(read_clip_rows(path / "clips.csv")),
        failures=_failures_frame(read_failures(path / "failures.jsonl")),
        provenance=content.provenance,
        folder=path,
    )


def _clips_frame(table: ClipTable) -> DataFrame:
    import pandas as pd

    from visaudio_bench.leaderboards.schema import ClipRow

    return pd.DataFrame({name: table.value if name == "value" else table.column(name) for name in ClipRow._fields})


def _failures_frame(failures: Iterable[Failure]) -> DataFrame:
    import pandas as pd

    from visaudio_bench.leaderboards.schema import Failure

    return pd.DataFrame(list(failures), columns=list(Failure._fields)).drop(columns="trace")


def _evaluate(name: str, jobs: tuple[SuiteJob, ...], given: Mapping[str, Any]) -> RunFrames:
    """Carry out what was asked for and read what it left behind."""
    from visaudio_bench.bench.cli.common import make_plan
    from visaudio_bench.bench.evaluation.execution import execute
    from visaudio_bench.bench.evaluation.run_writing import counted, unusable

    _check_options(given)
    kept = _path(given["out"])
    with nullcontext() if given["progress"] else quiet(), TemporaryDirectory() as temporary:
        options = {**given, "metrics": _names(given["metrics"]), "backbones": _names(given["backbones"])}
        plan: Plan = dataclasses.replace(
            make_plan(jobs, name, {**options, "out": kept or Path(temporary)}), command=_command(name, given)
        )
        finished = execute(plan)
        assert finished is not None  # only a dry run ends with nothing
        frames = dataclasses.replace(read_run(plan.out), folder=kept)
    bad = unusable(finished.failures)
    if len(bad) > plan.allow_missing:
        raise IncompleteRunError(
            f"{counted(bad, plan.allow_missing)}; first: {next(iter(bad.values()))[0].message} The frames are in this "
            f"error's `run`, and `run.failures` lists every one. To accept them: allow_missing={len(bad)}",
            frames,
        )
    return frames


def _check_options(given: Mapping[str, Any]) -> None:
    for name, least in (("workers", 1), ("allow_missing", 0)):
        if given[name] < least:
            raise UsageError(f"{name} must be at least {least}, got {given[name]}.")
    for name, known in (("dtype", get_args(Dtype)), ("compat", (None, *get_args(Compat)))):
        if given[name] not in known:
            raise UsageError(f"{name} must be one of {', '.join(map(str, known))}, got {given[name]}.")


def _command(name: str, given: Mapping[str, Any]) -> str:
    """The call, for the provenance."""
    said = ", ".join(f"{key}={value!r}" for key, value in given.items() if value is not None and value != ())
    return f"visaudio_bench.{name}({said})"


def _names(several: str | Sequence[str]) -> tuple[str, ...]:
    return (several,) if isinstance(several, str) else tuple(several)


def _path(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)
