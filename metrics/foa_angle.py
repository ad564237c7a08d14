"""The angle between the mean directions of two ambisonic sounds, as OmniAudio compares first-order outputs.

For systems that make first-order ambisonics (W, Y, Z, X; ACN, SN3D), on their own channels and not on the two that are
rendered from them:

I = (mean of W X, mean of W Y, mean of W Z) over the whole clip, Δangular = angle between I of prediction and reference

in radians, from 0 to π; lower is better, and a result is the mean over clips. Directions that say nothing give π / 2 on
average. OmniAudio prints Δθ and Δφ too, differences of azimuth and elevation. **They are not here**: its code reads the
channels as W, X, Y, Z, files of YouTube and of its data set have W, Y, Z, X, so that its two angles belong to other
axes than they are called by. The angle between vectors is the same however the axes are named, and that can be
compared.

Weaknesses: one direction for a whole clip, so that movement is forgotten, two sources are one in between, and a source
that circles has none; a diffuse field has a direction too, of what little does not cancel; levels are not looked at. W
without the other channels has no direction (`no_direction`), and neither has silence.

Sources: Liu et al. 2025 (OmniAudio); `metrics/src/spatial.py` of audiospace-360v2sa/Audiospace at commit 60f972b.

Functions: `intensity`, `angle_between`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.quantity import Quantity, undefined

NOTHING = 1e-9  # of the energy of W: a vector that is shorter is rounding error

Floats = npt.NDArray[np.float64]


def intensity(field: npt.NDArray[np.floating]) -> Floats:
    """Find the mean direction of an ambisonic sound.

    Args:
        field: (4, N) samples of W, Y, Z and X.

    Returns:
        (3,) a vector to the front, left and up (x, y, z), without a unit; zero where there is no direction.

    Example:
        A source on the left has as much in Y as in W, and nothing in the others:

        >>> wave = np.sin(np.arange(100.0))
        >>> vector = intensity(np.stack([wave, wave, 0 * wave, 0 * wave]))
        >>> (vector / np.linalg.norm(vector)).tolist()
        [0.0, 1.0, 0.0]
    """
    w, y, z, x = np.asarray(field, dtype=np.float64)
    vector = np.array([np.mean(w * x), np.mean(w * y), np.mean(w * z)]) if w.size else np.zeros(3)
    return vector if np.linalg.norm(vector) > NOTHING * np.mean(w * w) else np.zeros(3)


def angle_between(prediction: Floats, reference: Floats) -> Quantity:
    """Compare two directions.

    Args:
        prediction: (3,) of the sound that is judged.
        reference: (3,) of the true sound.

    Returns:
        Their angle in radians, [0, π]; NaN with `no_direction` where one of them is zero.

    Example:
        >>> round(angle_between(np.array([1.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.0])).value, 4)
        1.5708
    """
    if not (prediction.any() and reference.any()):
        return undefined("no_direction")
    # Not by arccos, which has no digits left of small angles.
    across = np.linalg.norm(np.cross(prediction, reference))
    return Quantity(float(np.arctan2(across, prediction @ reference)))
