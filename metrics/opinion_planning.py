"""How large a difference a listening test can show: power before the study.

Two systems are compared by the differences of the votes that each rater gave on each clip. Such a difference varies
with the rater (some prefer one system everywhere), with the clip (some suit one system), and otherwise. With V_R, V_I
and V_E these three variances, R raters and I clips, the mean difference has the standard error

    SE^2 = V_R / R + V_I / I + V_E / (R I)

and `crossed_p` of `opinion_comparison` compares it with Student's t at Satterthwaite's degrees of freedom. Power is the
probability that p is at most alpha where the true difference is what is asked about (noncentral t): in [0, 1], larger
is better. Differences are in points of the scale. However many raters there are, V_I / I stays, and V_R / R however
many clips.

The variances come from an earlier study (`difference_components`), or are assumed (`assumed_components`). The test
takes a component for no smaller than zero, which costs some power where V_R and V_I are small: in simulated studies of
12 raters by 10 clips the power is met within 0.05.

Source: Satterthwaite (1946); Westfall, Kenny and Judd (2014), "Statistical power and optimal design in experiments in
which samples of participants respond to samples of stimuli", J. Experimental Psychology: General 143.

Whether a share of right answers (module `opinion_matching`) is told from guessing is the same question with the
components of one system's answers (`system_components`) in place of those of a difference.

Functions: `power`, `smallest_difference`, `needed`, `difference_components`, `system_components`, `assumed_components`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import optimize, stats

from visaudio_bench.metrics.opinion import Components, Votes, variance_components

MOST = 1000  # raters or clips beyond which nobody plans


def assumed_components(rater: float, clip: float, residual: float) -> Components:
    """Turn standard deviations of one system's votes into variances of the difference of two such systems.

    Args:
        rater: SD over raters of what a rater gives this system beyond what the rater gives all.
        clip: SD over clips of what this system has on a clip beyond what all have on it.
        residual: SD of votes otherwise.

    Returns:
        The components of the difference, twice each variance.

    Example:
        >>> assumed_components(0.0, 0.5, 1.0)
        Components(rater=0.0, clip=0.5, residual=2.0)
    """
    return Components(2 * rater**2, 2 * clip**2, 2 * residual**2)


def difference_components(votes: Votes, dimension: str, systems: Sequence[str]) -> Components:
    """Estimate the variance components of the differences of two systems, averaged over all pairs.

    Args:
        votes: of a study.
        dimension: name of the dimension.
        systems: names of two systems or more.

    Returns:
        The components, none below zero; NaN where no pair has enough votes to tell them.

    Raises:
        ValueError: an unknown system or dimension, or a rater voted twice on the same clip.

    Example:
        >>> votes = Votes.from_cells({"a": [[4, 5], [2, 3]], "b": [[3, 3], [3, 3]]}, "realism")
        >>> difference_components(votes, "realism", ["a", "b"])
        Components(rater=2.0, clip=0.5, residual=0.0)
    """
    cells = {system: votes.full_matrix(system, dimension) for system in systems}
    return _averaged([variance_components(cells[a] - cells[b]) for a, b in combinations(systems, 2)])


def system_components(votes: Votes, dimension: str, systems: Sequence[str]) -> Components:
    """Estimate the variance components of one system's votes, averaged over the systems.

    Args:
        votes: of a study.
        dimension: name of the dimension.
        systems: names of the systems.

    Returns:
        The components, none below zero; NaN where no system has enough votes to tell them.

    Raises:
        ValueError: an unknown system or dimension, or a rater voted twice on the same clip.

    Example:
        >>> votes = Votes.from_cells({"a": [[4, 5], [2, 3]], "b": [[3, 3], [3, 3]]}, "realism")
        >>> system_components(votes, "realism", ["a", "b"])
        Components(rater=1.0, clip=0.25, residual=0.0)
    """
    return _averaged([variance_components(votes.full_matrix(system, dimension)) for system in systems])


def _averaged(parts: Sequence[Components]) -> Components:
    found = np.array([one for one in parts if not math.isnan(one.residual)])
    if not len(found):
        return Components(math.nan, math.nan, math.nan)
    return Components(*(float(value) for value in np.maximum(found.mean(0), 0.0)))


def _error(parts: Components, raters: int, clips: int) -> tuple[float, float]:
    """Standard error of a mean difference and its degrees of freedom."""
    rest = parts.residual / (raters * clips)
    by_rater, by_clip = parts.rater / raters + rest, parts.clip / clips + rest
    squared = by_rater + by_clip - rest
    spread = by_rater**2 / (raters - 1) + by_clip**2 / (clips - 1) + rest**2 / ((raters - 1) * (clips - 1))
    return math.sqrt(squared), squared**2 / spread if spread else math.inf


def power(difference: float, parts: Components, raters: int, clips: int, alpha: float = 0.05) -> float:
    """Compute the probability that a difference is found.

    Args:
        difference: true mean difference, in points of the scale.
        parts: variance components of a difference.
        raters: number of raters, at least 2.
        clips: number of clips, at least 2.
        alpha: p at most this counts as found; for m pairs with Holm's correction, alpha / m at worst.

    Returns:
        The power.

    Example:
        >>> parts = assumed_components(0.3, 0.45, 0.8)
        >>> round(power(0.3, parts, 12, 10), 2), round(power(1.2, parts, 12, 10), 2)
        (0.19, 0.99)
    """
    error, df = _error(parts, raters, clips)
    if error == 0:
        return 1.0 if difference else alpha
    bar = float(stats.t.ppf(1 - alpha / 2, df))
    distance = abs(difference) / error
    found = 1 - stats.nct.cdf(bar, df, distance) + stats.nct.cdf(-bar, df, distance)
    return float(found) if math.isfinite(found) else float(stats.norm.sf(bar - distance))


def smallest_difference(parts: Components, raters: int, clips: int, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """Find the smallest true difference that is found with a given power.

    Args:
        parts: variance components of a difference.
        raters: number of raters, at least 2.
        clips: number of clips, at least 2.
        alpha: p at most this counts as found.
        wanted: the power.

    Returns:
        The difference, in points of the scale; it may be larger than the scale.

    Example:
        >>> round(smallest_difference(assumed_components(0.3, 0.45, 0.8), 12, 10), 2)
        0.78
    """
    error, _ = _error(parts, raters, clips)
    if error == 0:
        return 0.0
    high = error
    while power(high, parts, raters, clips, alpha) < wanted:
        high *= 2
    return float(optimize.brentq(lambda d: power(d, parts, raters, clips, alpha) - wanted, 0.0, high, xtol=1e-6))


def needed(
    difference: float,
    parts: Components,
    *,
    raters: int | None = None,
    clips: int | None = None,
    alpha: float = 0.05,
    wanted: float = 0.8,
) -> int | None:
    """Find how many raters, or how many clips, a difference takes.

    Args:
        difference: true mean difference, in points of the scale.
        parts: variance components of a difference.
        raters: number of raters; None to find it.
        clips: number of clips; None to find it. One of the two is given.
        alpha: p at most this counts as found.
        wanted: the power.

    Returns:
        The smallest number that suffices; None if more than 1,000 would not.

    Example:
        No number of raters makes ten clips enough for a difference of 0.3:

        >>> parts = assumed_components(0.3, 0.45, 0.8)
        >>> needed(0.3, parts, clips=10), needed(0.3, parts, clips=60), needed(0.3, parts, raters=24)
        (None, 45, 133)
    """

    def enough(number: int) -> bool:
        pair = (raters or number, clips or number)
        return power(difference, parts, *pair, alpha) >= wanted

    if not enough(MOST):
        return None
    low, high = 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
