"""Recompute what a run found from the per-clip rows it left behind, without its sounds."""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.bench.evaluation.metric_choice import metric_of, under_protocol
from visaudio_bench.leaderboards.results import Basis, info_from, judge
from visaudio_bench.leaderboards.schema import Result, Run, read_clip_rows, read_results
from visaudio_bench.leaderboards.suite_tables import leaderboard
from visaudio_bench.leaderboards.tables import Table
from visaudio_bench.metrics.catalogue import Metric, backbone_distances
from visaudio_bench.metrics.protocol import PROTOCOLS


def recompute(folder: Path) -> tuple[list[Table], list[Result]]:
    """Tables and results of a run folder, from `clips.csv` and what `results.json` says of suites and systems.

    Raises:
        UsageError: the folder is not that of a finished run.
    """
    run = read_results(folder)
    rows = read_clip_rows(folder / "clips.csv")
    suites, systems = info_from(run.body)
    protocol = PROTOCOLS[run.provenance["protocol"]["name"]]
    metrics = metrics_of(run)
    basis = Basis(run.provenance["seed"], folder, protocol, run.body["unavailable"])
    judged = [judge(rows, suite, systems[suite.name], metrics[suite.name], basis) for suite in suites]
    results = [result for judgement in judged for result in judgement.results]
    every = list(dict.fromkeys(metric for chosen in metrics.values() for metric in chosen))
    return leaderboard(results, suites, systems, every), results


def metrics_of(run: Run) -> dict[str, tuple[Metric, ...]]:
    """The metrics of each suite of a run, with the views that its protocol chooses.

    Raises:
        UsageError: a metric is not known here.
    """
    protocol = PROTOCOLS[run.provenance["protocol"]["name"]]
    backbones = run.provenance.get("backbones", {}).values()
    added = {metric.key: metric for backbone in backbones for metric in backbone_distances(backbone["module"])}
    return {
        suite["info"]["name"]: under_protocol([added.get(key) or metric_of(key) for key in suite["metrics"]], protocol)
        for suite in run.body["suites"]
    }
