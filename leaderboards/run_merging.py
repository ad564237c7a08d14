"""Several runs as one table: when their numbers compare, and what they hold together.

Runs compare on a suite when whatever a number depends on is the same: the clips, the seed, the protocol, the numbers
that networks compute with, and the versions of the metrics. Everything else that differs is for `bench diff` to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visaudio_bench.leaderboards.schema import ClipRow, ClipTable, Run

ALIKE = {"seed": "seed", "dtype": "--dtype", "protocol": "protocol"}


def disagreements(first: Run, second: Run) -> list[str]:
    """What keeps the numbers of two runs from standing in one table, a phrase each; empty if nothing does.

    Args:
        first: a run.
        second: another one.

    Returns:
        A phrase each.
    """
    told = []
    for key, words in ALIKE.items():
        mine, theirs = (_plain(run.provenance.get(key)) for run in (first, second))
        if mine != theirs:
            told.append(f"{words} {mine} and {theirs}")
    ours, theirs = (run.provenance.get("weights", {}) for run in (first, second))
    told += [f"other weights of {name}" for name in ours if name in theirs and ours[name] != theirs[name]]
    versions, other_versions = (run.body.get("metrics", {}) for run in (first, second))
    told += [
        f"version {versions[key]} and {other_versions[key]} of {key}"
        for key in versions
        if key in other_versions and versions[key] != other_versions[key]
    ]
    suites = {suite["info"]["name"]: suite for suite in first.body["suites"]}
    for suite in second.body["suites"]:
        name = suite["info"]["name"]
        if name in suites:
            told += _other_clips(name, suites[name], suite)
    return told


def _plain(value: Any) -> Any:
    return value.get("name") if isinstance(value, Mapping) else value


def _other_clips(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    if mine["info"]["synthetic"] != theirs["info"]["synthetic"]:
        return [f"simulated and real clips of {name}"]
    counts = mine["info"]["clips"], theirs["info"]["clips"]
    if counts[0] != counts[1]:
        return [f"{counts[0]} and {counts[1]} clips of {name}"]
    if mine.get("manifest") != theirs.get("manifest"):
        return [f"other clips or files of {name} (its manifest differs)"]
    return []


def computed(run: Run) -> set[str]:
    """The metrics of a run that it could compute."""
    return {key for key in run.body["metrics"] if key not in run.body["unavailable"]}


def joined(tables: Sequence[ClipTable]) -> ClipTable:
    """The rows of several per-clip tables, one below the other."""
    labels: dict[str, tuple[str, ...]] = {}
    codes = {}
    for name in ClipRow._fields:
        if name == "value":
            continue
        known: dict[str, int] = {}
        parts = []
        for table in tables:
            places = np.array([known.setdefault(text, len(known)) for text in table.labels[name]], dtype=np.int64)
            parts.append(places[table.codes[name]] if len(places) else np.zeros(0, np.int64))
        codes[name] = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        labels[name] = tuple(known)
    value = np.concatenate([table.value for table in tables]) if tables else np.zeros(0)
    return ClipTable(labels, codes, value)


def chosen(table: ClipTable, keep: np.ndarray) -> ClipTable:
    """The rows where `keep` (rows,) is true.

    Args:
        table: per-clip rows.
        keep: (rows,) which rows.

    Returns:
        The rows.
    """
    return ClipTable(table.labels, {name: codes[keep] for name, codes in table.codes.items()}, table.value[keep])


def renamed(table: ClipTable, names: Mapping[str, str]) -> ClipTable:
    """The same rows under other names of systems.

    Args:
        table: per-clip rows.
        names: new name by old.

    Returns:
        The rows.
    """
    systems = tuple(names.get(system, system) for system in table.labels["system"])
    return ClipTable({**table.labels, "system": systems}, table.codes, table.value)


def quantity_keys(table: ClipTable) -> list[tuple[str, str, str, str]]:
    """List the suite, system, quantity and view of each row; the numbers of one vector are of one quantity."""
    stems = tuple(name.partition("[")[0] for name in table.labels["metric"])
    whole = ClipTable({**table.labels, "metric": stems}, table.codes, table.value)
    return list(zip(*(whole.column(name).tolist() for name in ("suite", "system", "metric", "view")), strict=True))


def rows_of(table: ClipTable) -> list[ClipRow]:
    """The rows one by one, as they are written."""
    columns = {name: table.column(name).tolist() for name in ClipRow._fields if name != "value"}
    values = [None if np.isnan(value) else value for value in table.value.tolist()]
    ordered = (values if name == "value" else columns[name] for name in ClipRow._fields)
    return [ClipRow(*row) for row in zip(*ordered, strict=True)]
