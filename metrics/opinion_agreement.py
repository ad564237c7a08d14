"""How far raters agree, how each of them is biased, and which rules would exclude whom.

Agreement is computed on one matrix (S, R): samples (a clip by a system, on one dimension) by raters, NaN where a rater
did not vote. ICC and alpha have no unit; higher is better, 1 is full agreement, 0 is that of chance, and both may be
negative. Bias and inconsistency are in points of the scale, and 0 is best. None of this says whether a system is good.

- ICC(2,k), Shrout and Fleiss (1979), "Intraclass correlations: uses in assessing rater reliability", case 2: two-way
  random effects, absolute agreement, the mean of all k raters. Needs complete rows.
- Krippendorff's alpha with the ordinal difference, Krippendorff (2011), "Computing Krippendorff's alpha-reliability".
  Missing votes are allowed.
- Rater bias: how far above the mean of a sample (over all its raters) this rater votes on average, as in ITU-T P.913
  clause 12.4; `inconsistency` is the standard deviation of what remains, `agreement` the correlation of the rater's
  votes with the mean of the other raters' votes on the same samples.

Screening rules are declared before looking at the results, and results are reported with and without them. Where they
speak of votes, these are the votes of the test, without gold, trap, hidden reference and anchor:

`incomplete`   votes are missing.
`headphones`   the headphone check was not passed.
`orientation`  the left/right check was not passed.
`completion`   a recruiting service does not list the rater as one who has completed.
`trap`         a trap question was answered otherwise than asked, be it once.
`gold`         a sample with a known rating was missed by more than 1, be it once.
`straightline` the variance of all votes is below 0.1 (default of the P.808 toolkit).
`anchor`       the hidden reference is rated below the low anchor on average.
`reference`    the hidden reference is rated below 90 on more than 15 % of the clips (ITU-R BS.1534, scale 0 to 100).
`agreement`    the correlation with the other raters is below 0.25 or undefined (a choice of this project).

Functions: `intraclass`, `krippendorff_alpha`, `rater_reports`, `screen`, `sample_matrix`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from visaudio_bench.metrics.opinion import ROLES, Floats, Votes

KNOWN_REFERENCE = 90
MISSED_REFERENCES = 0.15
CHECKS = ("headphones", "orientation", "completion")
RULES = ("incomplete", *CHECKS, "trap", "gold", "straightline", "anchor", "reference", "agreement")
STRAIGHTLINE_VARIANCE = 0.1
LOWEST_AGREEMENT = 0.25


def sample_matrix(votes: Votes, dimension: str | None = None) -> Floats:
    """Arrange votes as samples by raters.

    Args:
        votes: of a study.
        dimension: name of the dimension; None takes all, so that a sample is a clip by a system by a dimension.

    Returns:
        The matrix (S, R) of the samples that have a vote, NaN where a rater has none.

    Example:
        >>> votes = Votes.from_cells({"ours": [[4, 5], [2, np.nan]]}, "realism")
        >>> sample_matrix(votes).tolist()
        [[4.0, 2.0], [5.0, nan]]
    """
    chosen = votes if dimension is None else votes.where(votes.dimension == votes.dimensions.index(dimension))
    code = (chosen.clip * len(votes.systems) + chosen.system) * len(votes.dimensions) + chosen.dimension
    _, row = np.unique(code, return_inverse=True)
    out = np.full((int(row.max(initial=-1)) + 1, len(votes.raters)), np.nan)
    out[row, chosen.rater] = chosen.rating
    return out


class Intraclass(NamedTuple):
    """Intraclass correlations.

    Attributes:
        single: ICC(2,1), the reliability of one rater.
        mean: ICC(2,k), the reliability of the mean of all raters.
        n_samples: number of samples that every rater voted on, which both are computed from.
    """

    single: float
    mean: float
    n_samples: int


def intraclass(samples: Floats) -> Intraclass:
    """Compute ICC(2,1) and ICC(2,k) (Shrout and Fleiss 1979, case 2) over the samples that every rater voted on.

    Args:
        samples: votes (S, R) of samples by raters, NaN where there is none.

    Returns:
        Both correlations; NaN with fewer than two complete samples or two raters, or without any variance.

    Example:
        >>> intraclass(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0], [2.0, np.nan]]))
        Intraclass(single=1.0, mean=1.0, n_samples=3)
    """
    raters_with_votes = ~np.isnan(samples).all(0)
    complete = samples[:, raters_with_votes]
    complete = complete[~np.isnan(complete).any(1)]
    n, k = complete.shape
    if n < 2 or k < 2:
        return Intraclass(math.nan, math.nan, n)
    grand = complete.mean()
    between = k * ((complete.mean(1) - grand) ** 2).sum() / (n - 1)
    judges = n * ((complete.mean(0) - grand) ** 2).sum() / (k - 1)
    total = ((complete - grand) ** 2).sum()
    error = (total - between * (n - 1) - judges * (k - 1)) / ((n - 1) * (k - 1))
    below_single = between + (k - 1) * error + k * (judges - error) / n
    below_mean = between + (judges - error) / n
    return Intraclass(_ratio(between - error, below_single), _ratio(between - error, below_mean), n)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else math.nan


def krippendorff_alpha(samples: Floats) -> float:
    """Compute Krippendorff's alpha with the ordinal difference.

    It is 1 minus the observed over the expected disagreement, from the coincidence matrix of values. The ordinal
    difference of two values is the number of votes between them, counting their own by half, squared.

    Args:
        samples: votes (S, R) of samples by raters, NaN where there is none.

    Returns:
        Alpha, at most 1; NaN where no two votes can be paired or all of those are equal.

    Example:
        >>> krippendorff_alpha(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, np.nan]]))
        1.0
    """
    counts = _value_counts(samples)
    votes = counts.sum(1)
    pairable = counts[votes >= 2]
    sizes = votes[votes >= 2]
    if not len(pairable):
        return math.nan
    weighted = pairable / (sizes - 1)[:, None]
    coincidences = weighted.T @ pairable - np.diag(weighted.sum(0))
    margins = coincidences.sum(0)
    n = margins.sum()
    middle = np.cumsum(margins) - margins / 2
    difference = (middle[:, None] - middle[None, :]) ** 2
    expected = margins @ difference @ margins / (n - 1)
    return float(1 - (coincidences * difference).sum() / expected) if expected > 0 else math.nan


def _value_counts(samples: Floats) -> Floats:
    """Count how often each sample of (S, R) got each of the distinct values, in rising order, (S, V)."""
    voted = ~np.isnan(samples)
    values, code = np.unique(samples[voted], return_inverse=True)
    row = np.nonzero(voted)[0]
    counts = np.bincount(row * len(values) + code, minlength=len(samples) * len(values))
    return counts.reshape(len(samples), len(values)).astype(np.float64)


class RaterReport(NamedTuple):
    """How one rater votes; numbers are NaN where there are too few votes for them.

    Attributes:
        rater: name of the rater.
        n_votes: number of votes.
        mean: their mean.
        sd: their standard deviation (n - 1 in the denominator).
        bias: how far the votes are above the mean of all raters of the same sample, on average.
        inconsistency: standard deviation of those distances.
        agreement: correlation of the votes with the mean of the other raters' votes on the same samples.
    """

    rater: str
    n_votes: int
    mean: float
    sd: float
    bias: float
    inconsistency: float
    agreement: float


def rater_reports(votes: Votes) -> list[RaterReport]:
    """Describe every rater over all systems and dimensions.

    Args:
        votes: of a study.

    Returns:
        One report for each rater in the order of `votes.raters`, also for those without votes.

    Example:
        >>> votes = Votes.from_cells({"ours": [[4, 5, 3], [2, 3, 1]]}, "realism")
        >>> [(report.rater, report.bias, report.inconsistency) for report in rater_reports(votes)]
        [('r0', 1.0, 0.0), ('r1', -1.0, 0.0)]
    """
    samples = sample_matrix(votes)
    voted = ~np.isnan(samples)
    filled = np.where(voted, samples, 0.0)
    counts, sums = voted.sum(1, keepdims=True), filled.sum(1, keepdims=True)
    deviations = samples - sums / np.maximum(counts, 1)
    others = np.where(counts > 1, (sums - filled) / np.maximum(counts - 1, 1), np.nan)
    return [
        _rater_report(
            name, samples[voted[:, index], index], deviations[voted[:, index], index], others[:, index][voted[:, index]]
        )
        for index, name in enumerate(votes.raters)
    ]


def _rater_report(name: str, own: Floats, deviations: Floats, others: Floats) -> RaterReport:
    if not len(own):
        return RaterReport(name, 0, *[math.nan] * 5)
    several = len(own) > 1
    return RaterReport(
        rater=name,
        n_votes=len(own),
        mean=float(own.mean()),
        sd=float(np.std(own, ddof=1)) if several else math.nan,
        bias=float(deviations.mean()),
        inconsistency=float(np.std(deviations, ddof=1)) if several else math.nan,
        agreement=_correlation(own, others),
    )


def _correlation(a: Floats, b: Floats) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return math.nan
    return float(np.corrcoef(a[both], b[both])[0, 1])


def screen(
    votes: Votes,
    rules: Sequence[str],
    checks: Mapping[str, Mapping[str, str]] | None = None,
    per_rater: int = 0,
) -> dict[str, list[str]]:
    """Find the raters that each rule would exclude.

    Args:
        votes: of a study.
        rules: names out of `RULES`.
        checks: what the questionnaire's checks said, `{"headphones": {rater: "pass" | "fail" | "none"}, ...}`, likewise
            for "orientation" and "completion".
        per_rater: how many of the clips each rater was asked about, 0 for all.

    Returns:
        The names of the raters by rule, in the order of `votes.raters`.

    Raises:
        ValueError: an unknown rule, or a rule whose votes or checks are not in the data.

    Example:
        >>> votes = Votes.from_cells({"ours": [[4, 5, 3], [3, 3, 3]]}, "realism")
        >>> screen(votes, ["straightline", "incomplete"])
        {'straightline': ['r1'], 'incomplete': []}
    """
    excluded: dict[str, list[str]] = {}
    for rule in rules:
        if rule not in RULES:
            raise ValueError(f'unknown screening rule "{rule}"; known: {", ".join(RULES)}')
        if rule in CHECKS:
            answers = (checks or {}).get(rule, {})
            if not any(answers.get(rater, "none") != "none" for rater in votes.raters):
                raise ValueError(f'rule "{rule}" needs the results of that check, and the data has none')
            excluded[rule] = [rater for rater in votes.raters if answers.get(rater, "none") != "pass"]
        else:
            finders: dict[str, Callable[[Votes, str], list[bool]]] = {
                "incomplete": partial(_incomplete, per_rater=per_rater),
                "trap": _trap,
                "gold": _gold,
                "anchor": _anchor,
                "reference": _reference,
            }
            caught = finders.get(rule, _erratic)(votes, rule)
            excluded[rule] = [rater for rater, bad in zip(votes.raters, caught, strict=True) if bad]
    return excluded


def _incomplete(votes: Votes, rule: str, per_rater: int) -> list[bool]:
    """Whether a vote is missing: of any sample, or of those of the clips that a rater has votes on, or such a clip."""
    del rule
    tested = votes.with_role("test")
    voted = ~np.isnan(sample_matrix(tested))
    if not per_rater:
        return [not rated.all() for rated in voted.T]
    clips = np.unique(tested.clip)
    by_clip = [~np.isnan(sample_matrix(tested.where(tested.clip == clip))) for clip in clips]
    begun = np.array([rated.any(0) for rated in by_clip])
    finished = np.array([rated.all(0) for rated in by_clip])
    enough = min(per_rater, len(clips))
    return [not (np.array_equal(a, b) and a.sum() >= enough) for a, b in zip(begun.T, finished.T, strict=True)]


def _needs(votes: Votes, rule: str, *roles: str) -> None:
    for role in roles:
        if not np.any(votes.role == ROLES.index(role)):
            raise ValueError(f'rule "{rule}" needs votes with the role "{role}", and the data has none')


def _trap(votes: Votes, rule: str) -> list[bool]:
    _needs(votes, rule, "trap")
    return _off_by_more_than(votes.with_role("trap"), 0)


def _gold(votes: Votes, rule: str) -> list[bool]:
    _needs(votes, rule, "gold")
    return _off_by_more_than(votes.with_role("gold"), 1)


def _off_by_more_than(votes: Votes, tolerance: float) -> list[bool]:
    wrong = votes.rater[np.abs(votes.rating - votes.expected) > tolerance]
    return [bool(count) for count in np.bincount(wrong, minlength=len(votes.raters))]


def _anchor(votes: Votes, rule: str) -> list[bool]:
    _needs(votes, rule, "hidden_reference", "low_anchor")
    reference = _mean_by_rater(votes.with_role("hidden_reference"))
    anchor = _mean_by_rater(votes.with_role("low_anchor"))
    return [bool(value < low) for value, low in zip(reference, anchor, strict=True)]


def _reference(votes: Votes, rule: str) -> list[bool]:
    _needs(votes, rule, "hidden_reference")
    hidden = votes.with_role("hidden_reference")
    size = len(votes.raters)
    asked = np.bincount(hidden.rater, minlength=size)
    missed = np.bincount(hidden.rater[hidden.rating < KNOWN_REFERENCE], minlength=size)
    return [bool(share) for share in missed > MISSED_REFERENCES * asked]


def _mean_by_rater(votes: Votes) -> Floats:
    counts = np.bincount(votes.rater, minlength=len(votes.raters))
    sums = np.bincount(votes.rater, weights=votes.rating, minlength=len(votes.raters))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _erratic(votes: Votes, rule: str) -> list[bool]:
    reports = rater_reports(votes.with_role("test"))
    if rule == "straightline":
        return [report.sd**2 < STRAIGHTLINE_VARIANCE for report in reports]
    return [not report.agreement >= LOWEST_AGREEMENT for report in reports]
