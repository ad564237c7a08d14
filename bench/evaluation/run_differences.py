"""Why two runs differ: their provenance side by side, then the numbers, then the clips that moved them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.leaderboards.run_merging import renamed
from visaudio_bench.leaderboards.schema import ClipTable, Result, Run, read_clip_rows, read_results
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow

MOST_CLIPS = 20


def compare(first: Path, second: Path) -> list[Table]:
    """Compare two runs.

    Args:
        first: a run folder.
        second: another one.

    Returns:
        Three tables: what differs in how the runs were made, in their results, and in single clips.

    Where each of them has one competing system and these have two names, they are taken for one that was renamed.

    Raises:
        UsageError: one of the folders is not that of a finished run.
    """
    a, b = read_results(first), read_results(second)
    names = _renamed(a, b)
    rows = renamed(read_clip_rows(first / "clips.csv"), names), renamed(read_clip_rows(second / "clips.csv"), names)
    return [_circumstances(a, b, names), _results(a.results, b.results, names), _clips(*rows)]


def _renamed(a: Run, b: Run) -> dict[str, str]:
    """The common name of a competing system that only the one run has, and of the only one that the other has."""
    first, second = (
        {system["name"] for suite in run.body["suites"] for system in suite["systems"] if not system["anchor"]}
        for run in (a, b)
    )
    mine, theirs = sorted(first - second), sorted(second - first)
    if len(mine) != 1 or len(theirs) != 1:
        return {}
    return dict.fromkeys((*mine, *theirs), f"{mine[0]} = {theirs[0]}")


def _circumstances(a: Run, b: Run, names: Mapping[str, str]) -> Table:
    before, after = _flat(_made(a, names)), _flat(_made(b, names))
    rows = [
        TableRow(name, (Cell(str(before.get(name, EMPTY))), Cell(str(after.get(name, EMPTY)))))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    rows += [TableRow(f"name of {names[name]}", (Cell(name), Cell(other_name))) for name, other_name in _pair(names)]
    notes = () if rows else ("Both runs were made in the same way from the same data.",)
    columns = (Column("first", "first", left=True), Column("second", "second", left=True))
    return Table("how they were made", columns, tuple(rows), corner="what", notes=notes)


def _pair(names: Mapping[str, str]) -> list[tuple[str, str]]:
    if not names:
        return []
    first, *second = names
    return [(first, second[0])]


def _made(run: Run, names: Mapping[str, str]) -> dict[str, Any]:
    """Everything a result depends on, of one run; suites and systems by name."""
    suites = {
        suite["info"]["name"]: {
            "manifest": suite["manifest"],
            "clips": suite["info"]["clips"],
            "systems": {names.get(card["name"], card["name"]): card["revision"] for card in suite["cards"]},
        }
        for suite in run.body["suites"]
    }
    earlier = "; ".join(str(part.get("command", EMPTY)) for part in run.provenance.get("earlier", []))
    added = {"earlier": earlier} if earlier else {}
    return {**run.provenance, **added, "suites": suites, "metric versions": run.body["metrics"]}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        flat |= _flat(inner, f"{name} / ") if isinstance(inner, Mapping) else {name: inner}
    return flat


def _results(first: Sequence[Result], second: Sequence[Result], names: Mapping[str, str]) -> Table:
    def by_name(results: Sequence[Result]) -> dict[str, float | None]:
        return {f"{r.suite} / {names.get(r.system, r.system)} / {r.metric} / {r.view}": r.value for r in results}

    return _changes("results", by_name(first), by_name(second))


def _clips(first: ClipTable, second: ClipTable) -> Table:
    def by_name(table: ClipTable) -> dict[str, float | None]:
        names = zip(*(table.column(name) for name in ("suite", "system", "clip", "metric", "view")), strict=True)
        values = (None if math.isnan(value) else value for value in table.value.tolist())
        return dict(zip(map(" / ".join, names), values, strict=True))

    return _changes("clips", by_name(first), by_name(second), most=MOST_CLIPS)


def _changes(
    title: str, before: Mapping[str, float | None], after: Mapping[str, float | None], most: int | None = None
) -> Table:
    """Names whose values differ, the largest change first; a value that only one side has is a difference too."""
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    names.sort(key=lambda name: -abs((after.get(name) or 0.0) - (before.get(name) or 0.0)))
    rows = tuple(TableRow(name, _cells(before.get(name), after.get(name))) for name in names[:most])
    shared = len({*before} & {*after})
    note = f"{len(names)} differ, {shared} are in both runs."
    columns = (Column("first", "first"), Column("second", "second"), Column("change", "change"))
    return Table(title, columns, rows, corner="value", notes=(note,))


def _cells(before: float | None, after: float | None) -> tuple[Cell, ...]:
    change = None if before is None or after is None else after - before
    return tuple(Cell(EMPTY if v is None else f"{v:.6g}", v) for v in (before, after, change))
