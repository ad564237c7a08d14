"""From per-clip rows to results: values, intervals, ranks. Everything a leaderboard shows is computed here.

The rows are all that is needed, so that a finished run can be judged again, by us or by a reader of its `clips.csv`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.schema import ClipRow, Result, Status
from metrics.catalogue import Metric
from metrics.interaural_sets import REFERENCE, half_split_floor
from metrics.quantity import gather, select
from metrics.uncertainty import bootstrap, exchange_test, holm, jackknife, sign_flip_test, tie_groups

SIGNIFICANT = 0.05
REFERENCE_SYSTEM = "reference"

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class SystemInfo:
    """What a table must know of a system: its name, whether it is an anchor, and whether it heard the reference."""

    name: str
    title: str
    anchor: bool
    binauralises: bool


@dataclass(frozen=True)
class SuiteInfo:
    """What a table must know of a suite."""

    name: str
    title: str
    clips: int
    synthetic: bool


def judge(
    rows: Sequence[ClipRow], suite: SuiteInfo, systems: Sequence[SystemInfo], metrics: Sequence[Metric], seed: int
) -> list[Result]:
    """Every metric of every system on one suite, with interval and rank.

    Args:
        rows: the per-clip rows of the suite; their order does not matter.
        suite: the suite.
        systems: the systems, in the order of the table.
        metrics: the metrics, in the order of the columns.
        seed: of the bootstrap; every system is resampled with the same clips.
    """
    table = _Table(rows, suite)
    results = []
    for metric in metrics:
        eligible = [s for s in systems if metric.track == "generation" or s.binauralises]
        judged = [table.result(metric, system.name, seed) for system in eligible]
        ranks = table.ranks(metric, [s.name for s in eligible if not s.anchor], judged, seed)
        results += [replace(result, rank=ranks.get(result.system)) for result in judged]
        results += table.floor(metric, seed)
    return results


class _Table:
    """The rows of one suite as arrays over its clips."""

    def __init__(self, rows: Sequence[ClipRow], suite: SuiteInfo):
        self.suite = suite
        self.rows: dict[str, dict[str, dict[str, ClipRow]]] = defaultdict(lambda: defaultdict(dict))
        for row in rows:
            if row.suite == suite.name:
                self.rows[row.system][row.clip][row.metric] = row
        self.clips = sorted({clip for clips in self.rows.values() for clip in clips})

    def values(self, metric: Metric, system: str) -> Values:
        """The metric's quantities of one system, and of the reference set where the metric asks for it."""
        reference = {REFERENCE + name: row for name, row in self._gathered(REFERENCE_SYSTEM).items()}
        return select({**self._gathered(system), **reference}, metric.quantities)

    def _gathered(self, system: str) -> Values:
        per_clip: list[Mapping[str, float]] = [
            {name: row.value for name, row in self.rows[system][clip].items() if row.value is not None}
            for clip in self.clips
        ]
        return gather(per_clip)

    def result(self, metric: Metric, system: str, seed: int) -> Result:
        """One cell, without its rank."""
        blank = Result(
            suite=self.suite.name,
            system=system,
            metric=metric.key,
            view=metric.views[0],
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
        quantities = self.values(metric, system)
        refusal = self._refusal(metric, system)
        if refusal:
            return replace(blank, status="failed", reason=refusal)
        measured: Status = "synthetic" if self.suite.synthetic else "measured"
        if metric.interval == "bootstrap":
            interval = bootstrap(metric.aggregate, quantities, seed=seed)
            value, low, high, n = interval
        else:
            value = float(metric.aggregate(quantities))
            n = int(np.any([np.isfinite(q).reshape(-1, q.shape[-1]).any(0) for q in quantities.values()], axis=0).sum())
            low = high = float("nan")
        if not np.isfinite(value):
            status, reason = self._why_empty(metric, system)
            return replace(blank, status=status, reason=reason)
        result = replace(blank, value=float(value), low=_finite(low), high=_finite(high), n=n, status=measured)
        return self._jackknifed(result, metric, quantities) if metric.interval == "jackknife" else result

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
        if scored == expected or not scored:
            return ""
        return f"scored on {len(scored)} of {len(expected)} clips: distances between sets need the same clips"

    def _why_empty(self, metric: Metric, system: str) -> tuple[Status, str]:
        names = set(metric.quantities)
        found = [row for clip in self.rows[system].values() for row in clip.values() if row.metric in names]
        reasons = Counter(row.reason for row in found if row.reason)
        failed = bool(found) and all(row.status == "failed" for row in found)
        status: Status = "failed" if failed else "missing"
        return status, reasons.most_common(1)[0][0] if reasons else "undefined on these clips"

    def ranks(self, metric: Metric, names: Sequence[str], results: Sequence[Result], seed: int) -> dict[str, int]:
        """Ranks of the competing systems; Holm over all pairs of the column decides who can be told apart."""
        if metric.better not in ("higher", "lower"):
            return {}
        value = {r.system: r.value for r in results if r.value is not None and r.system in names}
        ordered = sorted(value, key=lambda name: (value[name] or 0.0) * (-1 if metric.better == "higher" else 1))
        pairs = list(combinations(ordered, 2))
        adjusted = holm([self._p_value(metric, first, second, seed) for first, second in pairs])
        p_values = {frozenset(pair): p for pair, p in zip(pairs, adjusted, strict=True)}
        return tie_groups(ordered, lambda leader, other: bool(p_values[frozenset((leader, other))] < SIGNIFICANT))

    def _p_value(self, metric: Metric, first: str, second: str, seed: int) -> float:
        a, b = self.values(metric, first), self.values(metric, second)
        if metric.quantities == (metric.key,):
            return sign_flip_test(a[metric.key] - b[metric.key], seed=seed)
        if metric.interval != "bootstrap":
            return float("nan")  # set distances have no clip-wise exchange
        return exchange_test(metric.aggregate, a, b, seed=seed)

    def floor(self, metric: Metric, seed: int) -> list[Result]:
        """What a distance between sets says about two random halves of the reference: less than this means nothing."""
        if not any(name.startswith(REFERENCE) for name in metric.quantities):
            return []
        splits = half_split_floor(metric.aggregate, self.values(metric, REFERENCE_SYSTEM), seed=seed)
        if not np.isfinite(splits).any():
            return []
        template = self.result(metric, REFERENCE_SYSTEM, seed)
        low, high = np.nanquantile(splits, [0.025, 0.975])
        return [
            replace(
                template,
                metric=f"{metric.key}_floor",
                value=float(np.nanmean(splits)),
                low=float(low),
                high=float(high),
                better="none",
                interval="none",
                reason="mean and range over random half splits of the reference set",
            )
        ]


def _has_value(rows: Mapping[str, ClipRow]) -> bool:
    return any(row.value is not None for row in rows.values())


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def info_from(body: Mapping[str, Any]) -> tuple[list[SuiteInfo], dict[str, list[SystemInfo]]]:
    """Suites and their systems as `results.json` records them."""
    suites = [SuiteInfo(**suite["info"]) for suite in body["suites"]]
    return suites, {s["info"]["name"]: [SystemInfo(**system) for system in s["systems"]] for s in body["suites"]}
