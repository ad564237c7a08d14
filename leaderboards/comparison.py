"""Measured results beside published ones, in the layout of the ViSAudio paper's Table 2 (arXiv:2512.03036).

Every row says its status. A measured row is followed by the published one of the same method on the same dataset and
by their difference, measured minus published. Numbers of simulated scenes stand in tables of their own.

Suite and system find their published numbers by name: `DATASETS` for suites, the system's key for methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from leaderboards.board import row_label
from leaderboards.judge import SuiteInfo, SystemInfo, info_from
from leaderboards.published import ASPECTS, Place, Published, all_columns, content_columns, contradictions
from leaderboards.schema import Result, Run
from leaderboards.tables import EMPTY, Cell, Column, Mark, Row, Table
from metrics.catalogue import METRICS

# name of a suite -> the dataset and split that papers report on
DATASETS = {
    "biaudio": ("BiAudio", "test"),
    "music": ("MUSIC", "test"),
    "fairplay": ("FAIR-Play", "out of distribution"),
}
LEADING = (Column("status", "status", left=True), Column("clips", "N"))
MARKS: tuple[Mark, ...] = ("best", "second")


class Measured(NamedTuple):
    """One system on one suite in one run; `run` names the folder, `protocol` the choices behind its numbers."""

    run: str
    protocol: str
    suite: SuiteInfo
    system: SystemInfo
    results: Mapping[Place, Result]


def published_tables(rows: Sequence[Published]) -> list[Table]:
    """One table for every dataset and split that a paper reports on."""
    tables = []
    for dataset, split in dict.fromkeys((row.dataset, row.split) for row in rows):
        here = [row for row in rows if (row.dataset, row.split) == (dataset, split)]
        columns = {place: one for place, one in all_columns().items() if any(row.place == place for row in here)}
        lines = [_published_row(here, system, columns, marked=True) for system in _systems(here)]
        title = f"{dataset} · {split} · published"
        tables.append(Table(title, (*LEADING, *columns.values()), tuple(lines), "method", tuple(_sources(here))))
    return tables


def comparison_tables(runs: Sequence[tuple[str, Run]], rows: Sequence[Published]) -> list[Table]:
    """One table for every suite of the runs, published numbers beside the measured ones where they belong together.

    Args:
        runs: name and content of every run folder.
        rows: the published numbers.
    """
    every = [one for name, run in runs for one in _measured(name, run)]
    suites = dict.fromkeys((one.suite.name, one.suite.synthetic) for one in every)
    return [_table([one for one in every if (one.suite.name, one.suite.synthetic) == suite], rows) for suite in suites]


def _measured(name: str, run: Run) -> list[Measured]:
    suites, systems = info_from(run.body)
    return [
        Measured(
            name,
            run.provenance["protocol"]["name"],
            suite,
            system,
            {(r.metric, r.view): r for r in run.results if (r.suite, r.system) == (suite.name, system.name)},
        )
        for suite in suites
        for system in systems[suite.name]
    ]


def _table(measured: Sequence[Measured], rows: Sequence[Published]) -> Table:
    suite, columns = measured[0].suite, content_columns()
    dataset = None if suite.synthetic else DATASETS.get(suite.name)
    here = [row for row in rows if (row.dataset, row.split) == dataset and row.place in columns]
    lines = []
    for one in sorted(measured, key=lambda one: not one.system.anchor):
        lines += _compared(one, _label(one, measured), [row for row in here if row.system == one.system.name], columns)
    known = {one.system.name for one in measured}
    lines += [_published_row(here, name, columns) for name in _systems(here) if name not in known]
    notes = [*_conditions(measured), *_reasons(measured, columns), *_few(measured, here), *_sources(here)]
    return Table(suite.title, (*LEADING, *columns.values()), tuple(lines), "method", tuple(notes))


def _label(one: Measured, others: Sequence[Measured]) -> str:
    """The system's title, with the run where several runs have the system."""
    several = sum(other.system.name == one.system.name for other in others) > 1
    return row_label(one.system) + (f" ({one.run})" if several else "")


def _compared(one: Measured, label: str, rows: Sequence[Published], columns: Mapping[Place, Column]) -> list[Row]:
    """The measured row, and under it what is published of the same method and the difference."""
    found = [result for place in columns if (result := one.results.get(place)) is not None]
    with_value = [result for result in found if result.value is not None]
    status = (with_value or found)[0].status if found else "missing"
    sizes = sorted({result.n for result in with_value})
    clips = Cell("–".join(str(size) for size in dict.fromkeys((sizes[0], sizes[-1]))) if sizes else EMPTY)
    cells = {place: _measured_cell(one.results.get(place)) for place in columns}
    lines = [Row(label, (Cell(status), clips, *cells.values()), label)]
    if rows:
        first = _first(rows)
        differences = (_difference(cells[place], first.get(place), place) for place in columns)
        lines.append(replace(_published_row(rows, one.system.name, columns), group=label))
        lines.append(Row(f"{label}: difference", (Cell("difference"), Cell(EMPTY), *differences), label))
    return lines


def _measured_cell(result: Result | None) -> Cell:
    if result is None:
        return Cell(EMPTY, reason="missing: not in this run")
    if result.value is None:
        return Cell(EMPTY, reason=f"{result.status}: {result.reason}")
    digits = METRICS[result.metric].digits
    text = f"{result.value:.{digits}f}"
    if result.low is not None and result.high is not None:
        text += f" ±{(result.high - result.low) / 2:.{digits}f}"
    return Cell(text, result.value, result.low, result.high, reason=result.reason)


def _difference(measured: Cell, published: Published | None, place: Place) -> Cell:
    """Measured minus published."""
    if measured.value is None or published is None:
        return Cell(EMPTY, reason="one of the two is missing")
    value = measured.value - published.value
    return Cell(f"{value:+.{METRICS[place[0]].digits}f}", value)


def _systems(rows: Iterable[Published]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.system for row in rows))


def _published_row(
    rows: Sequence[Published], system: str, columns: Mapping[Place, Column], *, marked: bool = False
) -> Row:
    """What is published of a system; `marked` sets the best of the first table apart, as the paper does."""
    mine = [row for row in rows if row.system == system]
    first = _first(mine)
    cells = []
    for place, column in columns.items():
        rivals = [row for row in rows if marked and (row.table, row.place) == (rows[0].table, place)]
        cells.append(_published_cell(first.get(place), rivals, column.better))
    clips = mine[0].clips
    size = Cell(EMPTY, reason="not stated") if clips is None else Cell(str(clips), clips)
    label = mine[0].title if marked else f"{mine[0].title}: published"
    return Row(label, (Cell("published"), size, *cells), "published")


def _first(rows: Iterable[Published]) -> dict[Place, Published]:
    """The first number of each column."""
    found: dict[Place, Published] = {}
    for row in rows:
        found.setdefault(row.place, row)
    return found


def _published_cell(row: Published | None, rivals: Sequence[Published], better: str) -> Cell:
    if row is None:
        return Cell(EMPTY, reason="missing: not in the paper")
    order = sorted({rival.value for rival in rivals}, reverse=better == "higher")
    mark = MARKS[order.index(row.value)] if row in rivals and row.value in order[: len(MARKS)] else ""
    reason = "; ".join(part for part in (f"{row.source}, {row.table}", row.remark) if part)
    if not row.half:
        return Cell(row.printed, row.value, mark=mark, reason=reason)
    half = float(row.half)
    return Cell(f"{row.printed} ±{row.half}", row.value, row.value - half, row.value + half, mark, reason)


def _conditions(measured: Sequence[Measured]) -> list[str]:
    """How the measured rows were made."""
    if measured[0].suite.synthetic:
        return ["Simulated scenes: directions are exact, and no number here compares with a published one."]
    runs = dict.fromkeys((one.run, one.protocol) for one in measured)
    return [f"Measured in {run} under the protocol {protocol}." for run, protocol in runs]


def _reasons(measured: Sequence[Measured], columns: Mapping[Place, Column]) -> list[str]:
    """Why measured values are missing, each reason once."""
    found: dict[str, list[str]] = {}
    for one in measured:
        for place, column in columns.items():
            result = one.results.get(place)
            if result is None or result.value is None:
                reason = "not in this run" if result is None else f"{result.status}, {result.reason}"
                found.setdefault(reason, []).append(column.title)
    return [f"No {', '.join(dict.fromkeys(titles))}: {reason}." for reason, titles in found.items()]


def _few(measured: Sequence[Measured], rows: Sequence[Published]) -> list[str]:
    """Distances between sets depend on how many clips they are of: another number of clips is said."""
    ours = sorted({one.suite.clips for one in measured})
    theirs = sorted({row.clips for row in rows if row.clips is not None})
    if not theirs or ours == theirs:
        return []
    words = [", ".join(str(number) for number in numbers) for numbers in (ours, theirs)]
    return [f"Measured on {words[0]} clips, published on {words[1]}: Fréchet distances of few clips are larger."]


def _sources(rows: Sequence[Published]) -> list[str]:
    """Where published numbers come from, under which conditions, and what the paper contradicts itself in."""
    notes = []
    for source in dict.fromkeys(row.source for row in rows):
        tables = dict.fromkeys(row.table for row in rows if row.source == source)
        notes.append(f"Published by {source}: {', '.join(tables)}.")
    remarks: dict[str, list[str]] = {}
    for row in rows:
        if row.remark:
            remarks.setdefault(row.remark, []).append(row.title)
    notes += [f"{', '.join(dict.fromkeys(titles))}: {remark}." for remark, titles in remarks.items()]
    if any(row.metric.startswith("MOS_") for row in rows):
        notes.append("MOS: " + ", ".join(f"{key} {name}" for key, name in ASPECTS.items()) + ".")
    return notes + contradictions(rows)
