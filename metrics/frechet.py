"""Fréchet distance between Gaussians fitted to two sets of features (FD-VGG, FD-PANN, FD-PaSST and every other FD).

FD = |μ₁ - μ₂|² + tr C₁ + tr C₂ - 2 tr (C₁ C₂)^½        (Dowson and Landau 1982; Heusel et al. 2017, eq. 6)

with the means and unbiased covariances (division by n - 1) of the features (n, d) of prediction and reference. It is in
squared units of the features; 0 is perfect, lower is better, and there is no upper bound. Values of two networks, or of
one network fed by two front ends, cannot be compared.

The last trace needs no matrix square root. For any factors with C₁ = F₁ᵀF₁ and C₂ = F₂ᵀF₂ it is the sum of the singular
values of F₁F₂ᵀ, because C₁C₂ and (F₁F₂ᵀ)(F₁F₂ᵀ)ᵀ have the same eigenvalues. With fewer rows than dimensions the
centred features are such a factor already, so that 500 clips of 2048 dimensions cost one 500 × 500 problem; otherwise
the triangle of a QR decomposition is. Nothing is squared, so that singular covariances (n < d, features that are
always zero) lose no digits, no ε has to be added and nothing can turn complex. Where both covariances are well
conditioned, Cholesky factors and the eigenvalues of (F₁F₂ᵀ)(F₁F₂ᵀ)ᵀ take a third less time; that result is used only if
its error bound is below 1e-8 of the distance.

An FD is biased upwards by about 1/N: the same system evaluated on fewer clips looks worse, and a bootstrap makes that
worse still. Papers print the biased value. `frechet_replicates` leaves out groups of clips: that gives a value without
most of the bias, an interval around it, and a test between two systems. Below N = 2 d no correction works, and none is
given. So an FD never comes without N and d, and `require_same_clips` refuses to compare what was measured on different
clips.

Functions: `frechet_distance`, `frechet_replicates`, `too_few`, `require_same_clips`; `GaussianStatistics` for sets that
arrive in parts or whose features are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.metrics.uncertainty import JACKKNIFE_GROUPS, Replicates

Floats = npt.NDArray[np.float64]
Features: TypeAlias = npt.NDArray[np.floating]
CLIPS_PER_DIMENSION = 2
TOLERANCE = 1e-8  # relative, of the fast route
ROUNDING = 8.0  # of an eigenvalue, in units of √d machine precisions of the largest: above what is observed


class FrechetDistance(NamedTuple):
    """A Fréchet distance with the numbers that it cannot be read without.

    Attributes:
        value: the distance, in squared units of the features; lower is better.
        n_prediction: number of rows of the prediction.
        n_reference: number of rows of the reference.
        dimension: number of features in a row.
    """

    value: float
    n_prediction: int
    n_reference: int
    dimension: int


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Statistics of a set of features in float64; sets can be merged and parts taken out.

    Attributes:
        count: number of rows n.
        mean: (d,) mean row.
        scatter: (d, d) sum of the outer products of the centred rows, n - 1 times the covariance.

    Example:
        >>> rows = np.arange(12.0).reshape(6, 2)
        >>> whole = GaussianStatistics.from_features(rows[:4]).merge(GaussianStatistics.from_features(rows[4:]))
        >>> whole.count, whole.mean.tolist()
        (6, [5.0, 6.0])
    """

    count: int
    mean: Floats
    scatter: Floats

    @classmethod
    def from_features(cls, features: Features) -> GaussianStatistics:
        """Compute the statistics of a set.

        Args:
            features: (n, d), n >= 1.

        Returns:
            Count, mean and scatter.

        Raises:
            BenchError: the features are not a matrix, are empty, or hold NaN or infinity.
        """
        rows = _checked(features, minimum=1)
        mean = rows.mean(0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def merge(self, other: GaussianStatistics) -> GaussianStatistics:
        """Merge two sets (Chan, Golub and LeVeque 1983).

        Args:
            other: statistics of the other set, of the same dimension.

        Returns:
            The statistics of both sets together.
        """
        count = self.count + other.count
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.count * other.count / count)
        return GaussianStatistics(count, self.mean + step * (other.count / count), scatter)

    def without(self, part: GaussianStatistics) -> GaussianStatistics:
        """Take a part out.

        Args:
            part: statistics of rows that are among those behind this.

        Returns:
            The statistics of what remains.

        Raises:
            BenchError: nothing would remain.
        """
        count = self.count - part.count
        if count < 1:
            raise BenchError(f"cannot take {part.count} rows out of {self.count}: nothing would remain")
        mean = self.mean + (self.mean - part.mean) * (part.count / count)
        step = part.mean - mean
        scatter = self.scatter - part.scatter - np.outer(step, step) * (count * part.count / self.count)
        return GaussianStatistics(count, mean, scatter)

    @property
    def dimension(self) -> int:
        """Number d of features in a row."""
        return len(self.mean)

    @property
    def covariance(self) -> Floats:
        """Unbiased covariance (d, d).

        Raises:
            BenchError: fewer than 2 rows.
        """
        _enough(self.count, 2)
        covariance: Floats = self.scatter / (self.count - 1)
        return covariance


def frechet_distance(
    prediction: Features | GaussianStatistics, reference: Features | GaussianStatistics
) -> FrechetDistance:
    """Compute the Fréchet distance between two sets, each given as features or as statistics.

    Features are the better input: statistics lose half of the digits, and time, where their covariance is singular.

    Args:
        prediction: features (n, d), n >= 2, or their statistics.
        reference: features (m, d) of the same network, m >= 2, or their statistics.

    Returns:
        The distance with the numbers of rows and dimensions.

    Raises:
        BenchError: fewer than 2 rows, NaN or infinite features, or different dimensions.

    Example:
        Equal sets have the distance 0, a shift by 3 has 3² = 9:

        >>> rows = np.random.default_rng(0).standard_normal((50, 2))
        >>> round(frechet_distance(rows, rows).value, 6), round(frechet_distance(rows + [3, 0], rows).value, 6)
        (0.0, 9.0)
    """
    p, g = _side(prediction), _side(reference)
    if len(p.mean) != len(g.mean):
        raise BenchError(
            f"got {len(p.mean)} features for the prediction and {len(g.mean)} for the reference, expected the same "
            "number: they probably come from different backbones"
        )
    return FrechetDistance(_distance(p, g), p.rows, g.rows, len(p.mean))


def frechet_between(mean_1: Floats, covariance_1: Floats, mean_2: Floats, covariance_2: Floats) -> float:
    """Compute the Fréchet distance between two Gaussians.

    Args:
        mean_1: (d,) mean of the first.
        covariance_1: (d, d) symmetric covariance of the first.
        mean_2: (d,) mean of the second.
        covariance_2: (d, d) symmetric covariance of the second.

    Returns:
        The distance, in squared units of the means.

    Example:
        In one dimension it is (m₁ - m₂)² + (s₁ - s₂)², here 3² + (2 - 1)²:

        >>> round(frechet_between(np.zeros(1), np.array([[4.0]]), np.array([3.0]), np.array([[1.0]])), 6)
        10.0
    """
    return _distance(_Side(0, mean_1, known_covariance=covariance_1), _Side(0, mean_2, known_covariance=covariance_2))


def too_few(clips: int, dimension: int) -> str:
    """Word why a Fréchet distance of so few clips cannot be corrected.

    Args:
        clips: number of clips on the smaller side.
        dimension: number of features in a row.

    Returns:
        The reason; "" where there are enough clips.

    Example:
        >>> too_few(9, 8), too_few(40, 8)
        ('9 clips are too few for 8 dimensions: 20 are needed', '')
    """
    needed = max(CLIPS_PER_DIMENSION * dimension, JACKKNIFE_GROUPS)
    return f"{clips} clips are too few for {dimension} dimensions: {needed} are needed" if clips < needed else ""


def frechet_replicates(
    prediction: Features,
    reference: Features,
    *,
    clips: npt.NDArray[np.integer] | None = None,
    reference_clips: npt.NDArray[np.integer] | None = None,
) -> Replicates:
    """Compute a Fréchet distance with and without each of 20 groups of clips, which leave both sets.

    Args:
        prediction: (n, d) features.
        reference: (m, d) features.
        clips: (n,) clip number of every row, where a clip has several rows (VGGish frames); default one row a clip.
        reference_clips: (m,) clip number of every row of the reference; default as `clips`. The same number is the
            same clip, and both leave together.

    Returns:
        The replicates: `estimate()` is the bias-corrected distance with its interval, and `against` compares it with
        that of another system on the same clips.

    Raises:
        BenchError: a clip number is missing; too few clips, as `too_few` says; or as `frechet_distance`.

    Example:
        A shift by 3 is 9 whichever clips are left out, and 8 more than a shift by 1:

        >>> rows = np.random.default_rng(0).standard_normal((40, 2))
        >>> far, near = frechet_replicates(rows + [3, 0], rows), frechet_replicates(rows + [1, 0], rows)
        >>> round(far.corrected, 4), round(far.against(near).value, 4)
        (9.0, 8.0)
    """
    p, g = _checked(prediction, minimum=2), _checked(reference, minimum=2)
    ids_p = np.arange(len(p)) if clips is None else np.asarray(clips)
    default = np.arange(len(g)) if clips is None else ids_p
    ids_g = default if reference_clips is None else np.asarray(reference_clips)
    if (len(ids_p), len(ids_g)) != (len(p), len(g)):
        raise BenchError(
            f"got clip numbers for {len(ids_p)} and {len(ids_g)} rows, expected one for each of {len(p)} and {len(g)} "
            "rows of prediction and reference: pass reference_clips where the two differ"
        )
    refusal = too_few(min(len(np.unique(ids_p)), len(np.unique(ids_g))), p.shape[1])
    if refusal:
        raise BenchError(refusal)
    every, index = np.unique(np.concatenate([ids_p, ids_g]), return_inverse=True)
    group = index % JACKKNIFE_GROUPS  # neighbours in different groups: suites are often ordered by category
    all_p, all_g = GaussianStatistics.from_features(p), GaussianStatistics.from_features(g)
    left_out = np.empty(JACKKNIFE_GROUPS)
    for number in range(JACKKNIFE_GROUPS):
        in_p, in_g = p[group[: len(p)] == number], g[group[len(p) :] == number]
        rest_p = all_p.without(GaussianStatistics.from_features(in_p)) if len(in_p) else all_p
        rest_g = all_g.without(GaussianStatistics.from_features(in_g)) if len(in_g) else all_g
        left_out[number] = frechet_distance(rest_p, rest_g).value
    sizes = np.bincount(np.arange(len(every)) % JACKKNIFE_GROUPS, minlength=JACKKNIFE_GROUPS)
    return Replicates(frechet_distance(p, g).value, left_out, sizes)


def require_same_clips(clips: Mapping[str, Sequence[str]]) -> None:
    """Refuse to rank Fréchet distances of systems that were not measured on the same clips.

    Args:
        clips: the clip ids behind each system's value.

    Raises:
        UsageError: two systems differ; names both, and a clip that only one of them has.

    Example:
        >>> require_same_clips({"ours": ["a", "b"], "theirs": ["b", "a"]})
        >>> require_same_clips({"ours": ["a", "b"], "theirs": ["b"]})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        visaudio_bench.errors.UsageError: Fréchet distances of "ours" (2 clips) and "theirs" (1 clips) cannot be ...
    """
    (first, expected), *others = clips.items()
    for system, got in others:
        different = sorted(set(expected) ^ set(got))
        if different:
            raise UsageError(
                f'Fréchet distances of "{first}" ({len(expected)} clips) and "{system}" ({len(got)} clips) cannot be '
                f'ranked: {len(different)} clips, such as "{different[0]}", are in one of them only, and the distance '
                "depends on their number. Evaluate both on the same clips."
            )


class _Side(NamedTuple):
    """One Gaussian: rows behind it, mean (d,), and centred rows (n, d) scaled to F with C = FᵀF, or the covariance."""

    rows: int
    mean: Floats
    scaled: Floats | None = None
    known_covariance: Floats | None = None

    def covariance(self) -> Floats:
        if self.known_covariance is not None:
            return self.known_covariance
        assert self.scaled is not None  # one of the two is given
        return self.scaled.T @ self.scaled

    def factor(self, square: bool) -> Floats:
        """Return F (r, d), without loss of digits where the rows are known; `square` makes r = d of more rows."""
        if self.scaled is None:
            return _root(self.covariance())
        return np.asarray(np.linalg.qr(self.scaled, mode="r")) if square else self.scaled

    def variance(self) -> float:
        """Return the trace of the covariance."""
        return float(np.trace(self.covariance()) if self.scaled is None else np.vdot(self.scaled, self.scaled))

    def wide(self) -> bool:
        """Say whether rows are no more than dimensions: the covariance is singular, the rows are the smaller matrix."""
        return self.scaled is not None and len(self.scaled) <= self.scaled.shape[1]


def _side(data: Features | GaussianStatistics) -> _Side:
    if isinstance(data, GaussianStatistics):
        return _Side(data.count, data.mean, known_covariance=data.covariance)
    rows = _checked(data, minimum=2)
    mean = rows.mean(0)
    return _Side(len(rows), mean, (rows - mean) / np.sqrt(len(rows) - 1))


def _distance(p: _Side, g: _Side) -> float:
    step = p.mean - g.mean
    separate = float(step @ step) + p.variance() + g.variance()
    square = not (p.wide() or g.wide())  # else the product is small as it is
    if square:
        distance = _from_eigenvalues(separate, p.covariance(), g.covariance())
        if distance is not None:
            return distance
    singular_values = np.linalg.svd(p.factor(square) @ g.factor(square).T, compute_uv=False)
    return max(separate - 2 * float(singular_values.sum()), 0.0)


def _from_eigenvalues(separate: float, covariance_p: Floats, covariance_g: Floats) -> float | None:
    """Take the fast route for well-conditioned covariances; None if rounding may have cost more than 1e-8."""
    try:
        product = np.linalg.cholesky(covariance_p).T @ np.linalg.cholesky(covariance_g)
    except np.linalg.LinAlgError:  # singular
        return None
    eigenvalues = np.maximum(np.linalg.eigvalsh(product @ product.T), 0)
    rounding = ROUNDING * np.finfo(np.float64).eps * np.sqrt(len(eigenvalues)) * eigenvalues[-1]
    roots = np.sqrt(eigenvalues)
    distance = separate - 2 * float(roots.sum())
    error = 2 * float(np.sum(np.sqrt(eigenvalues + rounding) - roots))
    return distance if error < TOLERANCE * distance else None


def _root(covariance: Floats) -> Floats:
    """Factor a covariance (d, d); eigenvalues below rounding error count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.where(values > len(values) * np.finfo(np.float64).eps * values[-1], values, 0)
    factor: Floats = np.sqrt(values)[:, None] * vectors.T
    return factor


def _checked(features: Features, minimum: int) -> Floats:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2:
        raise BenchError(f"got features of shape {rows.shape}, expected (rows, dimensions)")
    _enough(len(rows), minimum)
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        raise BenchError(f"features hold NaN or infinity (first in row {bad}): the sound behind it is probably broken")
    return rows


def _enough(count: int, minimum: int) -> None:
    if count < minimum:
        raise BenchError(f"got {count} rows of features, expected at least {minimum}: a covariance needs two clips")
