"""From per-clip rows to results: values, intervals, tests, ranks. Everything a leaderboard shows is computed here.

The rows are all that is needed, so that a finished run can be judged again, by us or by a reader of its `clips.csv`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.leaderboards.feature_distances import (
    REFERENCE_SET,
    Distance,
    feature_file,
    read_features,
    set_distance,
)
from visaudio_bench.leaderboards.schema import ClipTable, Result, Status, SuiteInfo, SystemComparison, SystemInfo
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.interaural_sets import REFERENCE, half_split_floor
from visaudio_bench.metrics.protocol import OURS, Protocol
from visaudio_bench.metrics.quantity import gather, positions, select
from visaudio_bench.metrics.uncertainty import (
    Difference,
    Interval,
    Statistic,
    differences,
    holm,
    intervals,
    jackknife,
    tie_groups,
)

SIGNIFICANT = 0.05
_VECTOR = re.compile(r"\[\d+\]$")
REFERENCE_SYSTEM = "reference"
PLAIN = "_plain"  # after a metric's key: the value of a distance between sets as papers print it

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Basis:
    """What a suite is judged from, beside its rows.

    Attributes:
        seed: of the bootstrap; every system is resampled with the same clips.
        run: the run folder, for the features that distances between sets are computed from; None without.
        protocol: the choices that papers leave open.
        folders: run folders of the systems that are not from `run` alone, by name: features are looked for in each.
        called: what such systems are called there, by name, where that is something else.
        missing: why a metric has no values at all, by key (its weights are missing).
    """

    seed: int = 0
    run: Path | None = None
    protocol: Protocol = OURS
    missing: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)


class _Column(NamedTuple):
    """One metric in one view, and the systems that it judges."""

    metric: Metric
    view: str
    systems: list[SystemInfo]


class Judgement(NamedTuple):
    """All results of a suite, and all pairs of its competing systems."""

    results: list[Result]
    comparisons: list[SystemComparison]


class _Contest(NamedTuple):
    """Systems that compete in one column, best first."""

    metric: Metric
    view: str
    ordered: list[str]


def judge(
    rows: ClipTable, suite: SuiteInfo, systems: Sequence[SystemInfo], metrics: Sequence[Metric], basis: Basis
) -> Judgement:
    """Every metric of every system on one suite, with interval and rank, and the tests behind the ranks.

    All intervals come from the same resamples of the suite's clips, and so do all tests.

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
    results, comparisons = [], []
    for column, column_results, (ranks, pairs) in zip(columns, judged, table.ranks(columns, judged), strict=True):
        results += [replace(result, rank=ranks.get(result.system)) for result in column_results]
        results += [plain for result in column_results if (plain := table.plain(column.metric, result)) is not None]
        comparisons += pairs
        if column.view == column.metric.views[-1]:
            results += table.floor(column.metric)
    return Judgement(results, comparisons)


def compare(
    rows: ClipTable,
    suite: SuiteInfo,
    columns: Sequence[tuple[Metric, str]],
    pairs: Sequence[tuple[str, str]],
    basis: Basis,
) -> list[list[Difference]]:
    """Compare pairs of systems of one suite, whatever they are, in some columns.

    Args:
        rows: per-clip rows.
        suite: the suite.
        columns: metrics, each in one view.
        pairs: (first, second) names of systems.
        basis: seed and features.

    Returns:
        For each column the differences of the pairs.
    """
    table = _Table(rows, suite, basis)
    distances = iter(table.differences([(metric, view, *pair) for metric, view in columns for pair in pairs]))
    return [[next(distances) for _ in pairs] for _ in columns]


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
        self._distances: dict[tuple[str, str, str], Distance | str] = {}

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
            (metric.key, view, system.name): Statistic(
                metric.aggregate, self.values(metric, view, system.name), metric.low, metric.high
            )
            for metric, view, systems in columns
            for system in systems
            if metric.interval == "bootstrap"
            and not metric.features
            and self._refusal(metric, system.name, system.missing) is None
        }
        drawn = intervals(list(cells.values()), seed=self.basis.seed)
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
        if metric.features or metric.interval in ("jackknife", "plain jackknife"):
            return self._of_sets(blank, metric, view, system)
        if metric.interval == "bootstrap":
            value, low, high, n, reason = self._intervals[metric.key, view, system]
        else:
            quantities = self.values(metric, view, system)
            value = float(metric.aggregate(quantities))
            n = _clips_of(quantities)
            low = high = float("nan")
            reason = ""
        if not np.isfinite(value):
            status, reason = self._why_empty(metric, view, system)
            return replace(blank, status=status, reason=reason)
        if n < metric.minimum_clips and metric.interval != "none":
            low = high = float("nan")
            reason = f"no interval below {metric.minimum_clips} clips"
        status = self._measured
        return replace(blank, value=float(value), low=finite(low), high=finite(high), n=n, status=status, reason=reason)

    def _of_sets(self, blank: Result, metric: Metric, view: str, system: str) -> Result:
        """A distance between the system's set and the reference's: value and interval are of one estimate."""
        distances = self._distance(metric, view, system)
        if isinstance(distances, str):
            status: Status = "failed" if distances.startswith("scored on") else "missing"
            return replace(blank, status=status, reason=distances)
        if not np.isfinite(distances.plain):
            status, reason = self._why_empty(metric, view, system)
            few_clips = f"too few clips: {distances.size}"
            return replace(blank, status=status, reason=few_clips if metric.features else reason)
        result = replace(blank, value=distances.plain, n=distances.clips, status=self._measured)
        corrected = metric.interval == "jackknife"
        if corrected and self.basis.protocol.set_distances == "plain":
            return replace(result, reason=_joined(distances.size, "plain value, as papers print it"))
        if distances.replicates is None:
            remark = f"plain value, biased: {distances.refusal}" if corrected else distances.refusal
            return replace(result, reason=_joined(distances.size, remark))
        value, low, high, refusal = distances.replicates.estimate(corrected=corrected)
        if value is None:
            return replace(result, reason=_joined(distances.size, f"plain value: {refusal}"))
        remark = f"bias-corrected by jackknife, plain value {distances.plain:.4g}" if corrected else ""
        return replace(result, value=value, low=low, high=high, reason=_joined(distances.size, remark, refusal or ""))

    def plain(self, metric: Metric, result: Result) -> Result | None:
        """The value of a distance between sets as papers print it, where the column shows another."""
        if metric.interval != "jackknife" or result.value is None:
            return None
        distances = self._distance(metric, result.view, result.system)
        assert isinstance(distances, Distance)  # else there were no value
        reason = _joined(distances.size, "plain value, as papers print it")
        name = f"{metric.key}{PLAIN}"
        return replace(
            result, metric=name, value=distances.plain, low=None, high=None, interval="none", rank=None, reason=reason
        )

    def _distance(self, metric: Metric, view: str, system: str) -> Distance | str:
        """A distance between sets, computed once; a sentence where there is none."""
        key = metric.key, view, system
        if key not in self._distances:
            self._distances[key] = (
                self._feature_distance(metric, view, system)
                if metric.features
                else self._cue_distance(metric, view, system)
            )
        return self._distances[key]

    def _feature_distance(self, metric: Metric, view: str, system: str) -> Distance | str:
        assert self.basis.run is not None  # metrics of features come with a run folder
        mine = self.basis.called.get(system, system)
        own = true = None
        for folder in self.basis.folders.get(system, (self.basis.run,)):
            own, true = (
                read_features(feature_file(folder, self.suite.name, name), metric.features)
                for name in (mine, REFERENCE_SET if metric.needs_reference else mine)
            )
            if own is not None:
                break
        if own is None or true is None:
            return "no features: no sound was long enough, or none could be read"
        if set(own.clips) != set(true.clips):
            return _other_clips(len(own.clips), len(true.clips))
        if min(len(own.clips), len(true.clips)) < 2:
            return "a distance between sets needs at least two clips"
        return set_distance(metric, own, true, view, self.basis.protocol.frechet_mean)

    def _cue_distance(self, metric: Metric, view: str, system: str) -> Distance:
        quantities = self.values(metric, view, system)
        clips = _clips_of(quantities)
        if clips < metric.minimum_clips:
            plain = float(metric.aggregate(quantities)) if clips else float("nan")
            return Distance(plain, None, clips, "", f"no interval below {metric.minimum_clips} clips")
        replicates = jackknife(metric.aggregate, quantities)
        assert replicates is not None  # there are clips enough
        return Distance(replicates.full, replicates, clips, "")

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
        wanted = [
            code for code, name in enumerate(self.labels["metric"]) if _VECTOR.sub("[]", name) in metric.quantities
        ]
        rows = np.sort(rows[np.isin(self.codes["metric"][rows], wanted)])
        statuses, whys = ([self.labels[name][code] for code in self.codes[name][rows]] for name in ("status", "reason"))
        reasons = Counter(reason for reason in whys if reason)
        status: Status = "failed" if statuses and set(statuses) == {"failed"} else "missing"
        if not len(rows) and self._scored(system).size:
            return "missing", "not computed for this system; run it again with this metric into the same folder"
        return status, reasons.most_common(1)[0][0] if reasons else "undefined on these clips"

    def ranks(
        self, columns: Sequence[_Column], judged: Sequence[Sequence[Result]]
    ) -> list[tuple[dict[str, int], list[SystemComparison]]]:
        """Ranks of the competing systems of each column, and the comparisons that they come from.

        Holm over all pairs of a contest decides who can be told apart. Where it separates nobody there are no ranks.
        """
        contests = [
            _contest(column, results, binauralises)
            for column, results in zip(columns, judged, strict=True)
            for binauralises in (False, True)  # who is given the reference's sound has another task than who makes it
        ]
        pairs = [(c.metric, c.view, *pair) for c in contests for pair in combinations(c.ordered, 2)]
        distances = iter(self.differences(pairs))
        ranks: list[dict[str, int]] = []
        compared: list[list[SystemComparison]] = []
        for contest in contests:
            several = list(combinations(contest.ordered, 2))
            gaps = [next(distances) for _ in several]
            adjusted = dict(zip(several, holm([gap.p for gap in gaps]).tolist(), strict=True))
            separated = {frozenset(pair) for pair, p in adjusted.items() if p < SIGNIFICANT}
            compared.append(
                [
                    _comparison(self.suite, contest, pair, gap, adjusted[pair])
                    for pair, gap in zip(several, gaps, strict=True)
                ]
            )
            ordered = contest.ordered if separated else []
            ranks.append(tie_groups(ordered, partial(_separated, separated)))
        return [
            (without | binauralising, left + right)
            for without, binauralising, left, right in zip(
                ranks[::2], ranks[1::2], compared[::2], compared[1::2], strict=True
            )
        ]

    def differences(self, pairs: Sequence[tuple[Metric, str, str, str]]) -> list[Difference]:
        """Compare systems: (metric, view, first, second)."""
        distances: dict[int, Difference] = {}
        drawn = [number for number, (metric, *_) in enumerate(pairs) if metric.interval == "bootstrap"]
        if drawn:
            sides = []
            for metric, view, first, second in (pairs[number] for number in drawn):
                left, right = (self.values(metric, view, name) for name in (first, second))
                sides.append((metric.aggregate, left, right))
            distances |= dict(zip(drawn, differences(sides, seed=self.basis.seed), strict=True))
        for number, (metric, view, first, second) in enumerate(pairs):
            if number not in distances:
                distances[number] = self._set_difference(metric, view, first, second)
            gap = distances[number]
            if gap.n < metric.minimum_clips and not gap.reason:
                reason = f"no interval below {metric.minimum_clips} clips"
                distances[number] = gap._replace(low=np.nan, high=np.nan, p=np.nan, reason=reason)
        return [distances[number] for number in range(len(pairs))]

    def _set_difference(self, metric: Metric, view: str, first: str, second: str) -> Difference:
        nothing = Difference(np.nan, np.nan, np.nan, np.nan, np.nan, 0)
        if metric.interval == "none":
            return nothing._replace(reason="this metric has no test")
        left, right = (self._distance(metric, view, name) for name in (first, second))
        if isinstance(left, str) or isinstance(right, str):
            return nothing._replace(reason=left if isinstance(left, str) else str(right))
        plain = nothing._replace(value=left.plain - right.plain, n=left.clips)
        if left.replicates is None or right.replicates is None:
            return plain._replace(reason=left.refusal or right.refusal)
        if not np.array_equal(left.replicates.sizes, right.replicates.sizes):
            return plain._replace(reason="the two are not of the same clips")
        return left.replicates.against(right.replicates, corrected=metric.interval == "jackknife")

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


def _separated(pairs: Set[frozenset[str]], leader: str, right: str) -> bool:
    return frozenset((leader, right)) in pairs


def _comparison(
    suite: SuiteInfo, contest: _Contest, pair: tuple[str, str], gap: Difference, adjusted: float
) -> SystemComparison:
    difference, low, high, p, p_holm = (finite(left) for left in (gap.value, gap.low, gap.high, gap.p, adjusted))
    first, second = pair
    return SystemComparison(
        suite.name, contest.metric.key, contest.view, first, second, difference, low, high, p, p_holm, gap.n, gap.reason
    )


def _clips_of(quantities: Values) -> int:
    """How many clips have anything of what a set is made of."""
    return int(np.any([np.atleast_2d(np.isfinite(row)).any(0) for row in quantities.values()], axis=0).sum())


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def finite(number: float) -> float | None:
    """A number as results have it: None where it is not finite."""
    return float(number) if np.isfinite(number) else None


def info_from(body: Mapping[str, Any]) -> tuple[list[SuiteInfo], dict[str, list[SystemInfo]]]:
    """Suites and their systems as `results.json` records them."""
    suites = [SuiteInfo(**suite["info"]) for suite in body["suites"]]
    return suites, {s["info"]["name"]: [SystemInfo(**system) for system in s["systems"]] for s in body["suites"]}
