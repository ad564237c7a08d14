"""Distances between two sets of clips in the space of interaural cues, for clips that need not be paired.

`wasserstein` is the exact Wasserstein-1 distance between the pooled segments of the two sets, every segment with the
same weight: W1-ILD (dB), W1-ITD (µs), W1-IACC. `cue_frechet` (FCD) is the Fréchet distance between Gaussians fitted to
one 9-dimensional vector a clip (mean and deviation of ILD, ITD and IACC; mean band ILD in three ranges), each
dimension in units of its deviation in the reference set, with 1e-6 added to the diagonal of both covariances.

Both see a collapse (everything mono, everything wide) without needing pairs; by construction they cannot see swapped
ears or sound that moves with the wrong clip. Neither is zero for two finite samples of one population: print
`half_split_floor` beside them.
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
    """W1 between the pooled finite values of `key` and of `reference:key`, (K, n) each; NaN if one has none."""
    return np.asarray(wasserstein_1(_pool(quantities[key]), _pool(quantities[REFERENCE + key])))


def wasserstein_1(a: Floats, b: Floats) -> float:
    """Wasserstein-1 distance of two samples (n,) and (m,): the area between their distribution functions."""
    if not (len(a) and len(b)):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    every = np.sort(np.concatenate([a, b]))
    below_a = np.searchsorted(a, every[:-1], side="right") / len(a)
    below_b = np.searchsorted(b, every[:-1], side="right") / len(b)
    return float(np.abs(below_a - below_b) @ np.diff(every))


def cue_frechet(quantities: Quantities, key: str) -> Floats:
    """FCD between the clip vectors `key` and `reference:key`, (9, n) each; clips with a NaN are left out.

    NaN with fewer than 2 clips on a side, or if a dimension never varies in the reference set.
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
    """What a set metric says about two random halves of the reference set: the distance that means nothing.

    Args:
        aggregate: a set metric that reads `name` and `reference:name`.
        quantities: the `reference:` quantities of n clips (others are ignored).
        splits: number of random splits.
        seed: of the splits.

    Returns:
        (splits,) values; NaN everywhere with fewer than 4 clips. Halves are smaller than the set, so that this tends
        to be above the floor of the whole set.
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
    """(9, n) to the rows (clips, 9) without NaN."""
    return vectors.T[np.isfinite(vectors).all(0)]
