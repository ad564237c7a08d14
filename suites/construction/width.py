"""How wide a binaural sound is, beside D: what users may filter a data set by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import signal

from visaudio_bench.suites.admission import side_over_mid
from visaudio_bench.suites.media import Samples

LONGEST_LAG = 0.001  # s, a little more than the way around a head


class Width(NamedTuple):
    """Over a whole clip and all frequencies; None where a channel is silent.

    `ild`: dB, positive when the left ear is louder. `iacc`: the largest correlation of the ears within 1 ms, 0 to 1.
    `side_mid`: energy of the difference over that of the sum, dB.
    """

    ild: float | None
    iacc: float | None
    side_mid: float | None


def width(sound: Samples, sample_rate: int) -> Width:
    """Measure how wide a sound is.

    Args:
        sound: `(2, N)`, left first.
        sample_rate: Hz.

    Returns:
        Its level difference, coherence and side-to-mid ratio.
    """
    left, right = sound.astype(np.float64)
    power = float(left @ left), float(right @ right)
    if not all(power):
        return Width(None, None, side_over_mid(sound))
    lags, middle = round(LONGEST_LAG * sample_rate), len(left) - 1
    around = signal.correlate(left, right, method="fft")[max(middle - lags, 0) : middle + lags + 1]
    iacc = min(float(np.abs(around).max() / np.sqrt(power[0] * power[1])), 1.0)
    return Width(round(float(10 * np.log10(power[0] / power[1])), 2), round(iacc, 4), side_over_mid(sound))
