"""Objective metrics of a run beside the opinions of a study: do they agree with listeners?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visaudio_bench.bench.mos.plain import plain
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.schema import ClipTable, Result, read_clip_rows, read_results
from visaudio_bench.metrics.opinion import Floats
from visaudio_bench.metrics.opinion_correlation import over_clips, over_systems

SIGNS = {"higher": 1, "lower": -1}


class MetricColumn(NamedTuple):
    """One metric in one view: which way is better, values by system, and by system and clip where there are any."""

    metric: str
    view: str
    better: str
    by_system: Mapping[str, float]
    by_clip: Mapping[tuple[str, str], float]


def agreement_with(study: dict[str, Any], run: Path, confidence: float, seed: int) -> list[dict[str, Any]]:
    """Correlate each objective metric of a run with each dimension of a study, over systems and over clips.

    Coefficients are signed so that above 0 the metric agrees with listeners, where it says which values are better.

    Args:
        study: one study as `mos.json` holds it.
        run: folder of a run, with results.json and clips.csv.
        confidence: coverage of the intervals, in (0, 1).
        seed: of the bootstrap over clips.

    Returns:
        A JSON-able row for each dimension and column, in that order: `dimension`, `suite`, `metric`, `view`, `better`,
        and the agreement as `metrics.opinion_correlation` computes it under `systems` and, where clips are shared,
        `clips`.

    Raises:
        UsageError: no run, or a run without the study's suite, or without two of its systems.
    """
    results = read_results(run).results
    suite = _suite(study, results, run)
    present = {result.system for result in results if result.suite == suite and result.value is not None}
    systems = [name for name in study["systems"] if name in present]
    if len(systems) < 2:
        raise UsageError(
            f"{run} and study {study['study_id']} have {len(systems)} system(s) in common; the run has "
            f"{', '.join(sorted(present))}, the study {', '.join(study['systems'])}. They are joined by name."
        )
    clips = list(dict.fromkeys(row["clip"] for row in study["clips"]))
    columns = list(_columns(results, read_clip_rows(run / "clips.csv"), suite))
    return [
        {"dimension": dimension["key"], "suite": suite, "metric": column.metric, "view": column.view,
         "better": column.better, **_agreements(study, dimension["key"], column, systems, clips, confidence, seed)}
        for dimension in study["dimensions"]
        for column in columns
    ]  # fmt: skip


def _suite(study: dict[str, Any], results: Sequence[Result], run: Path) -> str:
    """The suite that both speak of: the study's, or the only one of the run where the study does not say."""
    suites = list(dict.fromkeys(result.suite for result in results))
    named = study["report"]["suites"]
    common = [name for name in suites if name in named] if named else suites
    if len(common) != 1:
        raise UsageError(
            f"{run} has the suite(s) {', '.join(suites)}, study {study['study_id']} is of "
            f"{', '.join(named) or 'a suite that it does not name'}; one in common was expected."
        )
    return common[0]


def _columns(results: Sequence[Result], rows: ClipTable, suite: str) -> Iterator[MetricColumn]:
    mine = [result for result in results if result.suite == suite and result.value is not None]
    scores: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for (system, metric, view), by_clip in rows.by_clip(suite).items():
        scores.setdefault((metric, view), {}).update({(system, clip): value for clip, value in by_clip.items()})
    for metric, view in dict.fromkeys((result.metric, result.view) for result in mine):
        here = [result for result in mine if (result.metric, result.view) == (metric, view)]
        values = {result.system: float(result.value) for result in here if result.value is not None}
        yield MetricColumn(metric, view, here[0].better, values, scores.get((metric, view), {}))


def _agreements(
    study: dict[str, Any],
    dimension: str,
    column: MetricColumn,
    systems: Sequence[str],
    clips: Sequence[str],
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    sign = SIGNS.get(column.better, 1)
    means = {row["system"]: row["mean"] for row in study["opinions"] if _is(row, dimension)}
    metric = sign * np.array([column.by_system.get(name, math.nan) for name in systems])
    opinion = np.array([math.nan if means.get(name) is None else means[name] for name in systems], dtype=np.float64)
    points = [{"system": name, "metric": column.by_system.get(name), "opinion": means.get(name)} for name in systems]
    agreement = {"points": points, "systems": plain(over_systems(metric, opinion, confidence))}
    if column.by_clip:
        votes = {(row["system"], row["clip"]): row["mean"] for row in study["clips"] if row["dimension"] == dimension}
        tables = (_table(column.by_clip, systems, clips), _table(votes, systems, clips))
        agreement["clips"] = plain(over_clips(sign * tables[0], tables[1], confidence, seed))
    return agreement


def _is(row: dict[str, Any], dimension: str) -> bool:
    return bool(row["dimension"] == dimension and row["role"] == "test")


def _table(values: Mapping[tuple[str, str], float], systems: Sequence[str], clips: Sequence[str]) -> Floats:
    return np.array([[values.get((system, clip), math.nan) for clip in clips] for system in systems], dtype=np.float64)
