"""Integrated loudness of two-channel sound, ITU-R BS.1770-4 Annex 1, in LUFS.

Both channels together: the loudness of a sample decides one gain for both ears, so that the level difference between
the ears stays as it is. K-weighting is the standard's two biquads, given by their analogue parameters so that they
hold for any sample rate; gating is in blocks of 400 ms with 75 % overlap, absolute at -70 LUFS and relative at -10 LU.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import signal

Floats = npt.NDArray[np.float64]

# Centre frequency in Hz, quality and gain in dB of the standard's filters (its coefficients for 48 kHz come from them).
SHELF = (1681.974450955533, 0.7071752369554196, 3.999843853973347)
HIGHPASS = (38.13547087602444, 0.5003270373238773)
OFFSET = -0.691
ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0
BLOCK = 0.4
STEP = 0.1


def k_weighting(sample_rate: int) -> Floats:
    """The two biquads as second-order sections `(2, 6)` for a sample rate in Hz."""
    centre, quality, gain = SHELF
    k = math.tan(math.pi * centre / sample_rate)
    high = 10 ** (gain / 20)
    band = high**0.4996667741545416
    below = 1 + k / quality + k * k
    shelf = [
        (high + band * k / quality + k * k) / below,
        2 * (k * k - high) / below,
        (high - band * k / quality + k * k) / below,
        1.0,
        2 * (k * k - 1) / below,
        (1 - k / quality + k * k) / below,
    ]
    centre, quality = HIGHPASS
    k = math.tan(math.pi * centre / sample_rate)
    below = 1 + k / quality + k * k
    highpass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / below, (1 - k / quality + k * k) / below]
    return np.array([shelf, highpass])


def integrated_loudness(samples: npt.NDArray[np.floating], sample_rate: int) -> float:
    """Gated loudness in LUFS of `(C, N)` with channel weights of 1; -inf where every block is below the absolute gate.

    Sound shorter than one block of 400 ms is one block. Eq. (2) to (7) of Annex 1.
    """
    weighted = signal.sosfilt(k_weighting(sample_rate), np.asarray(samples, dtype=np.float64), axis=-1)
    length, step = round(BLOCK * sample_rate), round(STEP * sample_rate)
    power = np.concatenate([[0.0], np.cumsum((weighted**2).sum(0))])
    total = weighted.shape[-1]
    starts = np.arange(0, max(total - length, 0) + 1, step)
    ends = np.minimum(starts + length, total)
    blocks = (power[ends] - power[starts]) / np.maximum(ends - starts, 1)
    audible = blocks[_level(blocks) > ABSOLUTE_GATE]
    if not len(audible):
        return -math.inf
    kept = audible[_level(audible) > float(_level(audible.mean())) + RELATIVE_GATE]
    return float(_level(kept.mean()))


def _level(power: npt.ArrayLike) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(OFFSET + 10 * np.log10(np.maximum(power, 0.0)))
