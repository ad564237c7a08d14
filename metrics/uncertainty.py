"""How sure a number is: intervals over clips, paired tests, and which systems of a table cannot be told apart.

Every column stands for one number: what the metric would be over all clips like those of the suite. Clips are the unit:
frames or segments of one clip are not independent. Two systems are always compared on the same clips, because clips
differ far more than systems do.

- `intervals`: studentised bootstrap (Efron 1979; Hall 1988) with symmetric quantiles, on a scale where the metric is
  unbounded: the logarithm of what has one bound, the log-odds of what has two. So no end lies outside the range, and
  the long tail of an error lies on its upper side. Where a bound is nearer than the standard error, the scale is the
  metric's own. `interval` is that of one statistic.
- `differences`: interval and p of the difference of two systems, by the same bootstrap in the metric's unit: what p
  says, the interval says too. `difference` is that of one pair.
- `jackknife`, `Replicates`: value, interval and p of distances between sets by leaving out groups of clips (Busing,
  Meijer and Van der Leeden 1999). A bootstrap gets these wrong: a resample holds duplicates, and every distance grows.
- `holm`: p-values of one table together. `tie_groups`: ranks that respect them.

A test by flipping the signs of differences would ask whether they are symmetric about zero, not whether their mean is
zero: two systems of equal means, one of them with the wider spread, are separated too often. Dividing by the standard
error changes nothing about that, since flips leave the sum of squares as it is, so that both order the flips alike. The
bootstrap resamples the differences as they lie. `benchmarks/statistics_coverage.py` and `statistics_separation.py`
measure all of these; the manual's page on statistics has the tables.

Intervals have, by default, a coverage of 95 %; p is in [0, 1], small where chance explains the difference badly, and
says nothing about its size. An interval is of this suite's clips as a sample of all clips like them; it does not hold
other seeds of a system, nor clips of another kind.

Clips where a quantity is NaN stay in the resampling and out of the aggregate. With fewer than `MINIMUM_CLIPS` defined
clips there is neither interval nor test. There is no interval where all clips say the same, as one of zero width would
claim certainty, nor where a single clip decides. The reason says which. Seeds are arguments, so that the same call
gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.aggregate import Pooled
from visaudio_bench.metrics.quantity import Quantities

Floats = npt.NDArray[np.float64]
Aggregate: TypeAlias = Callable[[Quantities], Floats]

CONFIDENCE = 0.95
MINIMUM_CLIPS = 10  # fewer were not simulated, and most of what ten say is how little they say
# Of sums that are pooled into a correlation, which a few clips of another kind decide: of ten clips of a suite where a
# fifth is mirrored, one set in ten has no such clip, and intervals hold the truth in 86 % instead of 95 %.
POOLED_CLIPS = 20
# Of fewer clips of a metric with one bound, the end in the long tail reaches further: of scores as skewed as log-normal
# ones with σ = 1, intervals of ten clips hold the truth in 91.5 % else, since most such suites have shown no tail yet.
TAIL_CLIPS = 30
TAIL_REACH = 1.125  # times
RESAMPLES = 1999
DRAWS = 4999
LEAST_P = 1 / (DRAWS + 1)  # that a test by resampling can give
JACKKNIFE_GROUPS = 20
CHUNK = 4_000_000  # resampled values held at once, 32 MB
BLOCK = 48  # rows: a multiple of 4, 8, 12, 16 and 24, the blocks of matrix products
ROUNDING = 1e-9  # relative: spreads below this are rounding errors
STEP = 1e-3  # of a derivative, in standard deviations of a sum
LINEAR = 1e-5  # relative: errors below this come from the step of a derivative
CONSTANT = "no interval: all clips say the same"
TOO_ALIKE = "no interval: too few clips differ from the others"
ONE_CLIP = "no interval: it hangs on a single clip"
LONELY = 1.25  # effective number of clips below which one decides


class Statistic(NamedTuple):
    """What an interval is computed from.

    Attributes:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        quantities: arrays (n,) or (K, n), all over the same clips.
        low: lower end of the metric's range, None where it is unbounded.
        high: upper end of the metric's range, None where it is unbounded.
    """

    aggregate: Aggregate
    quantities: Quantities
    low: float | None = None
    high: float | None = None


class Interval(NamedTuple):
    """A value with its interval.

    Attributes:
        value: of all clips.
        low: lower end of the interval, NaN where there is none.
        high: upper end of the interval, NaN where there is none.
        n: number of clips where the value is defined.
        reason: why there is no interval, else "".
    """

    value: float
    low: float
    high: float
    n: int
    reason: str = ""


class Difference(NamedTuple):
    """The difference of two systems, first minus second, on the clips where both are defined.

    Attributes:
        value: the difference, in the unit of the metric; NaN where there is none.
        low: lower end of its interval, NaN where there is none.
        high: upper end of its interval, NaN where there is none.
        p: two-sided p of no difference, NaN where there is no test.
        error: standard error of the difference, NaN where there is none.
        n: number of clips that it rests on.
        reason: why something is NaN, else "".
    """

    value: float
    low: float
    high: float
    p: float
    error: float
    n: int
    reason: str = ""


class Estimate(NamedTuple):
    """What a jackknife says, or the reason why it says nothing.

    Attributes:
        value: the value, else None.
        low: lower end of the interval, else None.
        high: upper end of the interval, else None.
        reason: why the others are None, else None.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


def few(clips: int) -> str:
    """Word why there is no interval of so few clips.

    Args:
        clips: number of clips.

    Returns:
        The reason; "" for `MINIMUM_CLIPS` clips and more.

    Example:
        >>> few(9), few(10)
        ('no interval below 10 clips', '')
    """
    return f"no interval below {MINIMUM_CLIPS} clips" if clips < MINIMUM_CLIPS else ""


def interval(
    statistic: Statistic, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Compute the interval of one statistic over clips.

    Args:
        statistic: aggregate, quantities and range.
        confidence: coverage of the interval.
        resamples: number of resamples.
        seed: of the resamples.

    Returns:
        The value of all clips with its interval.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> found = interval(Statistic(mean("x"), {"x": np.arange(100.0)}))
        >>> found.value, found.n, 43 < found.low < 45, 54 < found.high < 56
        (49.5, 100, True, True)
    """
    return intervals([statistic], confidence=confidence, resamples=resamples, seed=seed)[0]


def intervals(
    statistics: Sequence[Statistic], *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> list[Interval]:
    """Compute the `interval` of every statistic of a table for the price of drawing once.

    Args:
        statistics: what the intervals are of, all over the same clips.
        confidence: coverage of the intervals.
        resamples: number of resamples, the same clips for every statistic.
        seed: of the resamples; the same for all systems of a table.

    Returns:
        The interval of each statistic, in their order.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        The mean of errors, which are never negative, and nine clips, which are too few:

        >>> from visaudio_bench.metrics.aggregate import mean
        >>> errors = np.array([0, 0, 0.1, 0.2, 0.2, 0.4, 0.5, 0.7, 1, 2])
        >>> found = intervals([Statistic(mean("x"), {"x": errors}, low=0.0)])[0]
        >>> 0 < found.low < found.value < found.high
        True
        >>> intervals([Statistic(mean("x"), {"x": np.arange(9.0)})])[0].reason
        'no interval below 10 clips'
    """
    samples = [
        _Sample(
            statistic.aggregate,
            statistic.quantities,
            int(_defined(statistic.quantities).sum()),
            (statistic.low, statistic.high),
        )
        for statistic in statistics
    ]
    drawn = _draw(samples, resamples, seed)
    return [_interval(sample, drawn.get(number), confidence) for number, sample in enumerate(samples)]


def difference(
    aggregate: Aggregate,
    first: Quantities,
    second: Quantities,
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """Compute interval and p of aggregate(first) - aggregate(second), two systems on the same clips.

    Args:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        first: quantities of the first system.
        second: quantities of the second system, of the same clips in the same order.
        confidence: coverage of the interval.
        draws: number of resamples.
        seed: of the resamples.

    Returns:
        The difference with its interval and p.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        Two systems that differ by about 2 on every clip, however much the clips differ:

        >>> from visaudio_bench.metrics.aggregate import mean
        >>> clips = np.arange(20.0)
        >>> found = difference(mean("x"), {"x": clips + 2 + clips % 2 / 10}, {"x": clips})
        >>> round(found.value, 3), 2 < found.low < found.high < 2.1, found.p
        (2.05, True, 0.0002)
    """
    return differences([(aggregate, first, second)], confidence=confidence, draws=draws, seed=seed)[0]


def differences(
    pairs: Sequence[tuple[Aggregate, Quantities, Quantities]],
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Difference]:
    """Compute the `difference` of many pairs of systems over the same clips for the price of drawing once.

    Args:
        pairs: (aggregate, first, second) as `difference` takes them.
        confidence: coverage of the intervals.
        draws: number of resamples, the same clips for every pair.
        seed: of the resamples.

    Returns:
        What `difference` says of each pair. Where all clips have one and the same difference there is no interval, and
        p is that of a sign test.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> clips = {"x": np.arange(12.0)}
        >>> [found] = differences([(mean("x"), clips, clips)])
        >>> found.value, found.p, found.reason
        (0.0, 1.0, 'no interval: all clips say the same')
    """
    samples = []
    for aggregate, first, second in pairs:
        both = _defined(first) & _defined(second)
        sides = {f"0{name}": row for name, row in first.items()} | {f"1{name}": row for name, row in second.items()}
        common = {name: np.where(both, row, np.nan) for name, row in sides.items()}
        samples.append(_Sample(_minus(aggregate), common, int(both.sum())))
    drawn = _draw(samples, draws, seed)
    return [_difference(sample, drawn.get(number), confidence) for number, sample in enumerate(samples)]


class Replicates(NamedTuple):
    """A statistic of all clips and without each group of clips: all that a jackknife needs.

    Attributes:
        full: the statistic of all clips.
        left_out: (groups,) the statistic without each group.
        sizes: (groups,) the number of clips in each group; groups may be unequal.
    """

    full: float
    left_out: Floats
    sizes: npt.NDArray[np.integer]

    @property
    def corrected(self) -> float:
        """The statistic less its bias, as far as that falls with the number of clips.

        Example:
            >>> round(Replicates(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1])).corrected, 6)
            2.0
        """
        share = self.sizes.sum() / self.sizes
        return float(len(self.left_out) * self.full - np.sum((1 - 1 / share) * self.left_out))

    @property
    def error(self) -> float:
        """The standard error.

        Example:
            The mean of 1, 2 and 3 has the error 1 / √3:

            >>> round(Replicates(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1])).error, 3)
            0.577
        """
        share = self.sizes.sum() / self.sizes
        pseudo = share * self.full - (share - 1) * self.left_out
        return float(np.sqrt(np.mean((pseudo - self.corrected) ** 2 / (share - 1))))

    def mixed(self, other: Replicates, weight: float, other_weight: float) -> Replicates:
        """Combine with another statistic of the same groups.

        Args:
            other: the other one.
            weight: factor of this one.
            other_weight: factor of the other one.

        Returns:
            The weighted sum.

        Example:
            >>> one = Replicates(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1]))
            >>> one.mixed(one, 1, -1).error
            0.0
        """
        return Replicates(
            weight * self.full + other_weight * other.full,
            weight * self.left_out + other_weight * other.left_out,
            self.sizes,
        )

    def estimate(self, *, corrected: bool = True, confidence: float = CONFIDENCE) -> Estimate:
        """Compute value and interval.

        Args:
            corrected: whether to take the bias off; else the value is that of all clips, and the interval around it.
            confidence: of the interval, by Student's t with groups - 1 degrees of freedom.

        Returns:
            The estimate; None with a reason where it is undefined.

        Example:
            The mean of 1, 2 and 3, which has no bias, and its interval 2 ± 4.303 / √3:

            >>> found = Replicates(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1])).estimate()
            >>> round(found.value, 3), round(found.high, 3)
            (2.0, 4.484)
        """
        from scipy.special import stdtrit

        if not (np.isfinite(self.full) and np.isfinite(self.left_out).all()):
            return Estimate(None, None, None, "the value is undefined with or without some clips")
        value = self.corrected if corrected else self.full
        if not self.error > ROUNDING * max(abs(self.full), 1.0):
            return Estimate(value, None, None, CONSTANT)
        half = float(stdtrit(len(self.left_out) - 1, (1 + confidence) / 2)) * self.error
        return Estimate(value, value - half, value + half)

    def against(self, other: Replicates, *, corrected: bool = True, confidence: float = CONFIDENCE) -> Difference:
        """Compare with the same statistic of another system, of the same groups of clips.

        Args:
            other: the other system.
            corrected: as `estimate` takes it.
            confidence: of the interval.

        Returns:
            This minus the other, with interval and p by Student's t.

        Example:
            >>> one = Replicates(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1]))
            >>> two = Replicates(1.0, np.array([1.0, 1.0, 1.0]), np.array([1, 1, 1]))
            >>> found = one.against(two)
            >>> round(found.value, 3), round(found.p, 3)
            (1.0, 0.225)
        """
        from scipy.special import stdtr

        gap = self.mixed(other, 1, -1)
        found = gap.estimate(corrected=corrected, confidence=confidence)
        n = int(self.sizes.sum())
        value, low, high = (np.nan if number is None else number for number in found[:3])
        if found.low is None:
            same = gap.full == 0 and not gap.left_out.any()
            return Difference(value, low, high, 1.0 if same else np.nan, np.nan, n, found.reason or "")
        p = 2 * float(stdtr(len(self.left_out) - 1, -abs(value) / gap.error))
        return Difference(value, low, high, p, gap.error, n)


def jackknife(aggregate: Aggregate, quantities: Quantities, groups: int = JACKKNIFE_GROUPS) -> Replicates | None:
    """Compute a statistic with and without each of some groups of clips.

    Args:
        aggregate: reduces the last axis (clips) of every quantity; it need not accept leading axes.
        quantities: arrays (n,) or (K, n), all over the same clips.
        groups: number of groups; with fewer clips than that each clip is one.

    Returns:
        The replicates; None with fewer than two clips.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        A variance that divides by n, 2 for five numbers, is corrected to the one that divides by n - 1:

        >>> found = jackknife(lambda clips: clips["x"].var(), {"x": np.array([1.0, 2.0, 3.0, 4.0, 5.0])})
        >>> round(found.corrected, 6)
        2.5
    """
    clips = _clips(quantities)
    if clips < 2:
        return None
    groups = min(groups, clips)
    number = np.arange(clips) % groups
    left_out = np.array(
        [aggregate({name: row[..., number != group] for name, row in quantities.items()}) for group in range(groups)]
    )
    return Replicates(float(aggregate(quantities)), left_out, np.bincount(number))


def holm(p_values: npt.ArrayLike) -> Floats:
    """Adjust the p-values of one family by Holm's (1979) step-down procedure.

    Args:
        p_values: (m,) p-values; a NaN does not count.

    Returns:
        The adjusted p-values (m,) in the same order, at most 1; NaN stays NaN.

    Example:
        >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN last
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def tie_groups(ordered: Sequence[str], separable: Callable[[str, str], bool]) -> dict[str, int]:
    """Rank systems (1, 1, 3, ...); who cannot be told from a group's leader shares its rank.

    Args:
        ordered: system names, best first.
        separable: whether (leader, other) differ, e.g. by a Holm-adjusted p below 0.05.

    Returns:
        The rank of each system.

    Example:
        >>> tie_groups(["a", "b", "c"], lambda leader, other: other == "c")
        {'a': 1, 'b': 1, 'c': 3}
    """
    ranks: dict[str, int] = {}
    leader = None
    for position, system in enumerate(ordered, start=1):
        if leader is None or separable(leader, system):
            leader, rank = system, position
        ranks[system] = rank
    return ranks


def _clips(quantities: Quantities) -> int:
    lengths = {row.shape[-1] for row in quantities.values()}
    if len(lengths) != 1:
        raise ValueError(f"quantities must be over the same clips, got lengths {sorted(lengths)}")
    return int(lengths.pop())


def _defined(quantities: Quantities) -> npt.NDArray[np.bool_]:
    """Say of each clip (n,) whether it has all quantities."""
    _clips(quantities)
    return np.asarray(np.all([np.atleast_2d(np.isfinite(row)).any(0) for row in quantities.values()], axis=0))


def _part(quantities: Quantities, prefix: str) -> Quantities:
    return {name[1:]: row for name, row in quantities.items() if name[0] == prefix}


def _minus(aggregate: Aggregate) -> Aggregate:
    """Make the aggregate of the quantities that start with "0" minus that of those with "1"; pooled stays pooled."""
    if not isinstance(aggregate, Pooled):
        return lambda quantities: aggregate(_part(quantities, "0")) - aggregate(_part(quantities, "1"))

    def terms(quantities: Quantities) -> Floats:
        return np.concatenate([aggregate.terms(_part(quantities, prefix)) for prefix in "01"])

    def finish(sums: Floats) -> Floats:
        first, second = np.split(sums, 2)
        return aggregate.finish(first) - aggregate.finish(second)

    return Pooled(terms, finish)


@dataclass(frozen=True)
class _Sample:
    """A value with all that is resampled of it.

    Attributes:
        aggregate: makes the value of quantities.
        quantities: of n clips.
        defined: number of clips where the value is defined.
        bounds: ends of the range.
    """

    aggregate: Aggregate
    quantities: Quantities
    defined: int
    bounds: tuple[float | None, float | None] = (None, None)

    @cached_property
    def clips(self) -> int:
        """Number n of clips."""
        return _clips(self.quantities)

    @cached_property
    def value(self) -> float:
        """The value of all clips."""
        return float(self.aggregate(self.quantities)) if self.clips else np.nan

    @cached_property
    def sums(self) -> _Sums | None:
        """The value as a function of sums, where it is one."""
        return _Sums(self.aggregate, self.quantities) if isinstance(self.aggregate, Pooled) and self.clips > 1 else None

    @property
    def constant(self) -> bool:
        """Whether no clip makes a difference, but for rounding."""
        low, high = self.bounds
        width = high - low if low is not None and high is not None else 0.0
        return self.sums is not None and not self.sums.error > LINEAR * max(abs(self.value), width, self.sums.size)

    @property
    def refusal(self) -> str:
        """Why there is neither interval nor test; "" where there may be."""
        if not np.isfinite(self.value):
            return "undefined on these clips"
        return few(self.defined)


class _Sums:
    """A function of sums over clips, with its standard error by linearisation (the delta method)."""

    def __init__(self, aggregate: Pooled, quantities: Quantities):
        self.finish = aggregate.finish
        self.terms = aggregate.terms(quantities)
        self.clips = self.terms.shape[-1]
        self.total = self.terms.sum(-1, keepdims=True)
        self._centred = self.terms - self.total / self.clips
        self._steps = STEP * np.sqrt((self._centred**2).sum(-1))
        self._pairs = np.triu_indices(len(self.terms))
        first, second = self._pairs
        self.products = self._centred[first] * self._centred[second]
        self.error = float(self.errors(self.total, self.products.sum(-1, keepdims=True))[0])
        # What rounding errors of a difference are measured against: its sides are larger than itself.
        with np.errstate(invalid="ignore"):
            self.size = float(np.nanmax(np.abs([0.0, *(self._gradient(self.total) * self.total).ravel()])))

    def errors(self, sums: Floats, products: Floats) -> Floats:
        """Standard errors (B,) of the function of sums (m, B), with the sums of products (m (m + 1) / 2, B)."""
        first, second = self._pairs
        gradient = self._gradient(sums)
        weights = gradient[first] * gradient[second] * np.where(first == second, 1, 2)[:, None]
        moved = (gradient * (sums - self.total)).sum(0)
        square = (weights * products).sum(0) - moved**2 / self.clips
        return np.asarray(np.sqrt(np.maximum(square, 0) * self.clips / (self.clips - 1)))

    @property
    def lonely(self) -> bool:
        """Whether one clip outweighs all others together, so that nobody knows how often there is another like it."""
        squares = (self._gradient(self.total)[:, 0] @ self._centred) ** 2
        return bool(squares.sum() ** 2 < LONELY * (squares @ squares))

    def _gradient(self, sums: Floats) -> Floats:
        """Derivatives (m, B) by each of the sums (m, B), by central differences that are computed at once."""
        moved = np.flatnonzero(self._steps)
        steps = np.zeros((len(sums), len(moved), 1))
        steps[moved, np.arange(len(moved)), 0] = self._steps[moved]
        ends = np.stack([sums[:, None] + steps, sums[:, None] - steps], axis=1)
        above, below = self.finish(ends.reshape(len(sums), -1)).reshape(ends.shape[1:])
        gradient = np.zeros_like(sums)
        gradient[moved] = (above - below) / (2 * self._steps[moved, None])
        return gradient


class _Drawn(NamedTuple):
    """What resampling makes of a value: (B,) values, and (B,) standard errors, or one for all of them."""

    values: Floats
    errors: Floats | float


def _draw(samples: Sequence[_Sample], draws: int, seed: int) -> dict[int, _Drawn]:
    """Resample the clips of all samples together; those that are refused or constant are left out."""
    if len({sample.clips for sample in samples}) > 1:
        raise ValueError(f"statistics must be over the same clips, got {sorted({one.clips for one in samples})}")
    kept = {number: one for number, one in enumerate(samples) if not (one.refusal or one.constant)}
    if not kept:
        return {}
    clips = next(iter(kept.values())).clips
    generator = np.random.default_rng(seed)
    evaluate = _resampler(list(kept.values()))
    chunks = [evaluate(generator.integers(clips, size=(rows, clips))) for rows in _chunks(draws, clips)]
    found = {}
    for place, (number, sample) in enumerate(kept.items()):
        values = np.concatenate([chunk[place].values for chunk in chunks])
        errors: Floats | float = float(np.std(values[np.isfinite(values)]))
        if sample.sums is not None:
            errors = np.concatenate([np.atleast_1d(chunk[place].errors) for chunk in chunks])
        found[number] = _Drawn(values, errors)
    return found


def _resampler(samples: Sequence[_Sample]) -> Callable[[npt.NDArray[np.integer]], list[_Drawn]]:
    """Make a function from (B, n) picked clips to the B values and errors of each sample.

    Sums need only how often each clip was picked.
    """
    rows = [part for one in samples if one.sums is not None for part in (one.sums.terms, one.sums.products)]
    stack = _Stack(rows) if rows else None

    def evaluate(picked: npt.NDArray[np.integer]) -> list[_Drawn]:
        parts: Iterator[Floats] = iter(())
        if stack is not None:
            times = np.empty(picked.shape)
            for row, chosen in zip(times, picked, strict=True):
                row[:] = np.bincount(chosen, minlength=len(row))
            parts = iter(stack.parts(stack.terms @ times.T))
        found = []
        for one in samples:
            if one.sums is not None:
                sums = next(parts)
                found.append(_Drawn(one.sums.finish(sums), one.sums.errors(sums, next(parts))))
            else:
                values = one.aggregate({name: row[..., picked] for name, row in one.quantities.items()})
                found.append(_Drawn(values, np.nan))
        return found

    return evaluate


def _interval(sample: _Sample, drawn: _Drawn | None, confidence: float) -> Interval:
    low = high = np.nan
    reason = sample.refusal or ("" if drawn is not None else CONSTANT)
    if drawn is not None:
        error = float(drawn.errors) if sample.sums is None else sample.sums.error
        scale = _Scale.of(sample.value, error, *sample.bounds)
        middle, slope = float(scale.forward(np.asarray(sample.value))), float(scale.slope(np.asarray(sample.value)))
        below, above = (reach * slope for reach in _reach(sample, drawn, scale, confidence))
        with np.errstate(over="ignore"):
            ends = (float(scale.backward(end)) for end in (middle - below, middle + above))
            low, high = np.clip(list(ends), *sample.bounds).tolist()
        lonely = sample.sums is not None and sample.sums.lonely
        if lonely or not (np.isfinite(low) and np.isfinite(high) and min(below, above) > 0):
            low = high = np.nan
            reason = ONE_CLIP if lonely else TOO_ALIKE
    return Interval(sample.value, low, high, sample.defined, reason)


def _reach(sample: _Sample, drawn: _Drawn, scale: _Scale, confidence: float) -> tuple[float, float]:
    """How far the interval reaches down and up, in the unit of the metric: the standard error times a quantile.

    The quantile is that of the sizes of deviations, alike on both sides. Of a metric with one bound, whose long tail
    few clips may not have shown yet, it is at least that of the deviations on the other side, and the end in the tail
    reaches further below `TAIL_CLIPS` clips.
    """
    if sample.sums is None:
        from scipy.special import stdtrit

        half = float(stdtrit(sample.defined - 1, (1 + confidence) / 2) * drawn.errors)
        return half, half
    steps = _steps(sample, drawn, scale)
    half = _quantile(np.abs(steps), confidence)
    ends = [half, half]
    if (sample.bounds[0] is None) != (sample.bounds[1] is None):
        ends = [max(half, _quantile(sign * steps, (1 + confidence) / 2)) for sign in (1, -1)]
        if sample.defined < TAIL_CLIPS:
            ends[sample.bounds[1] is None] *= TAIL_REACH
    return ends[0] * sample.sums.error, ends[1] * sample.sums.error


def _quantile(values: Floats, share: float) -> float:
    place = int(np.ceil(share * (len(values) + 1) - 1e-9)) - 1
    return float(np.sort(values)[min(place, len(values) - 1)])


def _sizes(sample: _Sample, drawn: _Drawn, scale: _Scale) -> Floats:
    """(B,) sizes of the studentised deviations."""
    return np.abs(_steps(sample, drawn, scale))


def _steps(sample: _Sample, drawn: _Drawn, scale: _Scale) -> Floats:
    """(B,) studentised deviations; what is undefined counts as infinite, which is against a difference."""
    assert sample.sums is not None  # what is no function of sums is not studentised
    # The clips drawn say the same but for rounding, which the root of a difference of squares makes larger.
    errors = np.where(drawn.errors > LINEAR * sample.sums.error, drawn.errors, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = scale.forward(drawn.values) - scale.forward(np.asarray(sample.value))
        sizes = steps / (errors * scale.slope(drawn.values))
    return np.where(np.isnan(sizes), np.inf, sizes)


def _difference(sample: _Sample, drawn: _Drawn | None, confidence: float) -> Difference:
    found = _interval(sample, drawn, confidence)
    p = error = np.nan
    if drawn is None and not sample.refusal:
        # All clips have the same difference: 2 / 2ⁿ is the p of their signs.
        same = abs(sample.value) <= LINEAR * (sample.sums.size if sample.sums is not None else 0)
        p = 1.0 if same else max(2.0 ** (1 - sample.defined), LEAST_P)
    elif drawn is not None and sample.sums is None:
        from scipy.special import stdtr

        error = float(drawn.errors)
        p = 2 * float(stdtr(sample.defined - 1, -abs(sample.value) / error)) if error > 0 else np.nan
    elif drawn is not None and sample.sums is not None:
        error = sample.sums.error
        least = abs(sample.value) / error * (1 - 1e-12)
        sizes = _sizes(sample, drawn, _Scale.of(sample.value, error, None, None))
        p = float((np.sum(sizes >= least) + 1) / (len(sizes) + 1))
    return Difference(found.value, found.low, found.high, p, error, found.n, found.reason)


class _Scale(NamedTuple):
    """A scale on which a metric is unbounded: there, its slope, and back."""

    forward: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    backward: Callable[[float], float]

    @classmethod
    def of(cls, value: float, error: float, low: float | None, high: float | None) -> _Scale:
        """The scale of a range; that of the values themselves where an end is nearer than the standard error."""
        if (low is not None and not value - low > error) or (high is not None and not high - value > error):
            low = high = None
        if low is None and high is None:
            return cls(lambda x: x, np.ones_like, lambda y: y)
        if low is not None and high is not None:
            start, width = low, high - low
            return cls(
                lambda x: np.log((x - start) / (start + width - x)),
                lambda x: width / ((x - start) * (start + width - x)),
                lambda y: start + width / (1 + float(np.exp(-y))),
            )
        sign, end = (1, low) if low is not None else (-1, high)
        assert end is not None  # one of the two is given
        return cls(
            lambda x: sign * np.log(sign * (x - end)),
            lambda x: 1 / np.abs(x - end),
            lambda y: end + sign * float(np.exp(sign * y)),
        )


def _chunks(total: int, clips: int) -> Iterator[int]:
    size = max(CHUNK // max(clips, 1), 1)
    for start in range(0, total, size):
        yield min(size, total - start)


class _Stack:
    """The terms of several pooled aggregates on top of each other: their weighted sums are one matrix product.

    Each row is in it once: pairs of systems share those of their systems. Rows of nothing but 0, and of nothing but 1
    (the count of clips that all have a value), stay out of the product: their sums are known.
    """

    def __init__(self, terms: Sequence[Floats]):
        rows = np.concatenate(terms)
        self._ends = np.cumsum([len(one) for one in terms])
        self._least = rows.min(axis=1)
        self._known = (self._least == rows.max(axis=1)) & np.isin(self._least, (0.0, 1.0))
        places: dict[bytes, int] = {}
        self._places = [places.setdefault(row.tobytes(), len(places)) for row in rows[~self._known]]
        kept = np.frombuffer(b"".join(places), np.float64).reshape(len(places), rows.shape[1])
        # At the edge of a matrix, libraries add in another order. A multiple of their blocks has no edge, so that a
        # row's sum does not depend on how many others there are.
        self.terms = np.concatenate([kept, np.zeros((-len(kept) % BLOCK, rows.shape[1]))])

    def parts(self, sums: Floats) -> list[Floats]:
        """The rows of each aggregate, from the sums of `terms`."""
        whole = np.empty((len(self._known), sums.shape[1]))
        whole[~self._known] = sums[self._places]
        whole[self._known] = (self._least[self._known] * self.terms.shape[1])[:, None]
        return np.split(whole, self._ends[:-1])
