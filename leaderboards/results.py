"""From per-clip rows to results: values, intervals, ranks. Everything a leaderboard shows is computed here.

The rows are all that is needed, so that a finished run can be judged again, by us or by a reader of its `clips.csv`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file, read_features, set_distance
from visaudio_bench.leaderboards.schema import ClipTable, Result, Status, SuiteInfo, SystemInfo
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.interaural_sets import REFERENCE, half_split_floor
from visaudio_bench.metrics.quantity import gather, positions, select
from visaudio_bench.metrics.uncertainty import (
    Interval,
    bootstraps,
    exchange_tests,
    holm,
    jackknife,
    sign_flip_tests,
    tie_groups,
)

SIGNIFICANT = 0.05
REFERENCE_SYSTEM = "reference"

Values = dict[str, NDArray[np.float64]]


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


class _Column(NamedTuple):
    """One metric in one view, and the systems that it judges."""

    metric: Metric
    view: str
    systems: list[SystemInfo]


class _Contest(NamedTuple):
    """Systems that compete in one column, best first."""

    metric: Metric
    view: str
    ordered: list[str]


def judge(
    rows: ClipTable, suite: SuiteInfo, systems: Sequence[SystemInfo], metrics: Sequence[Metric], basis: Basis
) -> list[Result]:
    """Every metric of every system on one suite, with interval and rank.

    All intervals come from the same resamples of the suite's clips, and all tests from the same exchanges of systems.

    Args:
        rows: per-clip rows; those of other suites are left out, and the order does not matter.
        suite: the suite.
        systems: the systems, in the order of the table.
        metrics: the metrics, in the order of the columns.
        basis: seed, features, and what is known to be missing.

    Returns:
        The results, a metric and view after the other, each for all systems.
    """
    table = _Table(rows, suite, basis)
    columns = [
        _Column(metric, view, [s for s in systems if metric.track != "binauralisation" or s.binauralises])
        for metric in metrics
        for view in metric.views
    ]
    table.draw_intervals(columns)
    judged = [[table.result(c.metric, c.view, s.name, s.missing) for s in c.systems] for c in columns]
    results = []
    for column, column_results, ranks in zip(columns, judged, table.ranks(columns, judged), strict=True):
        results += [replace(result, rank=ranks.get(result.system)) for result in column_results]
        if column.view == column.metric.views[-1]:
            results += table.floor(column.metric)
    return results


class _Table:
    """The rows of one suite as arrays over its clips."""

    def __init__(self, rows: ClipTable, suite: SuiteInfo, basis: Basis):
        self.suite = suite
        self.basis = basis
        self.labels = rows.labels
        here = np.flatnonzero(rows.column("suite") == suite.name)
        self.codes = {name: codes[here] for name, codes in rows.codes.items()}
        self.value = rows.value[here]
        used, clip = np.unique(self.codes["clip"], return_inverse=True)
        by_name = np.argsort(np.array([rows.labels["clip"][code] for code in used], dtype=object))
        self.clips = len(used)
        self.clip = np.argsort(by_name)[clip]  # the place of each row's clip in the order of the names
        views = len(rows.labels["view"])
        place = self.codes["system"] * views + self.codes["view"]
        self.rows = {
            (rows.labels["system"][key // views], rows.labels["view"][key % views]): places
            for key, places in positions(place).items()
        }
        self._quantities: dict[tuple[str, str], Values] = {}
        self._intervals: dict[tuple[str, str, str], Interval] = {}

    def values(self, metric: Metric, view: str, system: str) -> Values:
        """The metric's quantities of one system, and of the reference set where the metric asks for it."""
        reference = {REFERENCE + name: row for name, row in self._gathered(view, REFERENCE_SYSTEM).items()}
        return select({**self._gathered(view, system), **reference}, metric.quantities, self.clips)

    def _gathered(self, view: str, system: str) -> Values:
        if (system, view) not in self._quantities:
            rows = self._known(system, view)
            self._quantities[system, view] = gather(
                self.labels["metric"], self.codes["metric"][rows], self.clip[rows], self.value[rows], self.clips
            )
        return self._quantities[system, view]

    def _known(self, system: str, view: str) -> NDArray[np.int64]:
        """Rows that have a value."""
        rows = self.rows.get((system, view), np.zeros(0, np.int64))
        return rows[~np.isnan(self.value[rows])]

    def draw_intervals(self, columns: Sequence[_Column]) -> None:
        """Compute at once the intervals of all cells that have one over clips."""
        cells = {
            (metric.key, view, system.name): (metric.aggregate, self.values(metric, view, system.name))
            for metric, view, systems in columns
            for system in systems
            if metric.interval == "bootstrap"
            and not metric.features
            and self._refusal(metric, system.name, system.missing) is None
        }
        drawn = bootstraps(list(cells.values()), seed=self.basis.seed)
        self._intervals = dict(zip(cells, drawn, strict=True))

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
        refusal = self._refusal(metric, system, missing)
        if refusal is not None:
            status, reason = refusal
            return replace(blank, status=status, reason=reason)
        if metric.features:
            return self._of_features(blank, metric, view, system)
        quantities = self.values(metric, view, system)
        if metric.interval == "bootstrap":
            value, low, high, n = self._intervals[metric.key, view, system]
        else:
            value = float(metric.aggregate(quantities))
            n = int(np.any([np.atleast_2d(np.isfinite(q)).any(0) for q in quantities.values()], axis=0).sum())
            low = high = float("nan")
        if not np.isfinite(value):
            status, reason = self._why_empty(metric, view, system)
            return replace(blank, status=status, reason=reason)
        result = replace(blank, value=float(value), low=_finite(low), high=_finite(high), n=n, status=self._measured)
        return self._jackknifed(result, metric, quantities) if metric.interval == "jackknife" else result

    def _of_features(self, blank: Result, metric: Metric, view: str, system: str) -> Result:
        """What is asked of the system's features: a distance from the reference's, or a score of theirs alone."""
        assert self.basis.run is not None  # metrics of features come with a run folder
        own, true = (
            read_features(feature_file(self.basis.run, self.suite.name, name), metric.features)
            for name in (system, REFERENCE_SET if metric.needs_reference else system)
        )
        if own is None or true is None:
            return replace(blank, reason="no features: no sound was long enough, or none could be read")
        if set(own.clips) != set(true.clips):
            return replace(blank, status="failed", reason=_other_clips(len(own.clips), len(true.clips)))
        if min(len(own.clips), len(true.clips)) < 2:
            return replace(blank, reason="a distance between sets needs at least two clips")
        value, low, high, clips, remark = set_distance(metric, own, true, view, self.basis.frechet_mean)
        if not np.isfinite(value):
            return replace(blank, reason=f"too few clips: {remark}")
        return replace(blank, value=value, low=low, high=high, n=clips, status=self._measured, reason=remark)

    def _jackknifed(self, result: Result, metric: Metric, quantities: Values) -> Result:
        if result.n < metric.minimum_clips:
            return replace(result, reason=f"no interval below {metric.minimum_clips} clips")
        estimate = jackknife(metric.aggregate, quantities)
        if estimate.value is None:
            return replace(result, reason=estimate.reason or "")
        remark = f"bias-corrected by jackknife: {estimate.value:.4g}"
        return replace(result, low=estimate.low, high=estimate.high, reason=remark)

    def _refusal(self, metric: Metric, system: str, missing: str) -> tuple[Status, str] | None:
        """Status and reason of a cell that is not computed: nothing is there, or not what a distance needs.

        Distances between sets depend on which clips they are of: no value for a system that lacks some.
        """
        if missing or metric.key in self.basis.missing:
            return "missing", missing or self.basis.missing[metric.key]
        if not any(name.startswith(REFERENCE) for name in metric.quantities):
            return None
        scored, expected = self._scored(system), self._scored(REFERENCE_SYSTEM)
        if np.array_equal(scored, expected) or not len(scored):
            return None
        return "failed", _other_clips(len(scored), len(expected))

    def _scored(self, system: str) -> NDArray[np.int64]:
        """Clips of which a system has any value."""
        rows = [self._known(name, view) for name, view in self.rows if name == system]
        return np.unique(self.clip[np.concatenate(rows)]) if rows else np.zeros(0, np.int64)

    def _why_empty(self, metric: Metric, view: str, system: str) -> tuple[Status, str]:
        rows = self.rows.get((system, view), np.zeros(0, np.int64))
        wanted = [code for code, name in enumerate(self.labels["metric"]) if name in metric.quantities]
        rows = np.sort(rows[np.isin(self.codes["metric"][rows], wanted)])
        statuses, whys = ([self.labels[name][code] for code in self.codes[name][rows]] for name in ("status", "reason"))
        reasons = Counter(reason for reason in whys if reason)
        status: Status = "failed" if statuses and set(statuses) == {"failed"} else "missing"
        return status, reasons.most_common(1)[0][0] if reasons else "undefined on these clips"

    def ranks(self, columns: Sequence[_Column], judged: Sequence[Sequence[Result]]) -> list[dict[str, int]]:
        """Ranks of the competing systems of each column.

        Holm over all pairs of a contest decides who can be told apart.
        """
        contests = [
            _contest(column, results, binauralises)
            for column, results in zip(columns, judged, strict=True)
            for binauralises in (False, True)  # who is given the reference's sound has another task than who makes it
        ]
        p_values = iter(self._p_values(contests))
        ranks: list[dict[str, int]] = []
        for contest in contests:
            pairs = [frozenset(pair) for pair in combinations(contest.ordered, 2)]
            adjusted = dict(zip(pairs, holm([next(p_values) for _ in pairs]), strict=True))
            ranks.append(tie_groups(contest.ordered, partial(_separable, adjusted)))
        return [without | binauralising for without, binauralising in zip(ranks[::2], ranks[1::2], strict=True)]

    def _p_values(self, contests: Sequence[_Contest]) -> list[float]:
        """P-values of all pairs of all contests, in their order; NaN for set distances, which exchange no clips."""
        pairs = [(c.metric, c.view, *pair) for c in contests for pair in combinations(c.ordered, 2)]
        p_values = np.full(len(pairs), np.nan)
        sides = {
            number: (metric, self.values(metric, view, first), self.values(metric, view, second))
            for number, (metric, view, first, second) in enumerate(pairs)
            if metric.interval == "bootstrap"
        }
        means = [number for number, (metric, _, _) in sides.items() if metric.quantities == (metric.key,)]
        if means:
            differences = [a[metric.key] - b[metric.key] for metric, a, b in (sides[number] for number in means)]
            p_values[means] = sign_flip_tests(differences, seed=self.basis.seed)
        others = [number for number in sides if number not in means]
        if others:
            tested = [(metric.aggregate, a, b) for metric, a, b in (sides[number] for number in others)]
            p_values[others] = exchange_tests(tested, seed=self.basis.seed)
        return p_values.tolist()

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


def _contest(column: _Column, results: Sequence[Result], binauralises: bool) -> _Contest:
    """The competing systems of a column that have a value and, or not, were given the reference's sound."""
    names = {system.name for system in column.systems if not system.anchor and system.binauralises == binauralises}
    if column.metric.better not in ("higher", "lower"):
        return _Contest(column.metric, column.view, [])
    sign = -1 if column.metric.better == "higher" else 1
    value = {r.system: sign * r.value for r in results if r.value is not None and r.system in names}
    return _Contest(column.metric, column.view, sorted(value, key=value.__getitem__))


def _separable(p_values: Mapping[frozenset[str], float], leader: str, other: str) -> bool:
    return bool(p_values[frozenset((leader, other))] < SIGNIFICANT)


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def info_from(body: Mapping[str, Any]) -> tuple[list[SuiteInfo], dict[str, list[SystemInfo]]]:
    """Suites and their systems as `results.json` records them."""
    suites = [SuiteInfo(**suite["info"]) for suite in body["suites"]]
    return suites, {s["info"]["name"]: [SystemInfo(**system) for system in s["systems"]] for s in body["suites"]}
