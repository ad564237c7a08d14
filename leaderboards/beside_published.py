"""Measured results beside published ones, in the layout of the ViSAudio paper's Table 2 (arXiv:2512.03036).

Every row says its status. A measured row is followed by the published one of the same method on the same dataset and
by their difference, measured minus published. Numbers of simulated scenes stand in tables of their own.

Suite and system find their published numbers by name: `DATASETS` for suites, the system's key for methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from visaudio_bench.leaderboards.published_tables import (
    ASPECTS,
    Place,
    Published,
    all_columns,
    content_columns,
    contradictions,
)
from visaudio_bench.leaderboards.results import PLAIN, info_from
from visaudio_bench.leaderboards.schema import Result, Run, SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.suite_tables import (
    HEARD_NOTE,
    SIMULATED,
    TRAINED,
    remarks_on,
    row_label,
    trained_on,
)
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Mark, Table, TableRow
from visaudio_bench.metrics.catalogue import METRICS

# name of a suite -> the dataset and split that papers report on
DATASETS = {
    "biaudio": ("BiAudio", "test"),
    "music": ("MUSIC", "test"),
    "fairplay": ("FAIR-Play", "out of distribution"),
}
LEADING = (Column("status", "status", left=True), Column("clips", "N"))
MARKS: tuple[Mark, ...] = ("best", "second")


class MeasuredSystem(NamedTuple):
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
        columns = {place: column for place, column in all_columns().items() if any(row.place == place for row in here)}
        lines = [_published_row(here, system, columns, marked=True) for system in _systems(here)]
        title = f"{dataset} · {split} · published"
        tables.append(Table(title, (*LEADING, *columns.values()), tuple(lines), "method", tuple(_sources(here))))
    return tables


def comparison_tables(runs: Sequence[tuple[str, Run]], rows: Sequence[Published]) -> list[Table]:
    """One table for every suite of the runs, published numbers beside the measured ones where they belong together.

    Args:
        runs: name and content of every run folder.
        rows: the published numbers.

    Returns:
        The tables, a suite each.
    """
    every = [measurement for name, run in runs for measurement in _measured(name, run)]
    every = [entry for entry in every if entry.suite.name in DATASETS and not entry.suite.synthetic]
    suites = dict.fromkeys((measurement.suite.name, measurement.suite.synthetic) for measurement in every)
    return [
        _table(
            [measurement for measurement in every if (measurement.suite.name, measurement.suite.synthetic) == suite],
            rows,
        )
        for suite in suites
    ]


def _measured(name: str, run: Run) -> list[MeasuredSystem]:
    suites, systems = info_from(run.body)
    return [
        MeasuredSystem(
            name,
            run.provenance["protocol"]["name"],
            suite,
            system,
            _by_place(r for r in run.results if (r.suite, r.system) == (suite.name, system.name)),
        )
        for suite in suites
        for system in systems[suite.name]
    ]


def _by_place(results: Iterable[Result]) -> dict[Place, Result]:
    """Results by column; a distance between sets is shown plain, as papers print it."""
    by_place = {(result.metric, result.view): result for result in results}
    plain = {
        (name.removesuffix(PLAIN), view): result for (name, view), result in by_place.items() if name.endswith(PLAIN)
    }
    return by_place | plain


def _table(measured: Sequence[MeasuredSystem], rows: Sequence[Published]) -> Table:
    """One suite: anchors, the competing systems with what is published of them, then what is only published."""
    suite, columns = measured[0].suite, content_columns()
    dataset = None if suite.synthetic else DATASETS.get(suite.name)
    here = [row for row in rows if (row.dataset, row.split) == dataset and row.place in columns]
    lines: list[TableRow] = []
    known = dict.fromkeys(
        measurement.system.name
        for measurement in sorted(measured, key=lambda measurement: not measurement.system.anchor)
    )
    for name in known:
        same = [measurement for measurement in measured if measurement.system.name == name]
        lines += _compared(same, [row for row in here if row.system == name], columns)
    lines += [_published_row(here, name, columns) for name in _systems(here) if name not in known]
    title = suite.title + (f" · beside {' · '.join(dataset)}" if dataset else "")
    shown = [METRICS[key] for key, _ in columns]
    trained = trained_on((measurement.system, shown) for measurement in measured)
    notes = [*_conditions(measured), *trained, *_reasons(measured, columns), *_few(measured, here), *_sources(here)]
    return Table(title, (*LEADING, *columns.values()), tuple(lines), "method", tuple(notes))


def _compared(
    same: Sequence[MeasuredSystem], rows: Sequence[Published], columns: Mapping[Place, Column]
) -> list[TableRow]:
    """One system: what each run measured, what is published of it, and the differences."""
    system = same[0].system
    group = system.name if rows else "anchors" if system.anchor else "systems"
    lines, differences, first = [], [], _first(rows)
    for measurement in same:
        label = row_label(measurement.system) + (f" ({measurement.run})" if len(same) > 1 else "")
        cells = {place: _measured_cell(measurement, place) for place in columns}
        lines.append(TableRow(label, (*_status_and_size(measurement, columns), *cells.values()), group))
        gaps = (_difference(cells[place], first.get(place), place) for place in columns)
        differences.append(TableRow(f"{label}: difference", (Cell("difference"), Cell(EMPTY), *gaps), group))
    return [*lines, replace(_published_row(rows, system.name, columns), group=group), *differences] if rows else lines


def _status_and_size(measurement: MeasuredSystem, columns: Mapping[Place, Column]) -> tuple[Cell, Cell]:
    """Status of a measured row, and how many clips its values rest on: `2695`, or `2690–2695` where they differ."""
    results = [result for place in columns if (result := measurement.results.get(place)) is not None]
    valued = [result for result in results if result.value is not None]
    if not valued:
        return Cell(results[0].status if results else "missing"), Cell(EMPTY, reason="no values")
    low, high = (pick(result.n for result in valued) for pick in (min, max))
    return Cell(valued[0].status), Cell(str(low), low) if low == high else Cell(f"{low}–{high}")


def _measured_cell(measurement: MeasuredSystem, place: Place) -> Cell:
    result = measurement.results.get(place)
    if result is None:
        return Cell(EMPTY, reason="missing: not in this run")
    if result.value is None:
        return Cell(EMPTY, reason=f"{result.status}: {result.reason}")
    digits = METRICS[place[0]].digits
    text = f"{result.value:.{digits}f}"
    if result.low is not None and result.high is not None:
        text += f" ±{(result.high - result.low) / 2:.{digits}f}"
    trained = place[0] in measurement.system.optimised
    text += TRAINED * trained
    return Cell(text, result.value, result.low, result.high, reason=result.reason, optimised=trained)


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
) -> TableRow:
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
    return TableRow(label, (Cell("published"), size, *cells), "published")


def _first(rows: Iterable[Published]) -> dict[Place, Published]:
    """The first number of each column."""
    numbers: dict[Place, Published] = {}
    for row in rows:
        numbers.setdefault(row.place, row)
    return numbers


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


def _conditions(measured: Sequence[MeasuredSystem]) -> list[str]:
    """How the measured rows were made."""
    runs = dict.fromkeys((measurement.run, measurement.protocol) for measurement in measured)
    notes = [f"Measured in {run} under the protocol {protocol}." for run, protocol in runs]
    if measured[0].suite.synthetic:
        notes.append(SIMULATED)
    if any(result.metric.endswith(PLAIN) for measurement in measured for result in measurement.results.values()):
        notes.append(
            "Fréchet distances are the plain values that papers print; bench report shows them less their bias."
        )
    if any(measurement.system.binauralises and not measurement.system.anchor for measurement in measured):
        notes.append(HEARD_NOTE)
    return notes + remarks_on(measurement.system for measurement in measured)


def _reasons(measured: Sequence[MeasuredSystem], columns: Mapping[Place, Column]) -> list[str]:
    """Why measured values are missing, each reason once; systems are named where others have the value."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for measurement in measured:
        for place, column in columns.items():
            result = measurement.results.get(place)
            if result is None or result.value is None:
                reason = "not in this run" if result is None else f"{result.status}, {result.reason}"
                lacking.setdefault((reason, column.title), []).append(row_label(measurement.system))
    titles: dict[tuple[str, str], list[str]] = {}
    for (reason, title), systems in lacking.items():
        who = "" if len(systems) == len(measured) else f" of {', '.join(dict.fromkeys(systems))}"
        titles.setdefault((who, reason), []).append(title)
    return [f"No {', '.join(several)}{who}: {reason}." for (who, reason), several in titles.items()]


def _few(measured: Sequence[MeasuredSystem], rows: Sequence[Published]) -> list[str]:
    """Distances between sets depend on how many clips they are of: another number of clips is said."""
    ours = sorted({measurement.suite.clips for measurement in measured})
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
