"""KAD: the kernel audio distance, an unbiased companion of the Fréchet distance (Chung et al. 2025, arXiv 2502.15602).

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),    k(x, y) = exp(-|x - y|² / (2 s²))

the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3), where the means of the first two terms leave the
diagonal out. No Gaussian is fitted and the expectation does not depend on the number of clips, so that small sets can
be compared; 0 is expected of equal distributions, lower is better, and the value may be slightly negative. The
bandwidth s is the median distance between rows of the reference, and values are shown times 100, both as in the paper.
So the value has no unit and is at most 200. The public tool `kadtk` takes the
bandwidth from its second argument, which its scoring command sets to the evaluated set: pass that set as `reference`
to have its numbers.

Functions: `kernel_distance`, `median_distance`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist, pdist

Floats = npt.NDArray[np.float64]
SCALE = 100.0
_BLOCK = 1024


class KernelDistance(NamedTuple):
    """A kernel distance with what it was computed from.

    Attributes:
        value: KAD, MMD² times 100; lower is better.
        bandwidth: s of the kernel, in units of the features.
        n: number of rows of the prediction.
        n_reference: number of rows of the reference.
        d: number of dimensions of a row.
    """

    value: float
    bandwidth: float
    n: int
    n_reference: int
    d: int


def kernel_distance(
    prediction: npt.ArrayLike, reference: npt.ArrayLike, bandwidth: float | None = None
) -> KernelDistance:
    """Compute the KAD between two sets of features.

    Args:
        prediction: (n, d) features, n >= 2.
        reference: (m, d) features of the same network, m >= 2.
        bandwidth: s of the kernel; None takes the median distance between rows of `reference`.

    Returns:
        The distance with its bandwidth and the numbers of rows and dimensions.

    Raises:
        ValueError: fewer than two rows on a side, different dimensions, or a bandwidth of zero, which is what the
            median is where at least half of the distances are zero.

    Example:
        Two points at a distance of 3 have MMD² = 2 - 2 exp(-9 / 2):

        >>> round(kernel_distance([[0.0], [0.0]], [[3.0], [3.0]], bandwidth=1.0).value, 1)
        197.8
    """
    x, y = (np.asarray(rows, dtype=np.float64) for rows in (prediction, reference))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"expected two sets of at least two rows of one dimension, got {x.shape} and {y.shape}")
    s = median_distance(y) if bandwidth is None else bandwidth
    if not s > 0:
        raise ValueError("the bandwidth of the kernel is zero: at least half of the reference's rows are equal")
    n, m = len(x), len(y)
    within = (_kernel_sum(x, x, s) - n) / (n * (n - 1)) + (_kernel_sum(y, y, s) - m) / (m * (m - 1))
    value = SCALE * (within - 2 * _kernel_sum(x, y, s) / (n * m))
    return KernelDistance(float(value), float(s), n, m, x.shape[1])


def median_distance(rows: Floats) -> float:
    """Find the bandwidth that KAD takes by default.

    Args:
        rows: (n, d) features, n >= 2. The call needs 4 n² bytes.

    Returns:
        The median Euclidean distance over all pairs of rows.

    Example:
        >>> median_distance(np.array([[0.0], [1.0], [3.0]]))
        2.0
    """
    return float(np.median(pdist(rows), overwrite_input=True))


def _kernel_sum(x: Floats, y: Floats, bandwidth: float) -> float:
    """Sum the kernel over all pairs, a block of rows at a time."""
    blocks = (x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK))
    return sum(float(np.exp(cdist(block, y, "sqeuclidean") / (-2 * bandwidth**2)).sum()) for block in blocks)
