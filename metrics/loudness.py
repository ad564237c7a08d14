"""Integrated loudness of two-channel sound in LUFS: ITU-R BS.1770-4, Annex 1.

L = -0.691 + 10 log10 (mean over the kept blocks of the K-weighted power of left plus that of right)

It is computed from the samples of both channels together, each with the weight 1. There is no better or worse: the
listening test brings all sounds to one loudness with it, by one gain for both ears, so that the level difference
between the ears stays as it is. A sine of 997 Hz at full scale in one channel has -3.01 LUFS; the same in both ears has
3.01 more. A gain of 6 dB adds 6 LU, unless it lifts blocks over the gate of -70 LUFS.

K-weighting is the standard's two biquads, given by their analogue parameters so that they hold for any sample rate.
Blocks last 400 ms and start every 100 ms; an incomplete one at the end does not count (eq. 3). Kept are the blocks
above -70 LUFS and above the loudness of those minus 10 LU (eq. 5 to 7).

Two cases that the standard leaves open: sound shorter than 400 ms is one block, and sound without a block above
-70 LUFS, such as silence, has the loudness -inf, from which no gain can be computed.

Functions: `integrated_loudness`, `k_weighting`.
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
    """Design the two K-weighting filters for a sample rate.

    Args:
        sample_rate: in Hz.

    Returns:
        The shelf and the high-pass as second-order sections (2, 6), rows of b0, b1, b2, a0, a1, a2. At 48 kHz they are
        tables 1 and 2 of Annex 1.

    Example:
        >>> [round(float(number), 4) for number in k_weighting(48000)[0, :3]]
        [1.5351, -2.6917, 1.1984]
    """
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
    """Measure the gated loudness of a sound, eq. (2) to (7) of Annex 1.

    Args:
        samples: (C, N) floating point, full scale = 1, N >= 1; every channel has the weight 1.
        sample_rate: in Hz.

    Returns:
        The loudness in LUFS; -inf where every block is below the absolute gate of -70 LUFS.

    Example:
        >>> tone = np.sin(2 * np.pi * 997 * np.arange(48000) / 48000)
        >>> round(integrated_loudness(np.stack([tone, 0 * tone]), 48000), 2)
        -3.01
        >>> round(integrated_loudness(np.stack([0.5 * tone, 0 * tone]), 48000), 2)
        -9.03
        >>> integrated_loudness(np.zeros((2, 48000)), 48000)
        -inf
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
