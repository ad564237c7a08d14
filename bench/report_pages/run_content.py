"""What a run says, as data for its pages: tables, scores of clips, cards, provenance, failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.bench.report_pages.paired import paired_differences
from visaudio_bench.leaderboards.beside_published import DATASETS, comparison_tables
from visaudio_bench.leaderboards.published_tables import read_published
from visaudio_bench.leaderboards.schema import ClipTable, Failure, Run, SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.suite_tables import Shown, row_label
from visaudio_bench.leaderboards.tables import Table, render
from visaudio_bench.metrics.catalogue import Metric


def tables_data(tables: Sequence[Table]) -> Any:
    """Tables as the terminal has them, as data: those of `--format json`."""
    return json.loads(render(tables, "json"))


def beside_published(name: str, run: Run, suites: Iterable[SuiteInfo]) -> list[Table]:
    """The run beside papers, where papers report on one of its suites.

    Args:
        name: of the run.
        run: what its `results.json` says.
        suites: of the run.

    Returns:
        A table for each such suite.
    """
    titles = tuple(suite.title for suite in suites if suite.name in DATASETS and not suite.synthetic)
    if not titles:
        return []
    return [table for table in comparison_tables([(name, run)], read_published()) if table.title.startswith(titles)]


def column_help(metrics: Iterable[Metric]) -> dict[str, str]:
    """What each column of a table means, by its key."""
    return {
        shown.column(compared=True).key: f"{shown.metric.description} Source: {shown.metric.source}."
        for metric in metrics
        for shown in (Shown(metric, view) for view in metric.shown)
    }


def cards_of(run: Run) -> list[dict[str, Any]]:
    """The card of each system, once, in the order of the run."""
    return list({card["name"]: card for suite in run.body["suites"] for card in suite["cards"]}.values())


def suite_scores(
    rows: ClipTable,
    suite: SuiteInfo,
    systems: Sequence[SystemInfo],
    metrics: Iterable[Metric],
    clips: Sequence[Mapping[str, Any]],
    failures: Iterable[Failure],
    seed: int,
) -> dict[str, Any]:
    """The scores of every clip of a suite, one list for each metric and system.

    Args:
        rows: of the whole run.
        suite: which suite.
        systems: of the suite.
        metrics: of the suite; those that are a mean over clips have scores.
        clips: what the list of clips shows beside scores, each with its `id`.
        failures: of the run.
        seed: of the run.

    Returns:
        JSON-able: `clips`, `systems`, `metrics`, `values[system][metric][clip]` with null where there is none, `pairs`
        as `paired_differences` says, and `flags`, what was said of single clips.
    """
    place = {clip["id"]: number for number, clip in enumerate(clips)}
    by_clip = rows.by_clip(suite.name)
    columns = [Shown(metric, view) for metric in metrics if metric.quantities == (metric.key,) for view in metric.shown]
    values = {
        system.name: [_column(by_clip.get((system.name, c.metric.key, c.view), {}), place) for c in columns]
        for system in systems
    }
    scored = [n for n in range(len(columns)) if any(v is not None for own in values.values() for v in own[n])]
    shown = {system: [own[number] for number in scored] for system, own in values.items()}
    return {
        "clips": list(clips),
        "systems": [{"name": s.name, "title": row_label(s), "anchor": s.anchor} for s in systems],
        "metrics": [_metric_data(columns[number]) for number in scored],
        "values": shown,
        "pairs": paired_differences(shown, seed),
        "flags": [
            {"clip": place[f.clip], "system": f.system, "stage": f.stage, "reason": f.reason, "message": f.message}
            for f in failures
            if f.suite == suite.name and f.clip in place
        ],
    }


def _column(scores: Mapping[str, float], clips: Iterable[str]) -> list[float | None]:
    return [float(f"{scores[clip]:.5g}") if clip in scores else None for clip in clips]


def _metric_data(shown: Shown) -> dict[str, Any]:
    column = shown.column(compared=True)
    return {
        "key": column.key,
        "title": column.title,
        "heading": column.heading,
        "unit": column.unit,
        "better": column.better,
        "digits": shown.metric.digits,
        "description": shown.metric.description,
    }


def run_name(run: Path) -> str:
    """How a run is called: the name of its folder."""
    return run.resolve().name
