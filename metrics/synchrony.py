"""DeSync: by how much Synchformer finds sound and picture apart, in seconds (Viertola et al. 2024; MMAudio, 2024).

The network says for 14 segments (4.8 s) which of 21 offsets from -2 to 2 s, 0.2 s apart, it sees. DeSync is the mean
of the absolute offset over two windows of each clip, the first and the last 14 segments, and over clips: 0 s is
perfect, 2 s the worst. In a clip of 8 s (24 segments) the two windows overlap by four segments; a clip shorter than
4.8 s has no DeSync. The sign says who is late and is kept in `offsets`.

Of equal logits the smallest offset index wins, as in the reference. A NaN among the logits leaves the clip without a
score; the reference takes the NaN for the maximum (`nan_is_maximum`).

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
    """Mean absolute offset in s, and by clip: `(n,)`; the signed offsets and the entropies in nats: `(n, windows)`."""

    value: float
    per_clip: Floats
    offsets: Floats
    entropy: Floats


def desync(logits: npt.ArrayLike, *, nan_is_maximum: bool = False) -> Desync:
    """DeSync of offset logits `(n, windows, 21)`; the value is the mean over clips that have a score, else NaN.

    Raises:
        ValueError: another shape.
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
