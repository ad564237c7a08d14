"""IB-Score: whether sound and picture mean the same, by ImageBind (Girdhar et al. 2023; Cheng et al. 2025, MMAudio).

score of a clip = v·a / (|v| |a|)

with a, the clip's embedding of the sound (mean over three parts of 2 s), and v, that of the picture (mean of the unit
vectors of all frame pairs and crops, not normalised again). The score of a set is the mean over its clips. It has no
unit and lies in [-1, 1]; higher is better, and 1 is not what a perfect prediction reaches: compare with the value of
the reference. Some tables print it times 100. An embedding of zeros has the cosine 0.

Functions: `ib_score`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.divergence import PerClip

_SMALLEST_NORM = 1e-8


def ib_score(video: npt.ArrayLike, audio: npt.ArrayLike) -> PerClip:
    """Compute the IB-Score of paired embeddings.

    Args:
        video: (n, d) embeddings of the pictures, one row a clip.
        audio: (n, d) embeddings of the sounds of the same clips in the same order.

    Returns:
        The mean cosine over clips in [-1, 1], and that of each clip, (n,).

    Raises:
        ValueError: the shapes differ, or there is no clip.

    Example:
        >>> ib_score([[1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]])
        PerClip(value=0.5, per_clip=array([1., 0.]))
    """
    v, a = (np.asarray(rows, dtype=np.float64) for rows in (video, audio))
    if v.shape != a.shape or v.ndim != 2 or not v.size:
        raise ValueError(f"embeddings of paired clips must have one shape (n, d), got {v.shape} and {a.shape}")
    norms = [np.maximum(np.linalg.norm(rows, axis=1), _SMALLEST_NORM) for rows in (v, a)]
    per_clip = (v * a).sum(axis=1) / (norms[0] * norms[1])
    return PerClip(float(per_clip.mean()), per_clip)
