"""How differently a classifier describes prediction and reference (KL-PANN, KL-PaSST), and IS-PANN and IS-PaSST.

KL(reference || prediction) = sum over classes of p (ln p - ln q),    p, q the softmax of the two clips' raw logits

(Kreuk et al. 2023, AudioGen, section 4; Iashin and Rahtu 2021). The logarithm is natural, so that the unit is nats; 0
is perfect, lower is better, and there is no upper bound. The score of a set is the mean over paired clips. It is not
symmetric: papers that put the prediction first print other numbers. It is computed in float64 from log-softmaxes,
without the epsilon that older tools add inside the logarithm: that epsilon turns 163.7 into 13.8 on extreme logits and
makes the score of identical clips negative. The reference implementation (av-benchmark) sums in float32; the difference
is below 2e-6.

IS = exp (mean over clips of KL(p || mean of p))        (Salimans et al. 2016)

The inception score needs no reference. It has no unit, lies between 1 (all clips are described alike) and the number of
classes, and higher is better; the mean is taken in ten groups of clips, shuffled as av-benchmark shuffles them, and
depends on their size, so that two scores compare only at the same number of clips (below 10 there is none). Its
weakness is what it does not ask: sounds of the wrong clips score as those of the right ones, and a set of clips of one
kind, such as music, is low for its reference too. Read it against the reference's row, which need not be the highest.

Functions: `kl_divergence`, `inception_score`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

Floats = npt.NDArray[np.float64]
INCEPTION_SPLITS = 10
INCEPTION_SEED = 2020


class PerClip(NamedTuple):
    """A mean over clips with what it is the mean of.

    Attributes:
        value: mean over clips, in the unit of the score.
        per_clip: (n,) score of each clip.
    """

    value: float
    per_clip: Floats


class InceptionScore(NamedTuple):
    """An inception score over groups of clips; both fields are NaN when there are fewer clips than groups.

    Attributes:
        value: mean over groups; higher is better.
        spread: standard deviation over groups, with their number in the denominator.
    """

    value: float
    spread: float


def kl_divergence(reference: npt.ArrayLike, prediction: npt.ArrayLike) -> PerClip:
    """Compute KL(reference || prediction) of paired clips.

    Args:
        reference: (n, classes) raw logits of the reference, one row a clip.
        prediction: (n, classes) raw logits of the same clips in the same order.

    Returns:
        The mean over clips in nats, and the divergence of each clip, (n,).

    Raises:
        ValueError: the shapes differ, or there is no clip.

    Example:
        Probabilities of 1/2 and 1/2 against 1/4 and 3/4 give ln(4 / 3) / 2:

        >>> round(kl_divergence([[0.0, 0.0]], [[0.0, np.log(3)]]).value, 3)
        0.144
    """
    log_p, log_q = (log_softmax(_rows(logits), axis=1) for logits in (reference, prediction))
    if log_p.shape != log_q.shape:
        raise ValueError(f"logits of paired clips must have one shape, got {log_p.shape} and {log_q.shape}")
    p = np.exp(log_p)
    # a class of probability 0 contributes nothing, even where its logarithm is -inf
    ratio = np.subtract(log_p, log_q, where=p > 0, out=np.zeros_like(p))
    per_clip = (p * ratio).sum(axis=1)
    return PerClip(float(per_clip.mean()), per_clip)


def inception_score(
    logits: npt.ArrayLike, splits: int = INCEPTION_SPLITS, seed: int = INCEPTION_SEED
) -> InceptionScore:
    """Compute the inception score of a set.

    Args:
        logits: (n, classes) raw logits, one row a clip.
        splits: number of groups that the shuffled clips are parted into.
        seed: of the shuffle by numpy's legacy generator; the published numbers depend on both.

    Returns:
        The mean score over groups, and its spread; NaN with fewer clips than groups.

    Raises:
        ValueError: the logits have another shape, or there is no clip.

    Example:
        Two clips, each of them certainly of a class of its own:

        >>> score = inception_score([[50.0, 0.0], [0.0, 50.0]], splits=1)
        >>> round(score.value, 3), score.spread
        (2.0, 0.0)
    """
    rows = _rows(logits)
    if len(rows) < splits:
        return InceptionScore(np.nan, np.nan)
    order = np.random.RandomState(seed).permutation(len(rows))
    log_p = log_softmax(rows, axis=1)[order]
    bounds = [index * len(rows) // splits for index in range(splits + 1)]
    scores = []
    for start, stop in pairwise(bounds):
        group = log_p[start:stop]
        p = np.exp(group)
        scores.append(np.exp((p * (group - np.log(p.mean(axis=0)))).sum(axis=1).mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def _rows(logits: npt.ArrayLike) -> Floats:
    rows = np.asarray(logits, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"expected logits (clips, classes) of at least one clip, got {rows.shape}")
    return rows
