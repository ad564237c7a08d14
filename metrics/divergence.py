"""How differently a classifier describes prediction and reference: KL-PANN, and the inception score.

KL(reference || prediction) = sum over classes of p (ln p - ln q),    p, q the softmax of the two clips' raw logits

(Kreuk et al. 2023, AudioGen, section 4; Iashin and Rahtu 2021). Natural logarithm, so nats; 0 is perfect, no upper
bound; the score of a set is the mean over paired clips. Computed in float64 from log-softmaxes, without the epsilon
that older tools add inside the logarithm: that epsilon turns 163.7 into 13.8 on extreme logits and makes the score of
identical clips negative. The reference implementation sums in float32; the difference is below 2e-6.

The inception score needs no reference: exp of the mean KL between each clip's classes and the mean of its group.

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
    """A mean over clips, and the score of each, `(n,)`."""

    value: float
    per_clip: Floats


class InceptionScore(NamedTuple):
    """Mean and population standard deviation over groups; NaN when there are fewer clips than groups."""

    value: float
    spread: float


def kl_divergence(reference: npt.ArrayLike, prediction: npt.ArrayLike) -> PerClip:
    """KL(reference || prediction) in nats, of raw logits `(n, classes)` of paired clips.

    Raises:
        ValueError: shapes differ, or there is no clip.
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
    """Inception score of raw logits `(n, classes)` over `splits` groups of shuffled clips; higher is better.

    The shuffle is numpy's legacy generator with a fixed seed, because the published numbers depend on it.
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
