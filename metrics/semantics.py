"""IB-Score: do sound and picture mean the same, by ImageBind (Girdhar et al. 2023; used so by MMAudio, 2024).

The cosine between a clip's audio embedding (mean over three 2 s clips) and video embedding (mean over frame pairs and
crops of unit vectors, not normalised again), then the mean over clips. Range [-1, 1], higher is better, without the
factor of 100 that some tables print. An embedding of zeros has cosine 0.

Functions: `ib_score`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.divergence import PerClip

_SMALLEST_NORM = 1e-8


def ib_score(video: npt.ArrayLike, audio: npt.ArrayLike) -> PerClip:
    """Mean cosine of paired embeddings `(n, d)`, and that of each clip.

    Raises:
        ValueError: shapes differ, or there is no clip.
    """
    v, a = (np.asarray(rows, dtype=np.float64) for rows in (video, audio))
    if v.shape != a.shape or v.ndim != 2 or not v.size:
        raise ValueError(f"embeddings of paired clips must have one shape (n, d), got {v.shape} and {a.shape}")
    norms = [np.maximum(np.linalg.norm(rows, axis=1), _SMALLEST_NORM) for rows in (v, a)]
    per_clip = (v * a).sum(axis=1) / (norms[0] * norms[1])
    return PerClip(float(per_clip.mean()), per_clip)
