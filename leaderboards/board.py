"""The leaderboard: one table a suite and track, from results.

Anchors come first, then the competing systems, best first by the first ranked column. The best of a column is bold
and the second best underlined, among competing systems only and only where there are at least two; systems that a
test cannot tell apart share the mark. ± is half the width of the 95 % interval over clips.

The two tracks never share a table: waveform distances mean something only for systems that were given the
reference's own sound, and their table holds only those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leaderboards.judge import REFERENCE_SYSTEM, SuiteInfo, SystemInfo
from leaderboards.schema import Result
from leaderboards.tables import EMPTY, Cell, Column, Mark, Row, Table
from metrics.catalogue import Metric

TITLES = {
    "generation": "where the sound is",
    "binauralisation": "waveforms of systems that heard the reference's sound",
}
HEARD = "†"
# Values that rest on less than this share of the clips are named under the table.
FEW = 0.5


def leaderboard(
    results: Sequence[Result],
    suites: Sequence[SuiteInfo],
    systems: Mapping[str, Sequence[SystemInfo]],
    metrics: Sequence[Metric],
) -> list[Table]:
    """The tables of a run: for every suite the metrics of each track that have at least one value."""
    tables = []
    for suite in suites:
        for track, title in TITLES.items():
            columns = [metric for metric in metrics if metric.track == track]
            table = _table(suite, title, columns, systems[suite.name], [r for r in results if r.suite == suite.name])
            if table.columns and table.rows:
                tables.append(table)
    return tables


def _table(
    suite: SuiteInfo, title: str, metrics: Sequence[Metric], systems: Sequence[SystemInfo], results: Sequence[Result]
) -> Table:
    cell = {(result.system, result.metric): result for result in results}
    shown = [metric for metric in metrics if any(r.metric == metric.key and r.value is not None for r in results)]
    rows = [system for system in systems if any((system.name, metric.key) in cell for metric in shown)]
    rows.sort(key=lambda system: (not system.anchor, _place(system, shown, cell)))
    competitors = [system for system in rows if not system.anchor]
    marked = len(competitors) > 1
    compared = any(system.name == REFERENCE_SYSTEM for system in rows)
    return Table(
        title=f"{suite.title} · {suite.clips} clips · {title}",
        columns=tuple(_column(metric, compared) for metric in shown),
        rows=tuple(
            Row(
                label=system.title + (HEARD if system.binauralises and not system.anchor else ""),
                cells=tuple(
                    _cell(cell.get((system.name, metric.key)), metric, marked, cell, competitors) for metric in shown
                ),
                group="anchors" if system.anchor else "systems",
            )
            for system in rows
        ),
        notes=tuple(_notes(suite, rows, shown, results)),
    )


def _column(metric: Metric, compared: bool) -> Column:
    """A metric's column; without a reference row nothing can be near the reference."""
    better = "none" if metric.better == "reference" and not compared else metric.better
    return Column(metric.key, metric.title, metric.unit, better)


def _place(system: SystemInfo, metrics: Sequence[Metric], cell: Mapping[tuple[str, str], Result]) -> float:
    """Position among the competing systems: by the first column that has a direction."""
    for metric in metrics:
        result = cell.get((system.name, metric.key))
        if not system.anchor and metric.better in ("higher", "lower") and result and result.value is not None:
            return -result.value if metric.better == "higher" else result.value
    return 0.0 if system.anchor else float("inf")


def _cell(
    result: Result | None,
    metric: Metric,
    marked: bool,
    cells: Mapping[tuple[str, str], Result],
    competitors: Sequence[SystemInfo],
) -> Cell:
    if result is None or result.value is None:
        return Cell(EMPTY, reason=result.reason if result else "not judged by this metric")
    text = f"{result.value:.{metric.digits}f}"
    if result.low is not None and result.high is not None:
        text += f" ±{(result.high - result.low) / 2:.{metric.digits}f}"
    mark: Mark = ""
    if marked and result.rank is not None:
        ranks = {cells[s.name, metric.key].rank for s in competitors if (s.name, metric.key) in cells} - {None}
        position = sorted(rank for rank in ranks if rank is not None).index(result.rank)
        mark = ("best", "second", "")[min(position, 2)]
    return Cell(text, result.value, result.low, result.high, mark, result.reason)


def _notes(
    suite: SuiteInfo, systems: Sequence[SystemInfo], metrics: Sequence[Metric], results: Sequence[Result]
) -> list[str]:
    notes = []
    if suite.synthetic:
        notes.append("Simulated scenes: directions are exact, and no number here compares with a published one.")
    if any(system.binauralises and not system.anchor for system in systems):
        notes.append(f"{HEARD} was given the reference's own mono sound.")
    for result in results:
        if result.metric.endswith("_floor") and result.value is not None:
            base = next((m for m in metrics if f"{m.key}_floor" == result.metric), None)
            if base:
                notes.append(
                    f"{base.title} between two random halves of the reference set: {result.value:.{base.digits}f} "
                    f"{base.unit}; less than that says nothing."
                )
    thin = [words for system in systems if (words := _thin(system, suite, metrics, results))]
    if thin:
        notes.append(f"Rests on fewer than half of the {suite.clips} clips: {', '.join(thin)}.")
    return notes


def _thin(system: SystemInfo, suite: SuiteInfo, metrics: Sequence[Metric], results: Sequence[Result]) -> str:
    """Which of a system's values rest on few clips, in words: `ΔITD of Mono (2)`."""
    count = {result.metric: result.n for result in results if result.system == system.name and result.n}
    few = [metric for metric in metrics if count.get(metric.key, suite.clips) < FEW * suite.clips]
    if not few:
        return ""
    what = "everything" if len(few) == len(metrics) else " and ".join(metric.title for metric in few)
    return f"{what} of {system.title} ({min(count[metric.key] for metric in few)})"
