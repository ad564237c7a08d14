"""Several runs as one: every suite, system and metric that they have, judged together.

What several runs have is there once, as the first has it: anchors always, and a competing system where the runs are
parts of one run. Where they are versions of one's own work, a competing system has a row for each run that has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.accumulation import SuiteRecord, in_order, records_of
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.results import Basis, info_from, judge
from visaudio_bench.leaderboards.run_merging import chosen, computed, disagreements, joined, quantity_keys, renamed
from visaudio_bench.leaderboards.schema import ClipTable, Failure, Run, SystemInfo, read_clip_rows, read_failures
from visaudio_bench.leaderboards.suite_tables import leaderboard
from visaudio_bench.leaderboards.tables import Table
from visaudio_bench.metrics.protocol import PROTOCOLS


class JointRuns(NamedTuple):
    """Several runs that compare, as one.

    Attributes:
        runs: their folders and contents, in their order.
        records: the suites of all.
        rows: of all, each quantity of a system once.
        failures: of all.
        unavailable: why metrics have no values at all, of those that no run could compute.
        folders: by suite and system the folders of the runs that have it; the sounds of the first were judged.
        called: what a system is called in its own run, by name, where that is something else.
    """

    runs: Sequence[tuple[Path, Run]]
    records: list[SuiteRecord]
    rows: ClipTable
    failures: list[Failure]
    unavailable: dict[str, str]
    folders: dict[str, dict[str, list[Path]]]
    called: dict[str, str]

    @property
    def seed(self) -> int:
        """The seed of all runs."""
        return int(self.runs[0][1].provenance["seed"])


def join_runs(
    runs: Sequence[tuple[Path, Run]], *, parts: bool = False, called: Mapping[Path, str] | None = None
) -> JointRuns:
    """Put runs together.

    Args:
        runs: folders and contents.
        parts: they are parts of one run, so that a system of several of them is one system.
        called: what each run is called behind the name of a system that several have; None for its folder.

    Returns:
        The runs as one.

    Raises:
        UsageError: two of the runs do not compare, or a file of one is damaged.
    """
    for (entry, first), (other, second) in combinations(runs, 2):
        told = disagreements(first, second)
        if told:
            raise UsageError(
                f"{entry} and {other} cannot stand in one table: {'; '.join(told)}. See: bench diff {entry} {other}"
            )
    times = Counter(name for _, run in runs for name in _competing(run))
    records: dict[str, SuiteRecord] = {}
    folders: dict[str, dict[str, list[Path]]] = {}
    own_names: dict[str, str] = {}
    tables: list[ClipTable] = []
    failures: list[Failure] = []
    taken: set[tuple[str, ...]] = set()
    for folder, run in runs:
        where = f" ({called[folder] if called else folder})"
        again = {} if parts else {name: name + where for name in _competing(run) if times[name] > 1}
        own_names |= {new: name for name, new in again.items()}
        before = {(suite, system) for suite, several in folders.items() for system in several}
        for record in (_renamed(record, where, again) for record in records_of(run)):
            name = record.info.name
            records[name] = _beside(records[name], record) if name in records else record
            for system in record.systems:
                folders.setdefault(name, {}).setdefault(system.name, []).append(folder)
        rows = renamed(read_clip_rows(folder / "clips.csv"), again)
        if len(runs) > 1:
            keys = quantity_keys(rows)
            rows = chosen(rows, np.array([key not in taken for key in keys], dtype=bool))
            taken |= set(keys)
        tables.append(rows)
        told_failures = (f._replace(system=again.get(f.system, f.system)) for f in _failures(folder))
        failures += [f for f in told_failures if (f.suite, f.system) not in before or not f.system]
    had = set().union(*(computed(run) for _, run in runs))
    unavailable = {key: why for _, run in runs for key, why in run.body["unavailable"].items() if key not in had}
    once = list(dict.fromkeys(failures))
    return JointRuns(runs, list(records.values()), joined(tables), once, unavailable, folders, own_names)


def _failures(folder: Path) -> list[Failure]:
    path = folder / "failures.jsonl"
    return read_failures(path) if path.is_file() else []


def _competing(run: Run) -> list[str]:
    """The systems of a run that are no anchors, each once."""
    _, systems = info_from(run.body)
    return list(dict.fromkeys(entry.name for several in systems.values() for entry in several if not entry.anchor))


def _renamed(record: SuiteRecord, where: str, again: Mapping[str, str]) -> SuiteRecord:
    def system(info: SystemInfo) -> SystemInfo:
        return replace(info, name=again[info.name], title=info.title + where) if info.name in again else info

    cards = [
        {**card, "name": again[card["name"]], "title": card.get("title", card["name"]) + where}
        if card["name"] in again
        else card
        for card in record.cards
    ]
    return record._replace(systems=[system(info) for info in record.systems], cards=cards)


def _beside(first: SuiteRecord, second: SuiteRecord) -> SuiteRecord:
    """The suite with the systems and metrics of both; what both have is the first's, unless it could not run there."""
    systems = {system.name: system for system in first.systems}
    for system in second.systems:
        if system.name not in systems or systems[system.name].missing:
            systems[system.name] = system
    cards = {card["name"]: card for card in (*second.cards, *first.cards)}
    ordered = [cards[name] for name in systems if name in cards]
    metrics = in_order((*first.metrics, *second.metrics))
    return first._replace(systems=list(systems.values()), metrics=metrics, cards=ordered)


def joint_tables(joint: JointRuns) -> list[Table]:
    """The leaderboard of all runs together."""
    first = joint.runs[0][1]
    protocol = PROTOCOLS[first.provenance["protocol"]["name"]]
    results = []
    for record in joint.records:
        folders = joint.folders[record.info.name]
        basis = Basis(joint.seed, joint.runs[0][0], protocol, joint.unavailable, folders, joint.called)
        results += judge(joint.rows, record.info, record.systems, record.metrics, basis).results
    every = {metric.key: metric for record in joint.records for metric in record.metrics}
    listed = {record.info.name: record.systems for record in joint.records}
    return leaderboard(results, [record.info for record in joint.records], listed, list(every.values()))
