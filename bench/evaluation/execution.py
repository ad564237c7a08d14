"""Do what was planned: prepare the suites, let the systems make sound, judge it, write the run folder.

Each stage continues where an earlier run of the same command was stopped. A clip that cannot be used is listed in
`failures.jsonl` and in the tables' counts, and fails the run at its end unless as many were allowed; what was
computed is written in any case.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from visaudio_bench.baselines import System
from visaudio_bench.bench.cluster.opening import at_work
from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.evaluation.accumulation import (
    Earlier,
    SuiteRecord,
    earlier,
    kept_words,
    merged_failures,
    merged_provenance,
    merged_records,
    merged_rows,
    merged_unavailable,
    present_run,
    replaceable,
    require_alike,
)
from visaudio_bench.bench.evaluation.family import Judged
from visaudio_bench.bench.evaluation.frozen_networks import Net
from visaudio_bench.bench.evaluation.generation import generate, recorded
from visaudio_bench.bench.evaluation.hear_scenes import net_of
from visaudio_bench.bench.evaluation.network_pipeline import ClipSounds, answers_of
from visaudio_bench.bench.evaluation.network_scores import FeatureRows, Nets
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob, describe, describe_prediction, refuse_strangers
from visaudio_bench.bench.evaluation.run_media import write_media
from visaudio_bench.bench.evaluation.run_writing import REMARKS, RunContent, write_run
from visaudio_bench.bench.evaluation.signal_scores import (
    PADDED,
    Prediction,
    Problem,
    Scored,
    ScoringTask,
    admit,
    problem_of,
    score_clip,
    unscored,
)
from visaudio_bench.bench.failures import Ledger, failure_of, prepare
from visaudio_bench.bench.provenance import provenance
from visaudio_bench.errors import ClipError
from visaudio_bench.files import write_json
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file
from visaudio_bench.leaderboards.schema import (
    ClipRow,
    ClipTable,
    Failure,
    Status,
    SuiteInfo,
    SystemInfo,
)
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow
from visaudio_bench.lock import hold
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.interaural_sets import REFERENCE
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.models.weights import require
from visaudio_bench.pool import map_unordered


class FinishedRun(NamedTuple):
    """What a run ends with."""

    tables: list[Table]
    failures: list[Failure]


def execute(plan: Plan, *, dry_run: bool = False) -> FinishedRun | None:
    """Carry out a plan.

    Args:
        plan: what is to be done.
        dry_run: only say what would be done.

    Returns:
        What the run left behind; None with `dry_run`.

    Raises:
        UsageError: the output folder cannot be written, or another process is at work there.
        BenchError: weights of a system do not fit, before anything is made; or a stage failed as a whole.
    """
    refuse_strangers(plan.jobs)
    made = {(job.suite.name, s.card.name): recorded(plan, job, s) for job in plan.jobs for s in job.present}
    to_make = {key: len(_job(plan, key[0]).ids) - len(paths) for key, paths in made.items()}
    summary = plan.summary(to_make, identified=not dry_run)
    present = present_run(plan)
    note("\n".join([describe(summary), *(kept_words(present, plan) if present else ())]))
    if dry_run:
        note(describe_prediction(summary["prediction"]))
        return None
    with hold(plan.out, "a run of bench"), at_work(plan.machines, [plan.out]) as workers:
        _examine(plan, to_make)
        return _carry_out(replace(plan, workers=workers) if plan.machines.many else plan, summary)


def _examine(plan: Plan, to_make: Mapping[tuple[str, str], int]) -> None:
    """Have every system that is to make something look at what it makes it with, once."""
    systems = {s.card.name: s for job in plan.jobs for s in job.present if to_make[job.suite.name, s.card.name]}
    for system in systems.values():
        system.examine()


def _carry_out(plan: Plan, summary: Mapping[str, Any]) -> FinishedRun:
    before = earlier(plan)  # only now: until the folder was ours another process may have added to it
    write_json(plan.out / "plan.json", summary)
    with replaceable(plan.out):
        write_media(plan.out, plan.jobs, keep=before is not None)
    rows: list[ClipRow] = []
    ledger = Ledger(plan.out)
    nets = _networks(plan)
    modules = {name: {name: net_of(backbone)} for name, backbone in plan.backbones.items()}
    if before is not None:
        require_alike(plan, before.run, _weights(nets))
    for asked in plan.jobs:
        unmade = prepare(asked.suite, plan.workers)
        bad = _admit(plan, asked, unmade)
        job = replace(asked, refused=frozenset({*unmade, *bad}))
        ledger.add(Failure(job.suite.name, "", c, p.stage, p.reason, p.message, p.trace) for c, p in bad.items())
        paths = _generate_all(plan, job, ledger)
        scored = _score_all(plan, job, paths)
        ledger.add(_problems(job, scored))
        _tell_padded(job, scored)
        answers = _listen_all(plan, job, _scorable(paths, scored), {**nets, **modules}, ledger, keep=before is not None)
        rows += _rows(plan, job, scored, answers, ledger.failures)
    return _write(plan, ClipTable.of(rows), ledger, nets, before)


def _job(plan: Plan, suite: str) -> SuiteJob:
    return next(job for job in plan.jobs if job.suite.name == suite)


def _admit(plan: Plan, job: SuiteJob, unmade: Mapping[str, ClipError]) -> dict[str, Problem]:
    """Clips that cannot be used, with what is wrong; they are out for every system.

    Those that were not prepared, and, in a suite with references, those without a usable one.
    """
    bad = {clip: problem_of(error, "prepare") for clip, error in unmade.items()}
    wanted = [clip for clip in job.clips if clip.id not in bad] if job.has_references else []
    outcomes = map_unordered(admit, wanted, plan.workers)
    for outcome in track(outcomes, len(wanted), f"reading {job.suite.name}"):
        error = outcome.clip_error()
        problem = outcome.value if error is None else problem_of(error, "read")
        if problem is not None:
            bad[outcome.item.id] = problem._replace(message=f"{problem.message} {job.suite.remedy()}".rstrip())
    return {clip.id: bad[clip.id] for clip in job.clips if clip.id in bad}


def _generate_all(plan: Plan, job: SuiteJob, ledger: Ledger) -> dict[str, list[Prediction]]:
    """Predictions by clip; the ledger gets what could not be made."""
    paths: dict[str, list[Prediction]] = {clip.id: [] for clip in job.clips if clip.id not in job.refused}
    failures = []
    for system in job.present:
        name = system.card.name
        by_clip = recorded(plan, job, system)
        missing = [clip for clip in paths if clip not in by_clip]
        for made in track(generate(plan, job, system, missing), len(missing), f"{name} on {job.suite.name}"):
            if made.path is None:
                failure = Failure(job.suite.name, name, made.clip, "generate", made.reason, made.message, made.trace)
                failures.append(failure)
            else:
                by_clip[made.clip] = made.path
        for clip, predictions in paths.items():
            if clip in by_clip:
                predictions.append(Prediction(name, by_clip[clip], system.card.may_be_mono))
    order = {clip.id: position for position, clip in enumerate(job.clips)}
    names = [system.card.name for system in job.systems]
    ledger.add(sorted(failures, key=lambda failure: (names.index(failure.system), order[failure.clip])))
    return paths


def _score_all(plan: Plan, job: SuiteJob, paths: dict[str, list[Prediction]]) -> list[Scored]:
    """Every prediction judged, in the order of clips and systems whatever order the workers finish in."""
    families = tuple(family for family in plan.families_for(job) if not family.alone)
    tasks = [
        ScoringTask(clip, tuple(paths[clip.id]), families, plan.protocol, plan.companions)
        for clip in job.clips
        if paths.get(clip.id)
    ]
    scored: dict[str, list[Scored]] = {}
    for outcome in track(map_unordered(score_clip, tasks, plan.workers), len(tasks), f"scoring {job.suite.name}"):
        error = outcome.clip_error()
        scored[outcome.item.clip.id] = outcome.result() if error is None else unscored(outcome.item, error)
    return [prediction for clip in job.clips for prediction in scored.get(clip.id, [])]


def _tell_padded(job: SuiteJob, scored: Sequence[Scored]) -> None:
    """One line for each system whose sounds had to be filled to their clips' lengths."""
    for system in dict.fromkeys(prediction.system for prediction in scored):
        said = [
            p.message
            for prediction in scored
            if prediction.system == system
            for p in prediction.problems
            if p.reason == PADDED
        ]
        if said:
            note(f"{system} on {job.suite.name}: {len(said)} sounds end before their clips do, as in {said[0]}")


def _scorable(paths: Mapping[str, list[Prediction]], scored: Iterable[Scored]) -> dict[str, list[Prediction]]:
    """The predictions that could be judged at all, by clip."""
    good = {(prediction.clip, prediction.system) for prediction in scored if prediction.scored}
    return {
        clip: [prediction for prediction in predictions if (clip, prediction.system) in good]
        for clip, predictions in paths.items()
    }


def _networks(plan: Plan) -> Nets:
    """The networks of each family that is asked; nothing is loaded before it is used."""
    families = dict.fromkeys(family for job in plan.jobs for family in plan.families_for(job))
    return {
        family.name: {
            network.name: Net(
                network.name, network.load, require(network.name), plan.device, plan.dtype, network.by_row
            )
            for network in family.networks
        }
        for family in families
    }


def _listen_all(
    plan: Plan, job: SuiteJob, paths: Mapping[str, list[Prediction]], nets: Nets, ledger: Ledger, *, keep: bool
) -> dict[tuple[str, str], Judged]:
    """What the networks say of every prediction, by system and clip; their features are saved for set distances.

    With `keep` beside those of other networks that are there.
    """
    families = [family for family in plan.families_for(job) if family.alone]
    usable_clips = [clip for clip in job.clips if paths.get(clip.id)] if families else []
    clips = [ClipSounds(n, clip, {p.system: p.path for p in paths[clip.id]}) for n, clip in enumerate(usable_clips)]
    answers: dict[tuple[str, str], Judged] = {}
    features: dict[str, FeatureRows] = {}
    answered = answers_of(clips, families, nets, plan.protocol, plan.workers)
    for of_clip in track(answered, len(clips), f"networks on {job.suite.name}"):
        for answer in of_clip:
            answers[answer.system, answer.clip] = answer.quantities
            features.setdefault(answer.system, FeatureRows()).add(answer)
            who = "" if answer.system == REFERENCE_SET else answer.system
            ledger.add(failure_of(error, job.suite.name, answer.clip, "networks", who) for error in answer.problems)
    for system, rows in features.items():
        rows.save(feature_file(plan.out, job.suite.name, system), keep=keep)
    return answers


def _problems(job: SuiteJob, scored: Iterable[Scored]) -> list[Failure]:
    return [
        Failure(
            job.suite.name,
            prediction.system,
            prediction.clip,
            problem.stage,
            problem.reason,
            problem.message,
            problem.trace,
        )
        for prediction in scored
        for problem in prediction.problems
    ]


def _rows(
    plan: Plan,
    job: SuiteJob,
    scored: Sequence[Scored],
    answers: Mapping[tuple[str, str], Judged],
    failures: Sequence[Failure],
) -> list[ClipRow]:
    """The per-clip table of one suite: every wanted quantity of every clip and system, also where there is none."""
    by_key = {(prediction.system, prediction.clip): prediction for prediction in scored}
    reasons = {(f.system, f.clip): f.reason for f in failures if f.suite == job.suite.name}
    measured: Status = "synthetic" if job.suite.synthetic else "measured"
    rows = []
    for system in job.present:
        wanted = _wanted(plan.metrics_for(job), system)
        for clip in job.clips:
            key = (system.card.name, clip.id)
            reason = reasons.get(key) or reasons.get(("", clip.id), "")
            for (name, view), quantity in _found(wanted, by_key.get(key), answers.get(key, {})).items():
                value, status, why = _told(quantity, measured, reason)
                rows.append(ClipRow(job.suite.name, system.card.name, clip.id, name, view, value, status, why))
    return rows


def _told(quantity: Quantity | None, measured: Status, reason: str) -> tuple[float | None, Status, str]:
    """Value, status and reason of a row."""
    if quantity is None:
        return None, "failed", reason
    if math.isnan(quantity.value):
        return None, "missing", quantity.reason or "undefined"
    return quantity.value, measured, quantity.reason or ""


def _wanted(metrics: Sequence[Metric], system: System) -> list[Metric]:
    return [metric for metric in metrics if metric.track != "binauralisation" or system.card.binauralises]


def _found(
    metrics: Sequence[Metric], prediction: Scored | None, answers: Judged
) -> dict[tuple[str, str], Quantity | None]:
    """The quantities that the metrics read, by name and view; None where the prediction has no scores."""
    quantities: dict[tuple[str, str], Quantity | None] = {}
    judged = {**prediction.quantities, **answers} if prediction is not None else {}
    for metric in metrics:
        for view in metric.views:
            for name in (name.removeprefix(REFERENCE) for name in metric.quantities):
                if prediction is None or not prediction.scored:
                    quantities[name, view] = None
                elif (name, view) in judged:
                    quantities[name, view] = judged[name, view]
                elif name.endswith("[]"):
                    quantities |= {
                        key: q for key, q in judged.items() if key[0].startswith(name[:-1]) and key[1] == view
                    }
    return quantities


def _weights(nets: Nets) -> dict[str, str]:
    return {name: net.weights.sha256 for loaded in nets.values() for name, net in loaded.items()}


def _write(plan: Plan, own: ClipTable, ledger: Ledger, nets: Nets, before: Earlier | None) -> FinishedRun:
    """Judge everything that the folder now holds, and write it."""
    rows = merged_rows(before, own)
    origin = provenance(command=plan.command, seed=plan.seed, device=plan.device, dtype=plan.dtype)
    networks = {
        "weights": _weights(nets),
        "backbones": {name: backbone.identity for name, backbone in plan.backbones.items()},
    }
    origin = {**origin, **networks, "protocol": plan.protocol.record()}
    content = RunContent(
        merged_records(before, [_record_of(plan, job, ledger.failures) for job in plan.jobs]),
        rows,
        merged_failures(before, ledger.failures, plan),
        merged_unavailable(before, plan),
        merged_provenance(before, origin, kept=len(rows) > len(own)),
    )
    more = [_absent_table(plan.absent_suites)] if plan.absent_suites else []
    return FinishedRun(write_run(plan.out, content, more), ledger.failures)


def _absent_table(absent: Mapping[str, str]) -> Table:
    rows = tuple(TableRow(name, (Cell(why),)) for name, why in absent.items())
    return Table("suites that are not here", (Column("todo", "what to do", left=True),), rows, corner="suite")


def _record_of(plan: Plan, job: SuiteJob, failures: Sequence[Failure]) -> SuiteRecord:
    return SuiteRecord(
        _suite_info(job),
        job.suite.manifest_hash(),
        [_system_info(job, system, failures) for system in job.systems],
        plan.metrics_for(job),
        [dataclasses.asdict(system.card) for system in job.systems],
    )


def _system_info(job: SuiteJob, system: System, failures: Iterable[Failure]) -> SystemInfo:
    card = system.card
    counts = Counter(
        failure.reason for failure in failures if (failure.suite, failure.system) == (job.suite.name, card.name)
    )
    remarks = tuple(
        f"{counts[reason]} of {len(job.clips)} {words}" for reason, words in REMARKS.items() if counts[reason]
    )
    absent = job.absent.get(card.name, "")
    return SystemInfo(card.name, card.title, card.anchor, card.binauralises, absent, remarks, card.optimised)


def _suite_info(job: SuiteJob) -> SuiteInfo:
    suite = job.suite
    return SuiteInfo(suite.name, suite.title, len(job.clips), suite.synthetic, suite.remarks())
