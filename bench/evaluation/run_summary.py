"""What a run folder holds: suites, systems and metrics, and the commands that it is from."""

from __future__ import annotations

from visaudio_bench.leaderboards.results import PLAIN, info_from
from visaudio_bench.leaderboards.schema import Run, SuiteInfo, SystemInfo
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow

COLUMNS = (
    Column("clips", "clips"), Column("metrics", "metrics", left=True), Column("without", "without a value", left=True),
)  # fmt: skip


def summary_tables(run: Run) -> list[Table]:
    """For each suite a row for each system: on how many clips its values rest, and which metrics have one."""
    suites, systems = info_from(run.body)
    commands = [
        entry.get("command", "a command that was not kept")
        for entry in (*run.provenance.get("earlier", []), run.provenance)
    ]
    failures = run.body.get("failures", 0)
    notes = [f"Made by: {command}" for command in commands]
    notes += (
        [f"{failures} {'failure' if failures == 1 else 'failures'} of clips in failures.jsonl."] if failures else []
    )
    return [
        Table(
            f"{suite.title} · {suite.clips} clips",
            COLUMNS,
            tuple(_row(run, suite, system) for system in systems[suite.name]),
            notes=tuple(notes),
        )
        for suite in suites
    ]


def _row(run: Run, suite: SuiteInfo, system: SystemInfo) -> TableRow:
    own = [entry for entry in run.results if (entry.suite, entry.system) == (suite.name, system.name)]
    own = [entry for entry in own if not entry.metric.endswith((PLAIN, "_floor"))]
    valued = list(dict.fromkeys(entry.metric for entry in own if entry.value is not None))
    empty = list(dict.fromkeys(entry.metric for entry in own if entry.value is None and entry.metric not in valued))
    clips = max((entry.n for entry in own), default=0)
    cells = (Cell(str(clips), clips), Cell(", ".join(valued) or EMPTY), Cell(", ".join(empty) or EMPTY))
    return TableRow(system.name, cells, group="anchors" if system.anchor else "systems")
