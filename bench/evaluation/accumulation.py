"""Runs into one folder add up: what is there stays, and what is asked again takes its place.

That holds only while the numbers compare. What would be lost otherwise (another seed, other clips, another protocol) is
refused before any work, unless the user asks for it to be replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.family_registry import own_metrics
from visaudio_bench.bench.evaluation.plan import Plan
from visaudio_bench.bench.evaluation.recomputation import metrics_of
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.results import info_from
from visaudio_bench.leaderboards.run_merging import chosen, computed, disagreements, joined, quantity_keys
from visaudio_bench.leaderboards.schema import (
    ClipTable,
    Failure,
    Run,
    SuiteInfo,
    SystemInfo,
    read_clip_rows,
    read_failures,
    read_results,
)
from visaudio_bench.metrics.catalogue import Metric


class SuiteRecord(NamedTuple):
    """One suite of a run folder, as `results.json` describes it."""

    info: SuiteInfo
    manifest: str
    systems: list[SystemInfo]
    metrics: tuple[Metric, ...]
    cards: list[dict[str, Any]]

    def body(self) -> dict[str, Any]:
        """What `results.json` says of it."""
        return {
            "info": asdict(self.info),
            "manifest": self.manifest,
            "systems": [asdict(system) for system in self.systems],
            "metrics": [metric.key for metric in self.metrics],
            "cards": self.cards,
        }


class Earlier(NamedTuple):
    """What runs into the same folder have left there."""

    run: Run
    rows: ClipTable
    failures: list[Failure]


def records_of(run: Run) -> list[SuiteRecord]:
    """The suites of a run."""
    suites, systems = info_from(run.body)
    metrics = metrics_of(run)
    return [
        SuiteRecord(info, body["manifest"], systems[info.name], metrics[info.name], body["cards"])
        for info, body in zip(suites, run.body["suites"], strict=True)
    ]


@contextmanager
def replaceable(out: Path) -> Iterator[None]:
    """Read files of a run; where one is damaged the way on is told with it.

    Raises:
        UsageError: as the block did.
    """
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{error} To give up the results in {out}, not its sounds, add --replace") from error


def present_run(plan: Plan) -> Run | None:
    """The run in the plan's folder that stays there; None where there is none, or it is to be replaced.

    Raises:
        UsageError: its numbers do not compare with those that the plan would add.
    """
    if plan.replace or not (plan.out / "results.json").is_file():
        return None
    with replaceable(plan.out):
        present = read_results(plan.out)
    require_alike(plan, present, {})
    return present


def earlier(plan: Plan) -> Earlier | None:
    """All of what `present_run` says, with its rows and failures.

    Raises:
        UsageError: as `present_run`, or a file of the run is damaged.
    """
    present = present_run(plan)
    if present is None:
        return None
    with replaceable(plan.out):
        return Earlier(present, read_clip_rows(plan.out / "clips.csv"), read_failures(plan.out / "failures.jsonl"))


def require_alike(plan: Plan, present: Run, weights: Mapping[str, str]) -> None:
    """Refuse to put numbers that do not compare into one folder.

    Args:
        plan: of the run.
        present: the run that the folder holds.
        weights: SHA-256 of weight files by name.

    Raises:
        UsageError: with what differs, and the two ways on.
    """
    planned = Run(
        {"seed": plan.seed, "dtype": plan.dtype, "protocol": plan.protocol.record(), "weights": dict(weights)},
        [],
        {
            "metrics": {metric.key: metric.version for metric in plan.all_metrics},
            "suites": [
                {
                    "info": {"name": job.suite.name, "clips": len(job.clips), "synthetic": job.suite.synthetic},
                    "manifest": job.suite.manifest_hash(),
                }
                for job in plan.jobs
            ],
        },
    )
    told = disagreements(present, planned)
    if told:
        raise UsageError(
            f"{plan.out} holds a run that these numbers cannot stand beside: {'; '.join(told)} (there, and asked for). "
            "Write to another folder with --out DIR, or give it up for the new one with --replace."
        )


def kept_words(present: Run, plan: Plan) -> list[str]:
    """What of an earlier run stays beside the plan's own, a line for each suite.

    Args:
        present: the run that the folder holds.
        plan: of the run.

    Returns:
        The lines.
    """
    asked = {job.suite.name: {system.card.name for system in job.systems} for job in plan.jobs}
    lines = []
    for record in records_of(present):
        names = [system.name for system in record.systems if system.name not in asked.get(record.info.name, set())]
        if names:
            lines.append(f"  kept     {', '.join(names)} on {record.info.name}: of earlier runs into this folder")
    return lines


def merged_rows(before: Earlier | None, rows: ClipTable) -> ClipTable:
    """The rows of both: of a quantity of a system that both have, the new ones.

    Args:
        before: what the folder held; None if it is new.
        rows: of this run.

    Returns:
        The rows.
    """
    if before is None:
        return rows
    new = set(quantity_keys(rows))
    keep = np.array([key not in new for key in quantity_keys(before.rows)], dtype=bool)
    return joined([chosen(before.rows, keep), rows]) if keep.any() else rows


def merged_records(before: Earlier | None, records: Sequence[SuiteRecord]) -> list[SuiteRecord]:
    """The suites of both, each with the systems and metrics of both.

    Args:
        before: what the folder held; None if it is new.
        records: of this run.

    Returns:
        The records.
    """
    if before is None:
        return list(records)
    new = {record.info.name: record for record in records}
    present = []
    for old in records_of(before.run):
        record = new.pop(old.info.name, None)
        present.append(old if record is None else _merged(old, record))
    return [*present, *new.values()]


def _merged(old: SuiteRecord, new: SuiteRecord) -> SuiteRecord:
    was = {system.name: system for system in old.systems}
    systems = dict(was)
    for system in new.systems:
        # One that cannot run now keeps what it has from when it could.
        if not system.missing or system.name not in was:
            systems[system.name] = system
    cards = {card["name"]: card for card in (*old.cards, *new.cards)}
    more = {metric.key for metric in old.metrics} - {metric.key for metric in new.metrics}
    metrics = in_order((*old.metrics, *new.metrics)) if more else new.metrics
    return new._replace(systems=list(systems.values()), metrics=metrics, cards=list(cards.values()))


def in_order(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics, each once, in the order of the catalogue; those of plug-ins last."""
    order = {key: place for place, key in enumerate(own_metrics())}
    known = {metric.key: metric for metric in metrics}
    return tuple(sorted(known.values(), key=lambda metric: order.get(metric.key, len(order))))


def merged_failures(before: Earlier | None, failures: Sequence[Failure], plan: Plan) -> list[Failure]:
    """The failures of both: of systems and suites that were asked for again, the new ones.

    Args:
        before: what the folder held; None if it is new.
        failures: of this run.
        plan: of the run.

    Returns:
        The failures.
    """
    if before is None:
        return list(failures)
    again = {(job.suite.name, name) for job in plan.jobs for name in ("", *(s.card.name for s in job.present))}
    return [*(failure for failure in before.failures if (failure.suite, failure.system) not in again), *failures]


def merged_unavailable(before: Earlier | None, plan: Plan) -> dict[str, str]:
    """Why metrics have no values at all: those that neither run could compute.

    Args:
        before: what the folder held; None if it is new.
        plan: of the run.

    Returns:
        A sentence by metric.
    """
    if before is None:
        return plan.unavailable
    old = before.run.body["unavailable"]
    had = computed(before.run)
    asked = {metric.key for metric in plan.all_metrics}
    still = {key: why for key, why in old.items() if key not in asked}
    return {key: why for key, why in {**still, **plan.unavailable}.items() if key not in had}


def merged_provenance(before: Earlier | None, origin: dict[str, Any], *, kept: bool) -> dict[str, Any]:
    """The provenance of the newest run, with the earlier ones below it where numbers of theirs are left.

    Args:
        before: what the folder held; None if it is new.
        origin: provenance of this run.
        kept: whether numbers of earlier runs are left.

    Returns:
        The provenance.
    """
    if before is None or not kept:
        return origin
    old = before.run.provenance
    for name in ("weights", "backbones"):
        origin = {**origin, name: {**old.get(name, {}), **origin[name]}}
    own = {key: value for key, value in old.items() if key != "earlier"}
    return {**origin, "earlier": [*old.get("earlier", []), own]}
