"""How sure a number is: intervals over clips, paired tests, and which systems of a table cannot be told apart.

Clips are the unit everywhere: frames or segments of one clip are not independent. Two systems are always compared on
the same clips, resampled or exchanged together, because clips differ far more than systems do.

- `bootstrap`, `paired_difference`: BCa interval (Efron 1987) of any aggregate over clips, or of its difference between
  two systems. Corrects the skew and the bias that a percentile interval of a heavy-tailed error has.
- `sign_flip_test`: p of a mean difference, exact for up to 20 clips (Fisher 1935).
- `exchange_test`: p of the difference of any aggregate, by exchanging the systems clip by clip at random.
- `jackknife`, `jackknife_estimate`: bias-corrected value and interval for distances between sets, which a bootstrap
  gets wrong (a resample holds duplicates, so that every distance grows).
- `holm`: p-values of one table together. `tie_groups`: ranks that respect them.

Intervals are in the unit of the aggregate and have, by default, a coverage of 95 %; p is in [0, 1], small where chance
explains the difference badly, and says nothing about its size. An interval is of this suite's clips as a sample of all
clips like them; it does not hold other seeds of a system, nor clips of another kind.

Clips where a quantity is NaN stay in the resampling and out of the aggregate. With fewer than two defined clips the
interval is NaN: an interval of zero width would claim certainty. Seeds are arguments, so that the same call gives the
same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.aggregate import Pooled
from visaudio_bench.metrics.quantity import Quantities

Floats = npt.NDArray[np.float64]
Aggregate: TypeAlias = Callable[[Quantities], Floats]

CONFIDENCE = 0.95
RESAMPLES = 2000
DRAWS = 9999
EXACT_CLIPS = 20
JACKKNIFE_GROUPS = 20
CHUNK = 4_000_000  # resampled values held at once, 32 MB
BLOCK = 48  # rows: a multiple of 4, 8, 12, 16 and 24, the blocks of matrix products
_NORMAL = NormalDist()


class Interval(NamedTuple):
    """A value with its interval.

    Attributes:
        value: of all clips.
        low: lower end of the interval, NaN if n < 2.
        high: upper end of the interval, NaN if n < 2.
        n: number of clips where the value is defined.
    """

    value: float
    low: float
    high: float
    n: int


class Estimate(NamedTuple):
    """A bias-corrected value with its interval, or the reason why there is none.

    Attributes:
        value: bias-corrected value, else None.
        low: lower end of the interval, else None.
        high: upper end of the interval, else None.
        reason: why the others are None, else None.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


def bootstrap(
    aggregate: Aggregate,
    quantities: Quantities,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Compute the BCa bootstrap interval over clips (Efron 1987).

    Args:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        quantities: arrays (n,) or (K, n), all over the same clips.
        confidence: coverage of the interval.
        resamples: number of resamples.
        seed: of the resamples; the same for all systems of a table.

    Returns:
        The value of all clips with its interval; the interval is NaN with fewer than two defined clips.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> interval = bootstrap(mean("x"), {"x": np.arange(100.0)}, resamples=500)
        >>> interval.value, interval.n, 42 < interval.low < 46, 53 < interval.high < 57
        (49.5, 100, True, True)
    """
    return bootstraps([(aggregate, quantities)], confidence=confidence, resamples=resamples, seed=seed)[0]


def bootstraps(
    cells: Sequence[tuple[Aggregate, Quantities]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """The `bootstrap` of every cell of a table: what each gives by itself, for the price of drawing once.

    Args:
        cells: aggregates and their quantities, all over the same clips.
        confidence: coverage of the intervals.
        resamples: number of resamples, the same clips for every cell.
        seed: of the resamples.

    Returns:
        The interval of each cell, in their order.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> cells = [(mean("x"), {"x": np.arange(9.0)}), (mean("x"), {"x": np.arange(9.0) + 1})]
        >>> [interval.value for interval in bootstraps(cells, resamples=99)]
        [4.0, 5.0]
    """
    clips = _common_clips([quantities for _, quantities in cells]) if cells else 0
    if clips == 0:
        return [Interval(np.nan, np.nan, np.nan, 0) for _ in cells]
    intervals = [_without_ends(aggregate, quantities, clips) for aggregate, quantities in cells]
    wide = [number for number, one in enumerate(intervals) if one.n >= 2 and np.isfinite(one.value)]
    if not wide:
        return intervals
    generator = np.random.default_rng(seed)
    evaluate = _resampler([cells[number] for number in wide])
    chunks = [evaluate(generator.integers(clips, size=(rows, clips))) for rows in _chunks(resamples, clips)]
    for place, number in enumerate(wide):
        draws = np.concatenate([chunk[place] for chunk in chunks])
        draws = draws[np.isfinite(draws)]
        if len(draws):
            levels = _bca_levels(draws, intervals[number].value, _leave_one_out(*cells[number]), confidence)
            low, high = np.quantile(draws, levels)
            intervals[number] = intervals[number]._replace(low=float(low), high=float(high))
    return intervals


def _without_ends(aggregate: Aggregate, quantities: Quantities, clips: int) -> Interval:
    """The value, and on how many clips it rests."""
    defined = np.all([np.isfinite(row).reshape(-1, clips).any(0) for row in quantities.values()], axis=0)
    return Interval(float(aggregate(quantities)), np.nan, np.nan, int(defined.sum()))


def paired_difference(
    aggregate: Aggregate,
    first: Quantities,
    second: Quantities,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Compute the BCa interval of aggregate(first) - aggregate(second), two systems on the same clips.

    Args:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        first: quantities of the first system.
        second: quantities of the second system, of the same clips in the same order.
        confidence: coverage of the interval.
        resamples: number of resamples.
        seed: of the resamples; the same for all pairs of a table.

    Returns:
        The difference with its interval.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        Two systems that differ by 2 on every clip, however much the clips differ:

        >>> from visaudio_bench.metrics.aggregate import mean
        >>> clips = np.arange(20.0)
        >>> interval = paired_difference(mean("x"), {"x": clips + 2}, {"x": clips}, resamples=200)
        >>> [round(number, 6) for number in interval[:3]]
        [2.0, 2.0, 2.0]
    """
    both = {f"0{name}": row for name, row in first.items()} | {f"1{name}": row for name, row in second.items()}
    return bootstrap(_difference(aggregate), both, confidence=confidence, resamples=resamples, seed=seed)


def sign_flip_test(differences: npt.ArrayLike, draws: int = DRAWS, seed: int = 0) -> float:
    """Test whether a mean difference is zero, from the signs of the differences (Fisher 1935).

    Args:
        differences: (n,) difference of two systems on each clip; NaN are left out.
        draws: number of draws of signs where n > 20. Up to there all 2ⁿ signs are counted.
        seed: of the draws.

    Returns:
        The two-sided p: the share of signs whose sum is at least as large, in draws (k + 1) / (draws + 1); NaN without
        any difference.

    Example:
        Of the 2³ signs of three differences, all plus and all minus reach the sum:

        >>> sign_flip_test([1.0, 2.0, 3.0])
        0.25
    """
    return float(sign_flip_tests(np.atleast_2d(np.asarray(differences, dtype=np.float64)), draws, seed)[0])


def sign_flip_tests(differences: npt.ArrayLike, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Test many mean differences over the same clips, drawing the signs once.

    Args:
        differences: (m, n), each row the differences of two systems; NaN are left out.
        draws: number of draws of signs where n > 20.
        seed: of the draws.

    Returns:
        (m,) what `sign_flip_test` says of each row.

    Example:
        >>> sign_flip_tests([[1.0, 2.0, 3.0], [1.0, -1.0, 0.0]]).tolist()
        [0.25, 1.0]
    """
    values = np.asarray(differences, dtype=np.float64)
    p_values = np.full(len(values), np.nan)
    counts = np.isfinite(values).sum(-1)
    for row in np.flatnonzero((counts > 0) & (counts <= EXACT_CLIPS)):
        p_values[row] = _exact_sign_flip(values[row][np.isfinite(values[row])])
    drawn = counts > EXACT_CLIPS
    if drawn.any():
        # A clip without a difference adds nothing to a sum, whatever its sign.
        p_values[drawn] = _drawn_sign_flips(np.where(np.isfinite(values[drawn]), values[drawn], 0), draws, seed)
    return p_values


def _least(differences: Floats) -> Floats:
    """How far from zero a sum must be to count; rounding must not break a tie."""
    return np.asarray(np.abs(differences.sum(-1)) - 1e-12 * np.abs(differences).sum(-1))


def _exact_sign_flip(values: Floats) -> float:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= _least(values)))


def _drawn_sign_flips(values: Floats, draws: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    least = _least(values)
    count = np.zeros(len(values))
    for rows in _chunks(draws, values.shape[-1]):
        signs = 2.0 * generator.integers(2, size=(rows, values.shape[-1]), dtype=np.int8) - 1
        count += np.sum(np.abs(signs @ values.T) >= least, axis=0)
    return (count + 1) / (draws + 1)


def exchange_test(
    aggregate: Aggregate, first: Quantities, second: Quantities, draws: int = DRAWS, seed: int = 0
) -> float:
    """Test whether aggregate(first) = aggregate(second), exchanging the two systems clip by clip at random.

    For a mean this is `sign_flip_test` by draws; it also holds for medians and pooled correlations.

    Args:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        first: quantities of the first system.
        second: quantities of the second system, of the same clips in the same order.
        draws: number of random exchanges.
        seed: of the exchanges.

    Returns:
        The two-sided Monte Carlo p, (k + 1) / (draws + 1); NaN if a value is undefined.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> clips = {"x": np.arange(8.0)}
        >>> exchange_test(mean("x"), clips, clips, draws=99)
        1.0
    """
    return float(exchange_tests([(aggregate, first, second)], draws, seed)[0])


def exchange_tests(
    pairs: Sequence[tuple[Aggregate, Quantities, Quantities]], draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Test many pairs of systems over the same clips, drawing the exchanges once.

    Args:
        pairs: (aggregate, first, second) as `exchange_test` takes them.
        draws: number of random exchanges, the same clips for every pair.
        seed: of the exchanges.

    Returns:
        (m,) what `exchange_test` says of each pair.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        >>> from visaudio_bench.metrics.aggregate import mean
        >>> clips = {"x": np.arange(8.0)}
        >>> exchange_tests([(mean("x"), clips, clips)], draws=99).tolist()
        [1.0]
    """
    p_values = np.full(len(pairs), np.nan)
    values = np.array([[float(aggregate(side)) for side in sides] for aggregate, *sides in pairs]).reshape(-1, 2)
    found = np.flatnonzero(np.isfinite(values).all(-1)).tolist()
    if not found:
        return p_values
    # Rounding must not break a tie.
    least = np.abs(values[found, 0] - values[found, 1]) - 1e-12 * np.abs(values[found]).max(-1)
    clips = _common_clips([side for number in found for side in pairs[number][1:]])
    generator = np.random.default_rng(seed)
    evaluate = _exchanger([pairs[number] for number in found])
    count = np.zeros(len(found))
    for rows in _chunks(draws, clips):
        kept = generator.integers(2, size=(rows, clips), dtype=np.int8).astype(bool)
        # An undefined draw counts against a difference.
        count += np.sum(~(np.abs(evaluate(kept)) < least[:, None]), axis=-1)
    p_values[found] = (count + 1) / (draws + 1)
    return p_values


def jackknife(
    aggregate: Aggregate, quantities: Quantities, groups: int = JACKKNIFE_GROUPS, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate the value of all clips like these by a delete-a-group jackknife.

    Args:
        aggregate: reduces the last axis (clips) of every quantity; it need not accept leading axes.
        quantities: arrays (n,) or (K, n), all over the same clips.
        groups: number of groups; with fewer clips than that each clip is one.
        confidence: of the interval.

    Returns:
        The bias-corrected value with its interval; None with a reason with fewer than two clips, or where the value is
        undefined.

    Raises:
        ValueError: the quantities are not over the same clips.

    Example:
        A variance that divides by n, 2 for five numbers, is corrected to the one that divides by n - 1:

        >>> estimate = jackknife(lambda clips: clips["x"].var(), {"x": np.array([1.0, 2.0, 3.0, 4.0, 5.0])})
        >>> round(estimate.value, 6)
        2.5
    """
    clips = _clips(quantities)
    if clips < 2:
        return Estimate(None, None, None, f"{clips} clips are too few to leave one out")
    groups = min(groups, clips)
    number = np.arange(clips) % groups
    left_out = np.array(
        [aggregate({name: row[..., number != group] for name, row in quantities.items()}) for group in range(groups)]
    )
    return jackknife_estimate(float(aggregate(quantities)), left_out, np.bincount(number), confidence)


def jackknife_estimate(
    full: float, left_out: Floats, sizes: npt.NDArray[np.integer], confidence: float = CONFIDENCE
) -> Estimate:
    """Compute value and interval of a delete-a-group jackknife (Busing, Meijer and Van der Leeden 1999).

    Args:
        full: the statistic of all clips.
        left_out: (groups,) the statistic without each group.
        sizes: (groups,) the number of clips in each group; groups may be unequal.
        confidence: of the interval, by Student's t with groups - 1 degrees of freedom.

    Returns:
        The bias-corrected value with its interval; None with a reason where one of the statistics is undefined.

    Example:
        The mean of 1, 2 and 3, which has no bias, and its interval 2 ± 4.303 / √3:

        >>> estimate = jackknife_estimate(2.0, np.array([2.5, 2.0, 1.5]), np.array([1, 1, 1]))
        >>> round(estimate.value, 3), round(estimate.high, 3)
        (2.0, 4.484)
    """
    from scipy.special import stdtrit

    if not (np.isfinite(full) and np.isfinite(left_out).all()):
        return Estimate(None, None, None, "the value is undefined with or without some clips")
    groups = len(left_out)
    share = sizes.sum() / sizes
    pseudo = share * full - (share - 1) * left_out
    value = groups * full - np.sum((1 - 1 / share) * left_out)
    variance = np.mean((pseudo - value) ** 2 / (share - 1))
    half = float(stdtrit(groups - 1, (1 + confidence) / 2) * np.sqrt(variance))
    return Estimate(float(value), float(value) - half, float(value) + half)


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


def _common_clips(tables: Sequence[Quantities]) -> int:
    return _clips({f"{number} {name}": row for number, rows in enumerate(tables) for name, row in rows.items()})


def _part(quantities: Quantities, prefix: str) -> Quantities:
    return {name[1:]: row for name, row in quantities.items() if name[0] == prefix}


def _difference(aggregate: Aggregate) -> Aggregate:
    """Make the aggregate of the rows that start with "0" minus that of those with "1"; pooled stays pooled."""
    if not isinstance(aggregate, Pooled):
        return lambda quantities: aggregate(_part(quantities, "0")) - aggregate(_part(quantities, "1"))

    def terms(quantities: Quantities) -> Floats:
        return np.concatenate([aggregate.terms(_part(quantities, prefix)) for prefix in "01"])

    def finish(sums: Floats) -> Floats:
        first, second = np.split(sums, 2)
        return aggregate.finish(first) - aggregate.finish(second)

    return Pooled(terms, finish)


def _chunks(total: int, clips: int) -> Iterator[int]:
    size = max(CHUNK // max(clips, 1), 1)
    for start in range(0, total, size):
        yield min(size, total - start)


class _Stack:
    """The terms of several pooled aggregates on top of each other: their weighted sums are one matrix product."""

    def __init__(self, terms: Sequence[Floats]):
        self._ends = np.cumsum([len(one) for one in terms])
        # At the edge of a matrix, libraries add in another order. A multiple of their blocks has no edge, so that a
        # row's sum does not depend on how many others there are.
        edge = np.zeros((-int(self._ends[-1]) % BLOCK, terms[0].shape[-1]))
        self.terms = np.concatenate([*terms, edge])

    def parts(self, sums: Floats) -> list[Floats]:
        """The rows of each aggregate, from the rows of all."""
        return np.split(sums, self._ends)[:-1]


def _pooled(aggregates: Iterable[Aggregate]) -> list[tuple[int, Pooled]]:
    return [(number, one) for number, one in enumerate(aggregates) if isinstance(one, Pooled)]


def _resampler(
    cells: Sequence[tuple[Aggregate, Quantities]],
) -> Callable[[npt.NDArray[np.integer]], list[Floats]]:
    """Make a function from (B, m) picked clips to the B aggregates of each cell.

    Sums need only how often each clip was picked.
    """
    pooled = _pooled(aggregate for aggregate, _ in cells)
    stack = _Stack([one.terms(cells[number][1]) for number, one in pooled]) if pooled else None

    def evaluate(picked: npt.NDArray[np.integer]) -> list[Floats]:
        values: dict[int, Floats] = {}
        if stack is not None:
            clips = stack.terms.shape[-1]
            flat = picked + clips * np.arange(len(picked))[:, None]
            times = np.bincount(flat.ravel(), minlength=len(picked) * clips).reshape(len(picked), clips)
            sums = stack.parts(stack.terms @ times.T.astype(np.float64))
            values = {number: one.finish(part) for (number, one), part in zip(pooled, sums, strict=True)}
        for number, (aggregate, quantities) in enumerate(cells):
            if number not in values:
                values[number] = np.asarray(aggregate({name: row[..., picked] for name, row in quantities.items()}))
        return [values[number] for number in range(len(cells))]

    return evaluate


def _exchanger(
    pairs: Sequence[tuple[Aggregate, Quantities, Quantities]],
) -> Callable[[npt.NDArray[np.bool_]], Floats]:
    """Make a function from (B, n) flags, true where a clip keeps its systems, to (m, B) differences of aggregates."""
    pooled = _pooled(aggregate for aggregate, _, _ in pairs)
    if pooled:
        first = _Stack([one.terms(pairs[number][1]) for number, one in pooled])
        second = _Stack([one.terms(pairs[number][2]) for number, one in pooled])
        gap = first.terms - second.terms
        total, other_total = (stack.terms.sum(-1, keepdims=True) for stack in (first, second))

    def evaluate(kept: npt.NDArray[np.bool_]) -> Floats:
        differences = np.empty((len(pairs), len(kept)))
        if pooled:
            moved = gap @ kept.T.astype(np.float64)
            ones, others = second.parts(other_total + moved), first.parts(total - moved)
            for (number, one), a, b in zip(pooled, ones, others, strict=True):
                differences[number] = one.finish(a) - one.finish(b)
        for number, (aggregate, first_side, second_side) in enumerate(pairs):
            if not isinstance(aggregate, Pooled):
                a, b = (
                    aggregate({name: _exchanged(one[name], other[name], kept) for name in first_side})
                    for one, other in ((first_side, second_side), (second_side, first_side))
                )
                differences[number] = a - b
        return differences

    return evaluate


def _leave_one_out(aggregate: Aggregate, quantities: Quantities) -> Floats:
    if isinstance(aggregate, Pooled):
        terms = aggregate.terms(quantities)
        return aggregate.finish(terms.sum(-1, keepdims=True) - terms)
    clips = _clips(quantities)
    others, evaluate = np.arange(clips - 1), _resampler([(aggregate, quantities)])
    values = []
    start = 0
    for rows in _chunks(clips, clips):
        left_out = np.arange(start, start + rows)[:, None]
        values += evaluate(others + (others >= left_out))
        start += rows
    return np.concatenate(values)


def _bca_levels(draws: Floats, value: float, left_out: Floats, confidence: float) -> list[float]:
    """Compute the two quantile levels of the bias-corrected and accelerated interval (Efron 1987)."""
    below = (np.sum(draws < value) + 0.5 * np.sum(draws == value)) / len(draws)
    bias = _NORMAL.inv_cdf(float(np.clip(below, 1 / (2 * len(draws)), 1 - 1 / (2 * len(draws)))))
    step = left_out[np.isfinite(left_out)]
    step = step.mean() - step if len(step) else np.zeros(1)
    spread = float(np.sum(step**2))
    acceleration = float(np.sum(step**3)) / (6 * spread**1.5) if spread > 0 else 0.0
    levels = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + _NORMAL.inv_cdf(level)
        levels.append(_NORMAL.cdf(bias + shifted / (1 - acceleration * shifted)))
    return levels


def _exchanged(mine: Floats, other: Floats, kept: npt.NDArray[np.bool_]) -> Floats:
    """Take `mine` where kept (B, n), else `other`; a vector (K, n) becomes (K, B, n)."""
    if mine.ndim > 1:
        mine, other = mine[:, None], other[:, None]
    return np.where(kept, mine, other)
