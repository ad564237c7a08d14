"""DeSync: by how much Synchformer finds sound and picture apart (Viertola et al. 2024; Cheng et al. 2025, MMAudio).

DeSync of a clip = mean over its windows of abs(o),    o the most probable of the offsets -2.0, -1.8, ..., 2.0 s

The network says for 14 segments (4.8 s) which of the 21 offsets it sees. Each clip has two windows, the first and the
last 14 segments; the score of a set is the mean over its clips. It is in seconds, in [0, 2], and lower is better: 0 s
is perfect. In a clip of 8 s (24 segments) the two windows overlap by four segments; a clip shorter than 4.8 s has no
DeSync. The sign tells a sound that is early from one that is late, and is kept in `offsets`. The reference's own value
need not be 0: the network errs.

Of equal logits the first offset wins, as in the reference implementation (av-benchmark). A NaN among the logits leaves
the clip without a score; the reference implementation takes the NaN for the maximum (`nan_is_maximum`).

Functions: `desync`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import entr, softmax

Floats = npt.NDArray[np.float64]
# in float32, as the network was trained and the reference prints: 1.8 is 1.7999999523162842
OFFSETS = np.linspace(-2.0, 2.0, 21, dtype=np.float32).astype(np.float64)


class Desync(NamedTuple):
    """DeSync of a set and of its clips.

    Attributes:
        value: mean absolute offset in s over the clips that have a score, NaN if none has.
        per_clip: (n,) mean absolute offset of each clip in s, NaN where it has no score.
        offsets: (n, windows) signed offsets in s.
        entropy: (n, windows) entropy of the network's answer in nats: 0 is certain, ln 21 is a guess.
    """

    value: float
    per_clip: Floats
    offsets: Floats
    entropy: Floats


def desync(logits: npt.ArrayLike, *, nan_is_maximum: bool = False) -> Desync:
    """Compute DeSync from the network's answers.

    Args:
        logits: (n, windows, 21) logits of the offsets of each window of n clips.
        nan_is_maximum: whether a NaN counts as the largest logit, as in the reference implementation, or leaves its
            clip without a score.

    Returns:
        The mean absolute offset in s, that of each clip, and the offset and entropy of each window.

    Raises:
        ValueError: the logits have another shape, or there is no clip.

    Example:
        One clip, whose first window is seen in time and whose second is seen 0.4 s off:

        >>> logits = np.zeros((1, 2, 21))
        >>> logits[0, 0, 10] = logits[0, 1, 12] = 50.0
        >>> round(desync(logits).value, 3)
        0.2
    """
    rows = np.asarray(logits, dtype=np.float64)
    if rows.ndim != 3 or rows.shape[2] != len(OFFSETS) or not rows.size:
        raise ValueError(f"expected offset logits (clips, windows, {len(OFFSETS)}), got {rows.shape}")
    offsets = OFFSETS[rows.argmax(axis=2)]
    if not nan_is_maximum:
        offsets[np.isnan(rows).any(axis=2)] = np.nan
    per_clip = np.abs(offsets).mean(axis=1)
    scored = per_clip[~np.isnan(per_clip)]
    entropy = entr(softmax(rows, axis=2)).sum(axis=2)
    return Desync(float(scored.mean()) if len(scored) else np.nan, per_clip, offsets, entropy)
