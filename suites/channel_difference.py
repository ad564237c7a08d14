"""How much the two channels of a sound differ: the measure by which data sets of binaural sound are filtered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import signal

from suites.media import Samples

THRESHOLD = 0.01
LONGEST_LAG = 0.001  # s, a little more than the way around a head
FLOOR = 1e-12


def channel_difference(sound: Samples) -> float:
    """D, the mean absolute difference of the channels `(2, N)`, each without its mean and brought to a peak of 1.

    Source: ViSAudio, Eqs. 39 and 40; clips with D <= 0.01 are left out of BiAudio and MUSIC. Known weaknesses: a level
    difference alone gives 0, because each channel is scaled by its own peak; and sparse clicks give less than 0.01
    from any direction, because the mean is over the silence between them too.
    """
    centred = sound.astype(np.float64) - sound.mean(axis=1, keepdims=True, dtype=np.float64)
    left, right = centred / (np.abs(centred).max(axis=1, keepdims=True, initial=0) + 1e-9)
    return float(np.mean(np.abs(left - right)))


class Width(NamedTuple):
    """What D does not tell, over a whole clip and all frequencies.

    `ild`: dB, positive when the left channel is louder. `iacc`: the largest correlation of the channels within 1 ms,
    0 to 1. `side_mid`: dB of the difference of the channels over their sum. None where a level is zero.
    """

    ild: float | None
    iacc: float | None
    side_mid: float | None


def width(sound: Samples, sample_rate: int) -> Width:
    """Level difference, coherence and side-to-mid ratio of a sound `(2, N)`."""
    left, right = sound.astype(np.float64)
    power = left @ left, right @ right
    side, mid = np.sum((left - right) ** 2), np.sum((left + right) ** 2)
    if min(power) <= FLOOR:
        return Width(None, None, _decibels(side, mid))
    lags = round(LONGEST_LAG * sample_rate)
    middle = len(left) - 1
    around = signal.correlate(left, right, method="fft")[max(middle - lags, 0) : middle + lags + 1]
    iacc = min(float(np.abs(around).max() / np.sqrt(power[0] * power[1])), 1.0)
    return Width(_decibels(*power), iacc, _decibels(side, mid))


def _decibels(one: float, other: float) -> float | None:
    return float(10 * np.log10(one / other)) if min(one, other) > FLOOR else None
