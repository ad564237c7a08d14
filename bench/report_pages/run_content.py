"""What a run says, as data for its pages: tables, scores of clips, cards, provenance, failures."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.abc import InspectLoader
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.accumulation import SuiteRecord
from visaudio_bench.bench.evaluation.run_differences import compare
from visaudio_bench.bench.report_pages.paired import paired_differences
from visaudio_bench.leaderboards.beside_published import DATASETS, comparison_tables
from visaudio_bench.leaderboards.published_tables import read_published
from visaudio_bench.leaderboards.schema import ClipTable, Failure, Run, SuiteInfo
from visaudio_bench.leaderboards.suite_tables import TITLES, Shown, row_label
from visaudio_bench.leaderboards.tables import Table, render
from visaudio_bench.metrics.catalogue import Metric

MOST_CHANGES = 200  # rows of a table of differences, the largest first


def tables_data(tables: Sequence[Table]) -> Any:
    """Tables as the terminal has them, as data: those of `--format json`."""
    return json.loads(render(tables, "json"))


def beside_published(runs: Sequence[tuple[str, Run]], suites: Iterable[SuiteInfo]) -> list[Table]:
    """Runs beside papers, where papers report on one of their suites.

    Args:
        runs: what each is called, and what its `results.json` says.
        suites: of the runs.

    Returns:
        A table for each such suite.
    """
    titles = tuple(suite.title for suite in suites if suite.name in DATASETS and not suite.synthetic)
    if not titles:
        return []
    return [table for table in comparison_tables(runs, read_published()) if table.title.startswith(titles)]


def column_meanings(metrics: Iterable[Metric]) -> dict[str, dict[str, str]]:
    """What each column of a table means, by its key.

    Args:
        metrics: of the run.

    Returns:
        For each column its `help` in a sentence or two, its `group`, which is the kind of table that it stands in, and
        the `page` of `manual_pages` that tells more.
    """
    return {
        shown.column(compared=True).key: {
            "help": f"{metric.description} Source: {metric.source}.",
            "group": TITLES[metric.track],
            "page": metric.family,
        }
        for metric in metrics
        for shown in (Shown(metric, view) for view in metric.shown)
    }


def manual_pages(metrics: Iterable[Metric]) -> dict[str, str]:
    """The manual pages of metrics, by the name of the module whose docstring each is; it is read and not imported."""
    pages = {}
    for family in dict.fromkeys(metric.family for metric in metrics):
        spec = importlib.util.find_spec(family)
        source = spec.loader.get_source(family) if spec and isinstance(spec.loader, InspectLoader) else None
        pages[family] = (ast.get_docstring(ast.parse(source)) if source else None) or ""
    return {family: text for family, text in pages.items() if text}


def cards_of(records: Iterable[SuiteRecord]) -> list[dict[str, Any]]:
    """The card of each system, once, in the order of the run."""
    return list({card["name"]: card for record in records for card in record.cards}.values())


def suite_scores(
    rows: ClipTable,
    record: SuiteRecord,
    clips: Sequence[Mapping[str, Any]],
    failures: Iterable[Failure],
    seed: int,
) -> dict[str, Any]:
    """The scores of every clip of a suite, one list for each metric and system.

    Args:
        rows: of the whole run.
        record: the suite; those of its metrics that are a mean over clips have scores.
        clips: what the list of clips shows beside scores, each with its `id`.
        failures: of the run.
        seed: of the run.

    Returns:
        JSON-able: `clips`, `systems`, `metrics`, `values[system][metric][clip]` with null where there is none, `pairs`
        as `paired_differences` says, and `flags`, what was said of single clips.
    """
    suite, systems = record.info.name, record.systems
    place = {clip["id"]: number for number, clip in enumerate(clips)}
    columns = [
        Shown(metric, view) for metric in record.metrics if metric.quantities == (metric.key,) for view in metric.shown
    ]
    values = _values(rows, suite, [system.name for system in systems], columns, place)
    scored = np.flatnonzero(np.isfinite(values).any(axis=(0, 2)))
    shown = {system.name: values[number, scored] for number, system in enumerate(systems)}
    return {
        "clips": list(clips),
        "systems": [{"name": s.name, "title": row_label(s), "anchor": s.anchor} for s in systems],
        "metrics": [_metric_data(columns[number]) for number in scored],
        "values": {system: [_short(row) for row in own] for system, own in shown.items()},
        "pairs": paired_differences(shown, seed),
        "flags": [
            {"clip": place[f.clip], "system": f.system, "stage": f.stage, "reason": f.reason, "message": f.message}
            for f in failures
            if f.suite == suite and f.clip in place
        ],
    }


def _values(
    rows: ClipTable, suite: str, systems: Sequence[str], columns: Sequence[Shown], clips: Mapping[str, int]
) -> NDArray[np.float64]:
    """(systems, columns, clips) scores of a suite, NaN where there is none."""
    known = {(shown.metric.key, shown.view): number for number, shown in enumerate(columns)}
    views = rows.labels["view"]
    pairs = [known.get((metric, view), -1) for metric in rows.labels["metric"] for view in views]
    places = (
        np.array([own.get(label, -1) for label in rows.labels[name]], dtype=np.int64)[rows.codes[name]]
        for name, own in (("system", {name: number for number, name in enumerate(systems)}), ("clip", clips))
    )
    system, clip = places
    column = np.array(pairs, dtype=np.int64)[rows.codes["metric"] * len(views) + rows.codes["view"]]
    of_suite = np.array([label == suite for label in rows.labels["suite"]], dtype=bool)[rows.codes["suite"]]
    here = of_suite & (np.minimum(np.minimum(system, clip), column) >= 0)
    values = np.full((len(systems), len(columns), len(clips)), math.nan)
    values[system[here], column[here], clip[here]] = rows.value[here]
    return values


def _short(row: NDArray[np.float64]) -> list[float | None]:
    """As many digits as a page shows; null where there is no value."""
    return [None if math.isnan(value) else float(f"{value:.5g}") for value in row.tolist()]


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


def run_names(runs: Sequence[Path]) -> dict[Path, str]:
    """What runs are called: the names of their folders; where two are alike, the paths as they were given."""
    names = Counter(run.resolve().name for run in runs)
    return {run: run.resolve().name if names[run.resolve().name] == 1 else str(run) for run in runs}


def changes_of(runs: Sequence[Path], names: Mapping[Path, str]) -> list[dict[str, Any]]:
    """What changed from each run to the next, as `bench diff` tells it.

    Args:
        runs: their folders, in their order.
        names: what each is called.

    Returns:
        JSON-able: `first` and `second`, and the `tables`, each with its first `MOST_CHANGES` rows.
    """
    told = []
    for first, second in pairwise(runs):
        tables = [replace(table, rows=table.rows[:MOST_CHANGES]) for table in compare(first, second)]
        told.append({"first": names[first], "second": names[second], "tables": tables_data(tables)})
    return told
