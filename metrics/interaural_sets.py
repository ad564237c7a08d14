"""Distances between two sets of clips in the space of interaural cues, for clips that need not be paired.

`wasserstein` is the exact Wasserstein-1 distance between the pooled segments of the two sets, every segment with the
same weight: W1-ILD (dB), W1-ITD (µs), W1-IACC. `cue_frechet` (FCD) is the Fréchet distance between Gaussians fitted to
one 9-dimensional vector a clip (mean and deviation of ILD, ITD and IACC; mean band ILD in three ranges), each
dimension in units of its deviation in the reference set, with 1e-6 added to the diagonal of both covariances.

Lower is better, 0 means equal sets, and there is no upper bound that matters. FCD has no unit. W1 is the area between
two distribution functions; FCD is computed as in `metrics.frechet`. Both are this project's, on the cues of
`metrics.interaural`.

Both see a collapse (everything mono, everything wide) without needing pairs; by construction they cannot see sound that
moves with the wrong clip, nor swapped ears where the set has as much on the left as on the right. Neither is zero for
two finite samples of one population: print `half_split_floor` beside them.

Functions: `wasserstein`, `wasserstein_1`, `cue_frechet`, `half_split_floor`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.frechet import frechet_between
from visaudio_bench.metrics.quantity import Quantities

Floats = npt.NDArray[np.float64]
REFERENCE = "reference:"
CUE_DIMENSIONS = 9
RIDGE = 1e-6
FLOOR_SPLITS = 20


def wasserstein(quantities: Quantities, key: str) -> Floats:
    """Compute the W1 distance between two sets of clips.

    Args:
        quantities: `key` and `reference:key`, (K, n) and (K', n'), NaN where a clip has fewer segments.
        key: name of the vector quantity.

    Returns:
        The distance between the pooled finite values, in their unit, as a scalar array (); NaN if one has none.

    Example:
        >>> ild = np.array([[0.0, 4.0], [2.0, np.nan]])
        >>> wasserstein({"ild[]": ild + 3, "reference:ild[]": ild}, "ild[]").item()
        3.0
    """
    return np.asarray(wasserstein_1(_pool(quantities[key]), _pool(quantities[REFERENCE + key])))


def wasserstein_1(a: Floats, b: Floats) -> float:
    """Compute the Wasserstein-1 distance of two samples, the area between their distribution functions.

    Args:
        a: (n,) values.
        b: (m,) values.

    Returns:
        The distance in the unit of the values; NaN if one sample is empty.

    Example:
        >>> wasserstein_1(np.array([0.0, 4.0]), np.array([1.0, 1.0]))
        2.0
    """
    if not (len(a) and len(b)):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    every = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(a, every[:-1], side="right") / len(a)
    below_b = np.searchsorted(b, every[:-1], side="right") / len(b)
    return float(np.abs(below_a - below_b) @ np.diff(every))


def cue_frechet(quantities: Quantities, key: str) -> Floats:
    """Compute the FCD between two sets of clips.

    Args:
        quantities: the clip vectors `key` and `reference:key`, (9, n) and (9, n'); clips with a NaN are left out.
        key: name of the vector quantity.

    Returns:
        The distance, without a unit, as a scalar array (); NaN with fewer than 2 clips on a side, or if a dimension
        never varies in the reference set.

    Example:
        All vectors shifted by two deviations of the reference in one dimension, 2² = 4:

        >>> vectors = np.random.default_rng(0).standard_normal((9, 40))
        >>> shift = 2 * vectors.std(1, ddof=1, keepdims=True) * np.eye(9)[:, :1]
        >>> round(cue_frechet({"cue[]": vectors + shift, "reference:cue[]": vectors}, "cue[]").item(), 4)
        4.0
    """
    prediction, reference = (_complete(quantities[name]) for name in (key, REFERENCE + key))
    if min(len(prediction), len(reference)) < 2:
        return np.asarray(np.nan)
    scale = reference.std(0, ddof=1)
    if not np.all(scale > 0):
        return np.asarray(np.nan)
    ridge = RIDGE * np.eye(len(scale))
    (mean_p, cov_p), (mean_g, cov_g) = (
        (rows.mean(0), np.cov(rows, rowvar=False) + ridge) for rows in (prediction / scale, reference / scale)
    )
    return np.asarray(frechet_between(mean_p, cov_p, mean_g, cov_g))


def half_split_floor(
    aggregate: Callable[[Quantities], Floats], quantities: Quantities, splits: int = FLOOR_SPLITS, seed: int = 0
) -> Floats:
    """Ask a set metric about two random halves of the reference set: a distance that means nothing.

    Args:
        aggregate: a set metric that reads `name` and `reference:name`.
        quantities: the `reference:` quantities of n clips (others are ignored).
        splits: number of random splits.
        seed: of the splits.

    Returns:
        (splits,) values; NaN everywhere with fewer than 4 clips. Halves are smaller than the set, so that this tends
        to be above the floor of the whole set.

    Example:
        >>> from functools import partial
        >>> clips = {"reference:ild[]": np.full((3, 8), 6.0)}
        >>> half_split_floor(partial(wasserstein, key="ild[]"), clips, splits=2).tolist()
        [0.0, 0.0]
    """
    names = {name: values for name, values in quantities.items() if name.startswith(REFERENCE)}
    clips = next(iter(names.values())).shape[-1]
    if clips < 4:
        return np.full(splits, np.nan)
    generator = np.random.default_rng(seed)
    floor = np.empty(splits)
    for split in range(splits):
        first, second = np.array_split(generator.permutation(clips), 2)
        halves = {name: values[..., second] for name, values in names.items()}
        halves |= {name.removeprefix(REFERENCE): values[..., first] for name, values in names.items()}
        floor[split] = aggregate(halves)
    return floor


def _pool(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _complete(vectors: Floats) -> Floats:
    """Turn (9, n) into the rows (clips, 9) without NaN."""
    return vectors.T[np.isfinite(vectors).all(0)]
