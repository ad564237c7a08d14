"""Whether a run folder is what it says it is, as far as its files can tell: nothing is computed again.

Each check looks at everything and lists what is wrong. A leaderboard's maintainer runs them on a submission before
anything else; `bench.evaluation.verification` computes again.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.generation import made_sounds, record_at
from visaudio_bench.bench.evaluation.recomputation import metrics_of
from visaudio_bench.bench.evaluation.run_checks import Check, other_clips
from visaudio_bench.bench.evaluation.run_media import read_media
from visaudio_bench.errors import UsageError
from visaudio_bench.escapes import csv_meaning
from visaudio_bench.files import file_sha256
from visaudio_bench.leaderboards.results import PLAIN, info_from
from visaudio_bench.leaderboards.schema import (
    CSV_FIELDS,
    FINISHED,
    VALUED,
    ClipTable,
    Failure,
    Result,
    Run,
    SuiteInfo,
    SystemInfo,
    read_clip_rows,
    read_failures,
    read_results,
)
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.models.weights import WEIGHTS
from visaudio_bench.names import fault
from visaudio_bench.sheets import read_text
from visaudio_bench.suites import Clip, Suite

ROUNDING = 1e-9  # of numbers that lie at the end of their range
MOST_ALIKE = 0.5  # share of a system's clips that may have one and the same sound, or a silent one


class _Folder(NamedTuple):
    """A run folder, read."""

    path: Path
    run: Run
    rows: ClipTable
    failures: list[Failure]
    media: dict[str, list[Clip]]
    metrics: dict[str, tuple[Metric, ...]]


def validate(path: Path, suites_here: Callable[[Run], dict[str, Suite]]) -> list[Check]:
    """Check a run folder.

    Args:
        path: of the folder.
        suites_here: gives the suites of the run as this machine has them, by name.

    Returns:
        The checks; only the first where a file does not keep the schema, because the others read it.

    Raises:
        UsageError: the folder has no `results.json`, or a suite cannot be had that is asked for.
    """
    if not (path / "results.json").is_file():
        raise UsageError(f"{path / 'results.json'} is not there; {FINISHED}.")
    looked_at = "results.json, clips.csv, failures.jsonl, media.json"
    try:
        run = read_results(path)
        rows, failures = read_clip_rows(path / "clips.csv"), read_failures(path / "failures.jsonl")
        folder = _Folder(path, run, rows, failures, read_media(path), metrics_of(run))
    except UsageError as error:
        return [Check("schema", looked_at, [str(error)])]
    return [
        Check("schema", looked_at),
        _files(folder),
        _results_csv(folder),
        _units(folder),
        _ranges(folder),
        _clips(folder, suites_here(run)),
        _counts(folder),
        _sounds(folder),
        _degenerate(folder),
    ]


def _files(folder: _Folder) -> Check:
    """Files that the results were computed from are those that the run wrote."""
    told = folder.run.body.get("files")
    if told is None:
        return Check("hashes", "nothing", remarks=["results.json has no hashes: an older version made it."])
    problems = []
    for name, expected in told.items():
        path = folder.path / name
        if any(map(fault, name.split("/"))) or not path.resolve().is_relative_to(folder.path.resolve()):
            problems.append(f"{name} is not in the folder")
        elif not path.is_file():
            problems.append(f"{name} is not there")
        elif file_sha256(path) != expected:
            problems.append(f"{name} is not the file that the run wrote: its SHA-256 is another")
    for name, used in folder.run.provenance.get("weights", {}).items():
        known = WEIGHTS[name].sha256 if name in WEIGHTS else None
        if known is not None and used != known:
            problems.append(f"the weights {name} were not the public ones: SHA-256 {str(used)[:12]}, not {known[:12]}")
    return Check("hashes", f"{len(told)} files, weights", problems)


def _results_csv(folder: _Folder) -> Check:
    """`results.csv` and `results.json` say the same."""
    path = folder.path / "results.csv"
    try:
        lines = list(csv.reader(io.StringIO(read_text(path)[0], newline=""), strict=True))
    except (OSError, UsageError, csv.Error) as error:
        return Check("results.csv", "nothing", [f"it cannot be read: {error}"])
    told = [list(CSV_FIELDS), *([_text(getattr(row, name)) for name in CSV_FIELDS] for row in folder.run.results)]
    lines = [list(map(csv_meaning, line)) for line in lines]
    problems = [
        f"line {number} says {','.join(line)}, and results.json says {','.join(expected)}"
        for number, (line, expected) in enumerate(zip(lines, told, strict=False), 1)
        if line != expected
    ]
    if len(lines) != len(told):
        problems.append(f"it has {len(lines) - 1:,} rows, and results.json has {len(told) - 1:,} results")
    return Check("results.csv", f"{len(told) - 1:,} results", problems)


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _metric_of(result: Result, metrics: Mapping[str, Metric]) -> Metric | None:
    return metrics.get(result.metric.removesuffix(PLAIN).removesuffix("_floor"))


def _units(folder: _Folder) -> Check:
    """Unit, direction and version of every result are those of its metric here."""
    problems = []
    for result in folder.run.results:
        metric = _metric_of(result, {metric.key: metric for metric in folder.metrics[result.suite]})
        where = f"{result.suite} / {result.system} / {result.metric}"
        if metric is None:
            problems.append(f"{where}: {result.suite} has no such metric")
            continue
        better = "none" if result.metric.endswith("_floor") else metric.better
        expected = {"unit": metric.unit, "better": better, "version": metric.version}
        problems += [
            f'{where}: {name} is "{getattr(result, name)}", here it is "{value}"'
            for name, value in expected.items()
            if getattr(result, name) != value
        ]
    return Check("units", f"{len(folder.run.results):,} results", problems)


def _ranges(folder: _Folder) -> Check:
    """Values lie in the ranges of their metrics, and inside their own intervals."""
    problems = []
    for result in folder.run.results:
        metric = _metric_of(result, {metric.key: metric for metric in folder.metrics[result.suite]})
        where = f"{result.suite} / {result.system} / {result.metric}"
        # The estimate of a distance may lie below zero once its bias is taken off.
        bounded = metric is not None and metric.interval != "jackknife"
        if bounded and result.value is not None and _outside(result.value, metric):
            problems.append(f"{where}: {result.value:g} is outside of {_range(metric)}")
        if None not in (result.low, result.high) and result.low > result.high:  # type: ignore[operator]
            problems.append(f"{where}: its interval is from {result.low:g} to {result.high:g}")
        if (result.value is None) == (result.status in VALUED):
            problems.append(f'{where}: value {_text(result.value) or "null"} with the status "{result.status}"')
    rows = folder.rows
    of_suite = rows.column("suite")
    for suite, metrics in folder.metrics.items():
        for metric in metrics:
            code = _place(rows.labels["metric"], metric.key)
            here = np.flatnonzero((of_suite == suite) & (rows.codes["metric"] == code))
            for row in here[np.array([_outside(value, metric) for value in rows.value[here].tolist()], dtype=bool)]:
                problems.append(f"clips.csv, {_row(rows, row)}: {rows.value[row]:g} is outside of {_range(metric)}")
    return Check("ranges", f"{len(folder.run.results):,} results, {len(rows):,} rows", problems)


def _place(labels: Sequence[str], name: str) -> int:
    return labels.index(name) if name in labels else -1


def _row(rows: ClipTable, row: int) -> str:
    names = ("suite", "system", "clip", "metric")
    return " / ".join(rows.labels[name][rows.codes[name][row]] for name in names)


def _outside(value: float, metric: Metric | None) -> bool:
    if metric is None or math.isnan(value):
        return False
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    return not low - ROUNDING * max(1, abs(low)) <= value <= high + ROUNDING * max(1, abs(high)) or math.isinf(value)


def _range(metric: Metric | None) -> str:
    assert metric is not None  # what has no metric is not outside of anything
    low, high = ("unbounded" if end is None else f"{end:g}" for end in (metric.low, metric.high))
    return f"{low} to {high}"


def _clips(folder: _Folder, suites: dict[str, Suite]) -> Check:
    """Every system has every quantity of every clip of its suite, with a value or with a reason."""
    infos, systems = info_from(folder.run.body)
    problems, remarks = other_clips(folder.run, suites), []
    for info in infos:
        listed = {clip.id for clip in folder.media.get(info.name, ())}
        if len(listed) != info.clips:
            problems.append(f"{info.name} has {info.clips} clips, and media.json names {len(listed)}")
        if info.name in suites:
            strange = sorted(listed - {*suites[info.name].clip_ids()})
            problems += [f'{info.name} of this machine has no clip "{clip}"' for clip in strange]
        else:
            remarks.append(f"{info.name} is not on this machine: its clips were not compared with the suite's own.")
        problems += _incomplete(folder, info, systems[info.name], listed)
    return Check("clips", f"{sum(info.clips for info in infos):,} clips, {len(folder.rows):,} rows", problems, remarks)


def _incomplete(folder: _Folder, info: SuiteInfo, systems: Sequence[SystemInfo], listed: set[str]) -> Iterator[str]:
    rows = folder.rows
    here = np.flatnonzero(rows.column("suite") == info.name)
    clips: dict[tuple[str, str, str], set[str]] = {}
    columns = (rows.column(name)[here].tolist() for name in ("system", "metric", "view", "clip"))
    for system, metric, view, clip in zip(*columns, strict=True):
        clips.setdefault((system, metric.partition("[")[0], view), set()).add(clip)
    known = {system.name for system in systems}
    for (system, metric, view), present in clips.items():
        if system not in known:
            yield f'clips.csv has rows of "{system}" on {info.name}, and results.json does not list it'
        where = f"{info.name} / {system} / {metric} / {view}"
        for clip in sorted(listed - present):
            yield f'{where}: no row of clip "{clip}"'
        for clip in sorted(present - listed):
            yield f'{where}: there is no clip "{clip}" in media.json'
    with_rows = {system for system, _, _ in clips}
    for system in systems:
        if not system.missing and system.name not in with_rows:
            yield f"{info.name} / {system.name}: results.json lists it, and clips.csv has no row of it"


def _counts(folder: _Folder) -> Check:
    """Counts and statuses agree with each other."""
    infos, _ = info_from(folder.run.body)
    by_name = {info.name: info for info in infos}
    problems = []
    for result in folder.run.results:
        info = by_name[result.suite]
        where = f"{result.suite} / {result.system} / {result.metric}"
        if result.n > info.clips:
            problems.append(f"{where} rests on {result.n} clips, and the suite has {info.clips}")
        if result.status in VALUED and (result.status == "synthetic") != info.synthetic:
            kind = "simulated" if info.synthetic else "real"
            problems.append(f'{where}: status "{result.status}" on a suite of {kind} clips')
    told = folder.run.body.get("failures")
    if told != len(folder.failures):
        problems.append(f"results.json counts {told} failures, and failures.jsonl has {len(folder.failures)}")
    return Check("counts", f"{len(folder.run.results):,} results, {len(folder.failures):,} failures", problems)


def _sounds(folder: _Folder) -> Check:
    """The sounds that are in the folder are those that were judged."""
    problems: list[str] = []
    looked_at = unsealed = absent = 0
    for suite, system, sounds in _sound_folders(folder):
        try:
            paths = made_sounds(sounds)
        except UsageError as error:
            problems.append(str(error))
            continue
        for clip, path in paths.items():
            told = record_at(sounds / f"{clip}.json").get("sha256")
            if not path.is_file():
                absent += 1
            elif told is None:
                unsealed += 1
            else:
                looked_at += 1
                if file_sha256(path) != told:
                    problems.append(f"{suite} / {system} / {clip}: {path.name} is not the sound that was judged")
    remarks = [f"{absent:,} sounds are not here."] if absent else []
    remarks += [f"{unsealed:,} sounds have no hash: an older version made them."] if unsealed else []
    return Check("sounds", f"{looked_at:,} sounds", problems, remarks)


def _sound_folders(folder: _Folder) -> Iterator[tuple[str, str, Path]]:
    infos, systems = info_from(folder.run.body)
    for info in infos:
        for system in systems[info.name]:
            sounds = folder.path / "audio" / info.name / system.name
            if sounds.is_dir():
                yield info.name, system.name, sounds


def _degenerate(folder: _Folder) -> Check:
    """No competing system gave back the reference, one sound for all clips, or silence."""
    infos, systems = info_from(folder.run.body)
    problems, remarks, competing = [], [], 0
    for info in infos:
        by_clip = folder.rows.by_clip(info.name)
        for system in (system for system in systems[info.name] if not (system.anchor or system.missing)):
            competing += 1
            where = f"{system.name} on {info.name}"
            if info.clips > 1 and _perfect(folder.metrics[info.name], by_clip, system.name):
                problems.append(f"{where} has the errors of the reference itself in every clip")
            flags = Counter(f.reason for f in folder.failures if (f.suite, f.system) == (info.name, system.name))
            if flags["silent"] > MOST_ALIKE * info.clips:
                problems.append(f"{where} is silent on {flags['silent']} of {info.clips} clips")
            alike = _most_alike(folder.path / "audio" / info.name / system.name)
            if alike > max(1, MOST_ALIKE * info.clips):
                problems.append(f"{where} has one and the same sound for {alike} of {info.clips} clips")
            remarks += [
                f"{where}: {count} of {info.clips} clips are {reason}." for reason, count in flags.items() if reason
            ]
    return Check("degenerate outputs", f"{competing} competing systems", problems, remarks)


def _perfect(metrics: Sequence[Metric], by_clip: Mapping[tuple[str, str, str], Mapping[str, float]], name: str) -> bool:
    """Whether every error of a system is exactly that of the reference; a share of points may well be full."""
    errors = (metric for metric in metrics if metric.better == "lower" and metric.quantities == (metric.key,))
    perfect = {metric.key: metric.perfect for metric in errors}
    scores = [
        value == perfect[metric]
        for (system, metric, _), values in by_clip.items()
        if system == name and perfect.get(metric) is not None
        for value in values.values()
    ]
    return bool(scores) and all(scores)


def _most_alike(sounds: Path) -> int:
    """For how many clips a system has the same sound, byte by byte."""
    hashes = Counter(str(record_at(path).get("sha256", path)) for path in sounds.glob("[!.]*.json"))
    return max(hashes.values(), default=0)
