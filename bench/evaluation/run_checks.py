"""What checks of somebody's run folder have in common: their outcome as a table, and the suites of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.schema import Run
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
from visaudio_bench.suites import Suite
from visaudio_bench.suites.catalogue import SUITES, open_suite

SHOWN = 5  # problems of a check that are told one by one
COLUMNS = (Column("looked_at", "looked at", left=True), Column("wrong", "wrong"))


class Check(NamedTuple):
    """One check: its name, what it looked at, what is wrong, and what a reader should know and is not wrong."""

    name: str
    looked_at: str
    problems: Sequence[str] = ()
    remarks: Sequence[str] = ()


def check_table(title: str, checks: Sequence[Check]) -> Table:
    """The outcome of checks: a row each, and the first problems of each as notes.

    Args:
        title: of the table.
        checks: in their order.

    Returns:
        The table.
    """
    rows, notes = [], []
    for check in checks:
        count = len(check.problems)
        rows.append(TableRow(check.name, (Cell(check.looked_at), Cell(str(count) if count else "ok", count))))
        notes += [f"{check.name}: {problem}" for problem in check.problems[:SHOWN]]
        if count > SHOWN:
            notes.append(f"{check.name}: and {count - SHOWN:,} more")
        notes += [f"({check.name}) {remark}" for remark in check.remarks]
    return Table(title, COLUMNS, tuple(rows), corner="check", notes=tuple(notes))


def wrong(checks: Iterable[Check]) -> int:
    """How many problems there are."""
    return sum(len(check.problems) for check in checks)


def suites_here(run: Run, requests: Sequence[str]) -> dict[str, Suite]:
    """The suites of a run as this machine has them, by name: those that are asked for, and those that have a name here.

    Args:
        run: what its `results.json` says.
        requests: suites as `bench run --suite` takes them.

    Returns:
        The suites that are here; nothing of theirs has been made yet.

    Raises:
        UsageError: one that is asked for cannot be opened, or the run has none of its name.
    """
    names = [suite["info"]["name"] for suite in run.body["suites"]]
    suites = {suite.name: suite for suite in map(open_suite, requests)}
    for name in suites:
        if name not in names:
            raise UsageError(f'the run has no suite "{name}"; it has {", ".join(names)}.')
    for name in names:
        if name not in suites and name in SUITES.names():
            try:
                suites[name] = open_suite(name)
            except UsageError:  # its data are not on this machine
                continue
    return suites


def other_clips(run: Run, suites: dict[str, Suite]) -> list[str]:
    """Which of these suites have other clips or files than the run was given, a sentence each.

    Args:
        run: what its `results.json` says.
        suites: as `suites_here` says.

    Returns:
        The sentences.
    """
    return [
        f"the run was given other clips of {body['info']['name']} than this machine has (manifest "
        f"{body['manifest'][:12]} there, {suites[body['info']['name']].manifest_hash()[:12]} here); its numbers do not "
        "stand beside those of this machine"
        for body in run.body["suites"]
        if body["info"]["name"] in suites and suites[body["info"]["name"]].manifest_hash() != body["manifest"]
    ]
