"""From per-clip rows to results: values, intervals, ranks. Everything a leaderboard shows is computed here.

The rows are all that is needed, so that a finished run can be judged again, by us or by a reader of its `clips.csv`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file, read_features, set_distance
from visaudio_bench.leaderboards.schema import ClipRow, Result, Status
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.interaural_sets import REFERENCE, half_split_floor
from visaudio_bench.metrics.quantity import gather, select
from visaudio_bench.metrics.uncertainty import bootstrap, exchange_test, holm, jackknife, sign_flip_test, tie_groups

SIGNIFICANT = 0.05
REFERENCE_SYSTEM = "reference"

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class SystemInfo:
    """What a table must know of a system: its name, whether it is an anchor, and whether it heard the reference.

    `missing` says why it could not run on the machine of the run; it then has no rows, and results without values.
    `remarks` say what a reader should know of its sounds: `3 of 6 clipped`.
    """

    name: str
    title: str
    anchor: bool
    binauralises: bool
    missing: str = ""
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class SuiteInfo:
    """What a table must know of a suite; `remarks` are sentences under it."""

    name: str
    title: str
    clips: int
    synthetic: bool
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Basis:
    """What a suite is judged from, beside its rows.

    Attributes:
        seed: of the bootstrap; every system is resampled with the same clips.
        run: the run folder, for the features that distances between sets are computed from; None without.
        frechet_mean: precision of mean features, `float64` or `float32`.
        missing: why a metric has no values at all, by key (its weights are missing).
    """

    seed: int = 0
    run: Path | None = None
    frechet_mean: str = "float64"
    missing: Mapping[str, str] = field(default_factory=dict)


def judge(
    rows: Sequence[ClipRow], suite: SuiteInfo, systems: Sequence[SystemInfo], metrics: Sequence[Metric], basis: Basis
) -> list[Result]:
    """Every metric of every system on one suite, with interval and rank.

    Args:
        rows: the per-clip rows of the suite; their order does not matter.
        suite: the suite.
        systems: the systems, in the order of the table.
        metrics: the metrics, in the order of the columns.
        basis: seed, features, and what is known to be missing.
    """
    table = _Table(rows, suite, basis)
    results = []
    for metric in metrics:
        eligible = [s for s in systems if metric.track != "binauralisation" or s.binauralises]
        for view in metric.views:
            judged = [table.result(metric, view, system.name, system.missing) for system in eligible]
            ranks: dict[str, int] = {}
            for heard in (False, True):  # who is given the reference's sound has another task than who makes it
                competing = [s.name for s in eligible if not s.anchor and s.binauralises == heard]
                ranks |= table.ranks(metric, view, competing, judged)
            results += [replace(result, rank=ranks.get(result.system)) for result in judged]
        results += table.floor(metric)
    return results


class _Table:
    """The rows of one suite as arrays over its clips."""

    def __init__(self, rows: Sequence[ClipRow], suite: SuiteInfo, basis: Basis):
        self.suite = suite
        self.basis = basis
        self.rows: dict[str, dict[str, dict[tuple[str, str], ClipRow]]] = defaultdict(lambda: defaultdict(dict))
        for row in rows:
            if row.suite == suite.name:
                self.rows[row.system][row.clip][row.metric, row.view] = row
        self.clips = sorted({clip for clips in self.rows.values() for clip in clips})

    def values(self, metric: Metric, view: str, system: str) -> Values:
        """The metric's quantities of one system, and of the reference set where the metric asks for it."""
        reference = {REFERENCE + name: row for name, row in self._gathered(view, REFERENCE_SYSTEM).items()}
        return select({**self._gathered(view, system), **reference}, metric.quantities)

    def _gathered(self, view: str, system: str) -> Values:
        per_clip: list[Mapping[str, float]] = [
            {name: row.value for (name, of), row in rows.items() if of == view and row.value is not None}
            for rows in (self.rows[system][clip] for clip in self.clips)
        ]
        return gather(per_clip)

    @property
    def _measured(self) -> Status:
        return "synthetic" if self.suite.synthetic else "measured"

    def result(self, metric: Metric, view: str, system: str, missing: str = "") -> Result:
        """One cell, without its rank; `missing` says why the system has no rows at all."""
        blank = Result(
            suite=self.suite.name,
            system=system,
            metric=metric.key,
            view=view,
            value=None,
            low=None,
            high=None,
            n=0,
            status="missing",
            unit=metric.unit,
            better=metric.better,
            version=metric.version,
            interval=metric.interval,
        )
        if missing or metric.key in self.basis.missing:
            return replace(blank, reason=missing or self.basis.missing[metric.key])
        if metric.features:
            return self._of_features(blank, metric, view, system)
        quantities = self.values(metric, view, system)
        refusal = self._refusal(metric, system)
        if refusal:
            return replace(blank, status="failed", reason=refusal)
        if metric.interval == "bootstrap":
            value, low, high, n = bootstrap(metric.aggregate, quantities, seed=self.basis.seed)
        else:
            value = float(metric.aggregate(quantities))
            n = int(np.any([np.isfinite(q).reshape(-1, q.shape[-1]).any(0) for q in quantities.values()], axis=0).sum())
            low = high = float("nan")
        if not np.isfinite(value):
            status, reason = self._why_empty(metric, view, system)
            return replace(blank, status=status, reason=reason)
        result = replace(blank, value=float(value), low=_finite(low), high=_finite(high), n=n, status=self._measured)
        return self._jackknifed(result, metric, quantities) if metric.interval == "jackknife" else result

    def _of_features(self, blank: Result, metric: Metric, view: str, system: str) -> Result:
        """A distance between the system's features and the reference's."""
        assert self.basis.run is not None  # metrics of features come with a run folder
        own, true = (
            read_features(feature_file(self.basis.run, self.suite.name, name), metric.features)
            for name in (system, REFERENCE_SET)
        )
        if own is None or true is None:
            return replace(blank, reason="no features: no sound was long enough, or none could be read")
        if set(own.clips) != set(true.clips):
            return replace(blank, status="failed", reason=_other_clips(len(own.clips), len(true.clips)))
        if min(len(own.clips), len(true.clips)) < 2:
            return replace(blank, reason="a distance between sets needs at least two clips")
        value, low, high, clips, remark = set_distance(metric, own, true, view, self.basis.frechet_mean)
        return replace(blank, value=value, low=low, high=high, n=clips, status=self._measured, reason=remark)

    def _jackknifed(self, result: Result, metric: Metric, quantities: Values) -> Result:
        if result.n < metric.minimum_clips:
            return replace(result, reason=f"no interval below {metric.minimum_clips} clips")
        estimate = jackknife(metric.aggregate, quantities)
        if estimate.value is None:
            return replace(result, reason=estimate.reason or "")
        remark = f"bias-corrected by jackknife: {estimate.value:.4g}"
        return replace(result, low=estimate.low, high=estimate.high, reason=remark)

    def _refusal(self, metric: Metric, system: str) -> str:
        """Distances between sets depend on which clips they are of: no value for a system that lacks some."""
        if not any(name.startswith(REFERENCE) for name in metric.quantities):
            return ""
        scored = [clip for clip in self.clips if _has_value(self.rows[system][clip])]
        expected = [clip for clip in self.clips if _has_value(self.rows[REFERENCE_SYSTEM][clip])]
        return "" if scored == expected or not scored else _other_clips(len(scored), len(expected))

    def _why_empty(self, metric: Metric, view: str, system: str) -> tuple[Status, str]:
        wanted = {(name, view) for name in metric.quantities}
        found = [row for clip in self.rows[system].values() for key, row in clip.items() if key in wanted]
        reasons = Counter(row.reason for row in found if row.reason)
        failed = bool(found) and all(row.status == "failed" for row in found)
        status: Status = "failed" if failed else "missing"
        return status, reasons.most_common(1)[0][0] if reasons else "undefined on these clips"

    def ranks(self, metric: Metric, view: str, names: Sequence[str], results: Sequence[Result]) -> dict[str, int]:
        """Ranks of the competing systems; Holm over all pairs of the column decides who can be told apart."""
        if metric.better not in ("higher", "lower"):
            return {}
        value = {r.system: r.value for r in results if r.value is not None and r.system in names}
        ordered = sorted(value, key=lambda name: (value[name] or 0.0) * (-1 if metric.better == "higher" else 1))
        pairs = list(combinations(ordered, 2))
        adjusted = holm([self._p_value(metric, view, first, second) for first, second in pairs])
        p_values = {frozenset(pair): p for pair, p in zip(pairs, adjusted, strict=True)}
        return tie_groups(ordered, lambda leader, other: bool(p_values[frozenset((leader, other))] < SIGNIFICANT))

    def _p_value(self, metric: Metric, view: str, first: str, second: str) -> float:
        if metric.interval != "bootstrap":
            return float("nan")  # set distances have no clip-wise exchange
        a, b = self.values(metric, view, first), self.values(metric, view, second)
        if metric.quantities == (metric.key,):
            return sign_flip_test(a[metric.key] - b[metric.key], seed=self.basis.seed)
        return exchange_test(metric.aggregate, a, b, seed=self.basis.seed)

    def floor(self, metric: Metric) -> list[Result]:
        """What a distance between sets says about two random halves of the reference: less than this means nothing."""
        if not any(name.startswith(REFERENCE) for name in metric.quantities):
            return []
        view = metric.views[0]
        quantities = self.values(metric, view, REFERENCE_SYSTEM)
        splits = half_split_floor(metric.aggregate, quantities, seed=self.basis.seed)
        if not np.isfinite(splits).any():
            return []
        low, high = np.nanquantile(splits, [0.025, 0.975])
        return [
            replace(
                self.result(metric, view, REFERENCE_SYSTEM),
                metric=f"{metric.key}_floor",
                value=float(np.nanmean(splits)),
                low=float(low),
                high=float(high),
                better="none",
                interval="none",
                reason="mean and range over random half splits of the reference set",
            )
        ]


def _other_clips(scored: int, expected: int) -> str:
    return f"scored on {scored} of {expected} clips: distances between sets need the same clips"


def _has_value(rows: Mapping[tuple[str, str], ClipRow]) -> bool:
    return any(row.value is not None for row in rows.values())


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def info_from(body: Mapping[str, Any]) -> tuple[list[SuiteInfo], dict[str, list[SystemInfo]]]:
    """Suites and their systems as `results.json` records them."""
    suites = [SuiteInfo(**suite["info"]) for suite in body["suites"]]
    return suites, {s["info"]["name"]: [SystemInfo(**system) for system in s["systems"]] for s in body["suites"]}
