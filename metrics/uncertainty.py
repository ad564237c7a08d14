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

Clips where a quantity is NaN stay in the resampling and out of the aggregate. Fewer than two defined clips give a NaN
interval: an interval of zero width would claim certainty. Seeds are arguments, so that the same call gives the same
numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
_NORMAL = NormalDist()


class Interval(NamedTuple):
    """A value with its interval; `n` is the number of clips where it is defined. Low and high are NaN if n < 2."""

    value: float
    low: float
    high: float
    n: int


class Estimate(NamedTuple):
    """A bias-corrected value with its interval, or None everywhere and the reason."""

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
    """BCa bootstrap interval over clips.

    Args:
        aggregate: reduces the last axis (clips) of every quantity and accepts leading axes.
        quantities: arrays (n,) or (K, n), all over the same clips.
        confidence: coverage of the interval.
        resamples: number of resamples.
        seed: of the resamples; the same for all systems of a table.
    """
    clips = _clips(quantities)
    if clips == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    value = float(aggregate(quantities))
    defined = int(np.all([np.isfinite(row).reshape(-1, clips).any(0) for row in quantities.values()], axis=0).sum())
    if defined < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan, defined)
    generator = np.random.default_rng(seed)
    evaluate = _resampler(aggregate, quantities)
    draws = np.concatenate(
        [evaluate(generator.integers(clips, size=(rows, clips))) for rows in _chunks(resamples, clips)]
    )
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return Interval(value, np.nan, np.nan, defined)
    levels = _bca_levels(draws, value, _leave_one_out(aggregate, quantities), confidence)
    low, high = np.quantile(draws, levels)
    return Interval(value, float(low), float(high), defined)


def paired_difference(
    aggregate: Aggregate,
    first: Quantities,
    second: Quantities,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """BCa interval of aggregate(first) - aggregate(second), two systems on the same clips in the same order."""
    both = {f"0{name}": row for name, row in first.items()} | {f"1{name}": row for name, row in second.items()}
    return bootstrap(_difference(aggregate), both, confidence=confidence, resamples=resamples, seed=seed)


def sign_flip_test(differences: npt.ArrayLike, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of a mean difference of zero, from the signs of per-clip differences (n,).

    Exact over all 2ⁿ signs for n <= 20, else Monte Carlo with (k + 1) / (draws + 1). NaN differences are left out;
    NaN without any difference.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan")
    least = abs(values.sum()) - 1e-12 * np.abs(values).sum()  # rounding must not break a tie
    if len(values) <= EXACT_CLIPS:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= least))
    generator = np.random.default_rng(seed)
    count = 0
    for rows in _chunks(draws, len(values)):
        signs = 2.0 * generator.integers(2, size=(rows, len(values)), dtype=np.int8) - 1
        count += int(np.sum(np.abs(signs @ values) >= least))
    return (count + 1) / (draws + 1)


def exchange_test(
    aggregate: Aggregate, first: Quantities, second: Quantities, draws: int = DRAWS, seed: int = 0
) -> float:
    """Two-sided Monte Carlo p of aggregate(first) = aggregate(second), exchanging the two systems clip by clip.

    For a mean this is `sign_flip_test`; it also holds for medians and pooled correlations. NaN if undefined.
    """
    clips = _clips(first)
    values = float(aggregate(first)), float(aggregate(second))
    if not np.isfinite(values).all():
        return float("nan")
    least = abs(values[0] - values[1]) - 1e-12 * max(map(abs, values))  # rounding must not break a tie
    generator = np.random.default_rng(seed)
    evaluate = _exchanger(aggregate, first, second)
    count = 0
    for rows in _chunks(draws, clips):
        kept = generator.integers(2, size=(rows, clips), dtype=np.int8).astype(bool)
        count += int(np.sum(~(np.abs(evaluate(kept)) < least)))  # an undefined draw counts against a difference
    return (count + 1) / (draws + 1)


def jackknife(
    aggregate: Aggregate, quantities: Quantities, groups: int = JACKKNIFE_GROUPS, confidence: float = CONFIDENCE
) -> Estimate:
    """Delete-a-group jackknife over clips of an aggregate that need not accept leading axes."""
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
    """Bias-corrected value and t interval of a delete-a-group jackknife (Busing, Meijer and Van der Leeden 1999).

    Args:
        full: the statistic of all clips.
        left_out: (groups,) the statistic without each group.
        sizes: (groups,) the number of clips in each group; groups may be unequal.
        confidence: of the interval, with groups - 1 degrees of freedom.
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
    """Holm's (1979) step-down adjustment of the p-values (m,) of one family; NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN last
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def tie_groups(ordered: Sequence[str], separable: Callable[[str, str], bool]) -> dict[str, int]:
    """Ranks (1, 1, 3, ...) of systems ordered best first: who cannot be told from a group's leader shares its rank.

    Args:
        ordered: system names, best first.
        separable: whether (leader, other) differ, e.g. by a Holm-adjusted p below 0.05.
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


def _part(quantities: Quantities, prefix: str) -> Quantities:
    return {name[1:]: row for name, row in quantities.items() if name[0] == prefix}


def _difference(aggregate: Aggregate) -> Aggregate:
    """The aggregate of the rows that start with "0" minus that of those that start with "1"; pooled stays pooled."""
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


def _resampler(aggregate: Aggregate, quantities: Quantities) -> Callable[[npt.NDArray[np.integer]], Floats]:
    """A function of (B, m) picked clips to the B aggregates. Sums need only how often each clip was picked."""
    if not isinstance(aggregate, Pooled):
        return lambda picked: np.asarray(aggregate({name: row[..., picked] for name, row in quantities.items()}))
    terms, finish = aggregate.terms(quantities), aggregate.finish
    clips = terms.shape[-1]

    def evaluate(picked: npt.NDArray[np.integer]) -> Floats:
        flat = picked + clips * np.arange(len(picked))[:, None]
        times = np.bincount(flat.ravel(), minlength=len(picked) * clips).reshape(len(picked), clips)
        return finish(terms @ times.T.astype(np.float64))

    return evaluate


def _exchanger(
    aggregate: Aggregate, first: Quantities, second: Quantities
) -> Callable[[npt.NDArray[np.bool_]], Floats]:
    """A function of (B, n) flags, true where a clip keeps its systems, to the B differences of the aggregates."""
    if isinstance(aggregate, Pooled):
        a, b = aggregate.terms(first), aggregate.terms(second)
        sum_a, sum_b, finish = a.sum(-1, keepdims=True), b.sum(-1, keepdims=True), aggregate.finish

        def pooled(kept: npt.NDArray[np.bool_]) -> Floats:
            moved = (a - b) @ kept.T.astype(np.float64)
            return finish(sum_b + moved) - finish(sum_a - moved)

        return pooled

    def general(kept: npt.NDArray[np.bool_]) -> Floats:
        sides = (
            aggregate({name: _exchanged(one[name], other[name], kept) for name in first})
            for one, other in ((first, second), (second, first))
        )
        return next(sides) - next(sides)

    return general


def _leave_one_out(aggregate: Aggregate, quantities: Quantities) -> Floats:
    if isinstance(aggregate, Pooled):
        terms = aggregate.terms(quantities)
        return aggregate.finish(terms.sum(-1, keepdims=True) - terms)
    clips = _clips(quantities)
    others, evaluate = np.arange(clips - 1), _resampler(aggregate, quantities)
    values = []
    start = 0
    for rows in _chunks(clips, clips):
        left_out = np.arange(start, start + rows)[:, None]
        values.append(evaluate(others + (others >= left_out)))
        start += rows
    return np.concatenate(values)


def _bca_levels(draws: Floats, value: float, left_out: Floats, confidence: float) -> list[float]:
    """The two quantile levels of the bias-corrected and accelerated interval (Efron 1987)."""
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


def _exchanged(one: Floats, other: Floats, kept: npt.NDArray[np.bool_]) -> Floats:
    """`one` where kept (B, n), else `other`; a vector (K, n) becomes (K, B, n)."""
    if one.ndim > 1:
        one, other = one[:, None], other[:, None]
    return np.where(kept, one, other)
