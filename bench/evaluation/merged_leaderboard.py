"""Several runs as one leaderboard: every suite and track that they have, judged together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from visaudio_bench.bench.evaluation.recomputation import metrics_of
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.results import Basis, info_from, judge
from visaudio_bench.leaderboards.run_merging import chosen, computed, disagreements, joined, renamed
from visaudio_bench.leaderboards.schema import ClipTable, Run, SuiteInfo, SystemInfo, read_clip_rows
from visaudio_bench.leaderboards.suite_tables import leaderboard
from visaudio_bench.leaderboards.tables import Table
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.protocol import PROTOCOLS


def merged_tables(runs: Sequence[tuple[Path, Run]]) -> list[Table]:
    """The tables of all runs together.

    An anchor that several have stands there once, as the first has it; of another system that several have, every row
    says the run that it is from.

    Raises:
        UsageError: two of the runs do not compare.
    """
    for (entry, first), (other, second) in combinations(runs, 2):
        told = disagreements(first, second)
        if told:
            raise UsageError(
                f"{entry} and {other} cannot stand in one table: {'; '.join(told)}. See: bench diff {entry} {other}"
            )
    suites: dict[str, SuiteInfo] = {}
    systems: dict[str, dict[str, SystemInfo]] = {}
    metrics: dict[str, dict[str, Metric]] = {}
    folders: dict[str, dict[str, Path]] = {}
    unavailable: dict[str, str] = {}
    called: dict[str, str] = {}
    parts: list[ClipTable] = []
    times = Counter(name for _, run in runs for name in _competing(run))
    for folder, run in runs:
        again = {name: f"{name} ({folder})" for name in _competing(run) if times[name] > 1}
        called |= {new: name for name, new in again.items()}
        rows = renamed(read_clip_rows(folder / "clips.csv"), again)
        columns = zip(rows.column("suite").tolist(), rows.column("system").tolist(), strict=True)
        infos, of_suite = info_from(run.body)
        of_run = metrics_of(run)
        new = set()
        for suite in infos:
            suites.setdefault(suite.name, suite)
            metrics.setdefault(suite.name, {}).update({metric.key: metric for metric in of_run[suite.name]})
            for system in (_of_run(entry, folder, again) for entry in of_suite[suite.name]):
                if system.name not in systems.setdefault(suite.name, {}):
                    systems[suite.name][system.name] = system
                    folders.setdefault(suite.name, {})[system.name] = folder
                    new.add((suite.name, system.name))
        parts.append(chosen(rows, np.array([key in new for key in columns], dtype=bool)))
        unavailable |= run.body["unavailable"]
    had = set().union(*(computed(run) for _, run in runs))
    unavailable = {key: why for key, why in unavailable.items() if key not in had}
    table, first = joined(parts), runs[0][1]
    protocol = PROTOCOLS[first.provenance["protocol"]["name"]]
    results = []
    for name, suite in suites.items():
        several = list(systems[name].values())
        basis = Basis(first.provenance["seed"], runs[0][0], protocol, unavailable, folders[name], called)
        results += judge(table, suite, several, list(metrics[name].values()), basis).results
    every = {key: metric for several in metrics.values() for key, metric in several.items()}
    listed = {name: list(several.values()) for name, several in systems.items()}
    return leaderboard(results, list(suites.values()), listed, list(every.values()))


def _competing(run: Run) -> list[str]:
    """The systems of a run that are no anchors, each once."""
    _, systems = info_from(run.body)
    return list(dict.fromkeys(entry.name for several in systems.values() for entry in several if not entry.anchor))


def _of_run(system: SystemInfo, folder: Path, again: Mapping[str, str]) -> SystemInfo:
    if system.name not in again:
        return system
    return replace(system, name=again[system.name], title=f"{system.title} ({folder})")
