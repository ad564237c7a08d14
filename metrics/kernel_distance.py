"""KAD: the kernel audio distance, an unbiased companion of the Fréchet distance (Chung et al. 2025, arXiv 2502.15602).

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),    k(x, y) = exp(-|x - y|² / (2 s²))

the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3), where the means of the first two terms leave the
diagonal out. No Gaussian is fitted and the expectation does not depend on the number of clips, so that small sets can
be compared; 0 is expected of equal distributions, lower is better, and the value may be slightly negative. The
bandwidth s is the median distance between rows of the reference, and values are shown times 100, both as in the paper.
So the value has no unit and is at most 200. The public tool `kadtk` takes the
bandwidth from its second argument, which its scoring command sets to the evaluated set: pass that set as `reference`
to have its numbers.

Where prediction and reference are of the same clips, the pairs (x, y) of one clip are alike, and MMD² is too small by
about 1/N. `kernel_replicates` leaves out groups of clips from both sets: that takes this bias off, and gives an
interval and a test between two systems.

Functions: `kernel_distance`, `kernel_replicates`, `median_distance`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist, pdist

from visaudio_bench.metrics.uncertainty import JACKKNIFE_GROUPS, Replicates

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
    value = _unbiased(_kernel_sum(x, x, s), _kernel_sum(y, y, s), _kernel_sum(x, y, s), n, m)
    return KernelDistance(float(value), float(s), n, m, x.shape[1])


def kernel_replicates(
    prediction: npt.ArrayLike,
    reference: npt.ArrayLike,
    clips: npt.NDArray[np.integer] | None = None,
    reference_clips: npt.NDArray[np.integer] | None = None,
) -> Replicates:
    """Compute a KAD with and without each of up to 20 groups of clips, which leave both sets.

    The bandwidth is each time that of the references that are left: a value varies with it, too.

    Args:
        prediction: (n, d) features.
        reference: (m, d) features of the same network.
        clips: (n,) clip number of every row; default one row a clip.
        reference_clips: (m,) clip number of every row of the reference; default one row a clip. The same number is the
            same clip.

    Returns:
        The replicates.

    Raises:
        ValueError: as `kernel_distance`, also where a group is left out: fewer than three clips with rows.

    Example:
        Left and right part of the reference are not told apart, but by chance:

        >>> rows = np.random.default_rng(0).standard_normal((80, 2))
        >>> found = kernel_replicates(rows[:40], rows[40:]).estimate()
        >>> found.low < 0 < found.high
        True
    """
    whole = kernel_distance(prediction, reference)
    x, y = (np.asarray(rows, dtype=np.float64) for rows in (prediction, reference))
    ids_x, ids_y = (np.arange(len(rows)) if ids is None else ids for rows, ids in ((x, clips), (y, reference_clips)))
    every, index = np.unique(np.concatenate([ids_x, ids_y]), return_inverse=True)
    groups = min(JACKKNIFE_GROUPS, len(every))
    group_x, group_y = np.split(index % groups, [len(x)])
    kept_x, kept_y = (len(group) - np.bincount(group, minlength=groups) for group in (group_x, group_y))
    if min(*kept_x, *kept_y) < 2:
        raise ValueError(f"expected rows of at least three clips on each side, got {len(np.unique(ids_x))}")
    bandwidths = _medians_without(y, group_y, groups)
    if not min(bandwidths) > 0:
        raise ValueError("the bandwidth of the kernel is zero without some clips: half of the other rows are equal")
    # exp(-u b / 2), the change of a kernel exp(-u / 2) with its bandwidth, to second order.
    change = [(whole.bandwidth / left) ** 2 - 1 for left in bandwidths]
    series = np.array([[1, -step / 2, step**2 / 8] for step in change])
    sums = [
        _sums_without(_kernel_sums(*pair, whole.bandwidth, groups), series)
        for pair in ((x, group_x, x, group_x), (y, group_y, y, group_y), (x, group_x, y, group_y))
    ]
    left_out = [_unbiased(*without) for without in zip(*sums, kept_x, kept_y, strict=True)]
    return Replicates(whole.value, np.array(left_out), np.bincount(np.arange(len(every)) % groups, minlength=groups))


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


def _unbiased(xx: float, yy: float, xy: float, n: int, m: int) -> float:
    """KAD from sums of the kernel over all pairs, the diagonals of the first two included."""
    return SCALE * ((xx - n) / (n * (n - 1)) + (yy - m) / (m * (m - 1)) - 2 * xy / (n * m))


def _medians_without(rows: Floats, group: npt.NDArray[np.intp], groups: int) -> list[float]:
    """The median distance between the rows that are left without each group."""
    distances = pdist(rows)
    short = group.astype(np.uint8)
    first = np.repeat(short, np.arange(len(rows) - 1, -1, -1))
    second = np.concatenate([short[start:] for start in range(1, len(rows) + 1)])
    return [
        float(np.median(distances[(first != number) & (second != number)], overwrite_input=True))
        for number in range(groups)
    ]


def _kernel_sums(
    x: Floats, group_x: npt.NDArray[np.intp], y: Floats, group_y: npt.NDArray[np.intp], bandwidth: float, groups: int
) -> Floats:
    """Sum the kernel, times 1, u and u² (the square of the distance in bandwidths), over the pairs of each two groups.

    The result is (3, groups, groups).
    """
    to_columns = np.eye(groups)[group_y]
    sums = np.zeros((3, groups, groups))
    for start in range(0, len(x), _BLOCK):
        squares = cdist(x[start : start + _BLOCK], y, "sqeuclidean") / bandwidth**2
        to_rows = np.eye(groups)[group_x[start : start + _BLOCK]].T
        term = np.exp(squares / -2)
        for power in range(3):
            sums[power] += to_rows @ (term @ to_columns)
            term *= squares
    return sums


def _sums_without(sums: Floats, series: Floats) -> Floats:
    """What is left of the sum of a kernel without each group, whose series in the kernel's terms is given."""
    without = [np.delete(np.delete(sums, number, 1), number, 2).sum((1, 2)) for number in range(len(series))]
    return np.sum(np.array(without) * series, axis=1)


def _kernel_sum(x: Floats, y: Floats, bandwidth: float) -> float:
    """Sum the kernel over all pairs, a block of rows at a time."""
    blocks = (x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK))
    return sum(float(np.exp(cdist(block, y, "sqeuclidean") / (-2 * bandwidth**2)).sum()) for block in blocks)
