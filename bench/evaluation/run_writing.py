"""What a run folder is made of, judged and written: the tables of every run, and of several runs that were merged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from visaudio_bench.bench.evaluation.accumulation import SuiteRecord
from visaudio_bench.bench.evaluation.signal_scores import FATAL, PADDED
from visaudio_bench.files import file_sha256, write_text
from visaudio_bench.leaderboards.html_page import page
from visaudio_bench.leaderboards.results import Basis, judge
from visaudio_bench.leaderboards.run_merging import rows_of
from visaudio_bench.leaderboards.schema import (
    ClipTable,
    Failure,
    SuiteInfo,
    write_clip_rows,
    write_failures,
    write_results,
)
from visaudio_bench.leaderboards.suite_tables import leaderboard
from visaudio_bench.leaderboards.tables import Table, render
from visaudio_bench.metrics.protocol import PROTOCOLS
from visaudio_bench.suites.media import TOLERANCE

# Reasons that are listed and do not fail a run: the sound was scored, or nobody could have made it, and a reader should
# know this of it. The words follow a count of sounds in the notes of a table.
REMARKS = {
    "clipped": "clipped",
    "wrong_rate": "not at the suite's sample rate, and resampled",
    "narrow_band": "sampled too low for the cues, which are measured up to 8 kHz",
    "anti_phase": "with one ear inverted",
    "too_long": "longer than the clip, and judged only as far as it reaches",
    "no_partner": "without another clip whose reference could stand for it",
    PADDED: f"up to {TOLERANCE:g} s shorter than the clip, and filled with silence",
}


# What else is listed counts against a run. The sound of such a clip has no scores, or it has although it is degenerate.
LEFT_OUT, DEGENERATE = "left out", "scored as it is"
SHOWN = 5  # clips that a remark names


class RunContent(NamedTuple):
    """Everything that a run folder says.

    Attributes:
        records: of its suites.
        rows: of every clip.
        failures: of clips.
        unavailable: why metrics have no values at all, by key.
        provenance: what everything was computed from; with the seed and the protocol that it is judged by.
    """

    records: Sequence[SuiteRecord]
    rows: ClipTable
    failures: Sequence[Failure]
    unavailable: dict[str, str]
    provenance: dict[str, Any]


def write_run(out: Path, content: RunContent, more: Iterable[Table] = ()) -> list[Table]:
    """Judge what a run found, and write its folder; the features of distances between sets lie there already.

    Args:
        out: run folder.
        content: what it holds.
        more: tables that stand below the leaderboard.

    Returns:
        The tables.
    """
    records = [record._replace(info=_with_unusable(record.info, content.failures)) for record in content.records]
    protocol = PROTOCOLS[content.provenance["protocol"]["name"]]
    basis = Basis(content.provenance["seed"], out, protocol, content.unavailable)
    judged = [judge(content.rows, record.info, record.systems, record.metrics, basis) for record in records]
    results = [result for record in judged for result in record.results]
    metrics = {metric.key: metric for record in records for metric in record.metrics}
    suites, systems = [record.info for record in records], {record.info.name: record.systems for record in records}
    tables = [*leaderboard(results, suites, systems, list(metrics.values())), *more]
    write_failures(out / "failures.jsonl", content.failures)
    write_clip_rows(out, rows_of(content.rows))
    extra = {
        "suites": [record.body() for record in records],
        "metrics": {key: metric.version for key, metric in metrics.items()},
        "unavailable": content.unavailable,
        "failures": len(content.failures),
        "files": {path.relative_to(out).as_posix(): file_sha256(path) for path in judged_files(out)},
        "comparisons": [dataclasses.asdict(pair) for record in judged for pair in record.comparisons],
    }
    write_results(out, results, content.provenance, extra)
    _save_tables(out, tables)
    return tables


def judged_files(run: Path) -> list[Path]:
    """The files of a run folder that its results are computed from."""
    return [*(run / name for name in ("clips.csv", "failures.jsonl")), *sorted(run.glob("features/*/[!.]*.npz"))]


def unusable(failures: Iterable[Failure]) -> dict[str, list[Failure]]:
    """Failures that count against a run, by clip."""
    by_clip: dict[str, list[Failure]] = {}
    for failure in failures:
        if failure.reason not in REMARKS:
            by_clip.setdefault(f"{failure.suite}/{failure.clip}", []).append(failure)
    return by_clip


def fate_of(failure: Failure) -> str:
    """What became of a sound that counts against a run: `LEFT_OUT` or `DEGENERATE`."""
    return DEGENERATE if failure.stage == "screen" and failure.reason not in FATAL else LEFT_OUT


def fates(bad: Mapping[str, Sequence[Failure]]) -> str:
    """Count the clips that a sound is left out of, and those that have a degenerate one, in the words beside each."""
    lost = sum(any(fate_of(failure) == LEFT_OUT for failure in failures) for failures in bad.values())
    words = {LEFT_OUT: lost, f"{DEGENERATE}, though degenerate": len(bad) - lost}
    return ", ".join(f"{number} with a sound that is {fate}" for fate, number in words.items() if number)


def counted(bad: Mapping[str, Sequence[Failure]], allowed: int) -> str:
    """Say how many clips count against a run.

    Args:
        bad: as `unusable` returns it.
        allowed: how many may.

    Returns:
        The beginning of a sentence.
    """
    clips = "1 clip counts" if len(bad) == 1 else f"{len(bad)} clips count"
    return f"{clips} against this run, {allowed} allowed: {fates(bad)}"


def _with_unusable(info: SuiteInfo, failures: Iterable[Failure]) -> SuiteInfo:
    """The suite with a remark on the clips that count against a run; every table shows it."""
    whys: dict[str, dict[str, list[str]]] = {LEFT_OUT: {}, DEGENERATE: {}}
    for failure in failures:
        if failure.suite == info.name and failure.reason not in REMARKS:
            told = f"{failure.system} {failure.reason}" if failure.system else failure.reason
            whys[fate_of(failure)].setdefault(failure.clip, []).append(told)
    begin = {fate: f"A sound is {fate} in " for fate in whys}
    remarks = [remark for remark in info.remarks if not remark.startswith(tuple(begin.values()))]
    for fate, clips in whys.items():
        some = "; ".join(f"{clip} ({', '.join(dict.fromkeys(told))})" for clip, told in list(clips.items())[:SHOWN])
        more = f"; and {len(clips) - SHOWN} more, in failures.jsonl" if len(clips) > SHOWN else ""
        if clips:
            remarks.append(f"{begin[fate]}{len(clips)} of {info.clips} clips: {some}{more}.")
    return replace(info, remarks=tuple(remarks))


def _save_tables(out: Path, tables: Sequence[Table]) -> None:
    """Write the leaderboard in the formats that other programs read."""
    for form in ("md", "tex", "csv"):
        write_text(out / f"leaderboard.{form}", render(tables, form))
    write_text(out / "leaderboard.html", page(tables, f"Leaderboard of {out.name}"))
