"""How far the mean time differences of two sounds are apart, as BEWO compares them: GCC-MSE and GCC-MAE.

Published beside binaural and stereo sound made from text or video (BEWO, and after it others), and here so that such
numbers can be compared; **our own column is ΔITD**, which compares segment by segment.

1. Sound at 16 kHz. Every 0.1 s a window of 0.24 s around that time, moved into the sound where it would begin before
   or end behind it.
2. In each window, and in the 512 windows that begin 1 to 512 samples later: the generalised cross-correlation with
   phase transform of left and right (FFT of twice the window), at lags within ±1.5 ms in steps of one sample, 62.5 µs;
   the lag with the greatest **magnitude** is the time difference, positive where the left leads. The mean of the 513
   is the window's; of these every 16th is computed here.
3. A clip's is the mean over its windows, m. With prediction p and reference g, in milliseconds:
   GCC-MSE = 1000 (m_p - m_g)², GCC-MAE = 1000 abs(m_p - m_g), which is in µs. Results are means over clips.

Two protocols, because code and paper differ (issue 8 of the repository):

| protocol | windows | which count |
|---|---|---|
| `code` | 100, as for 10 s: of a shorter clip the last window counts again and again (20 times of 8 s) | all |
| `paper` | those that begin in the clip | those at or above -16 dBFS, the mean square of both channels |

The paper calls its column an MAE and the code prints an MSE; both are given of both protocols. The paper does not say
how the level is measured; taken so, much sound lies below the gate altogether (`below_gate`): look at n.

Weaknesses: the mean over a clip forgets movement, and a source that goes from left to right is one that stays in front
(of simulated clips a frozen prediction is preferred to the moving one in half); silence and noise between events
count in `code`; the greatest magnitude turns the sign of sound in opposite phase; levels are not looked at, so that
panned stereo is mono. Mono has 1000 m_g² and abs(1000 m_g), swapped ears four times and twice that.

All 513 cost 5 seconds of one core for 8 s of sound, and differ little: every 16th moved the mean of a clip by up to
2.6 µs in four real outputs. `window_delays(audio, every=1)` is the code's.

Sources: Sun et al. 2025 (Both Ears Wide Open); its `evaluations/cal_avg_mean_itd.py` and `vis_functs.py` at commit
92092eb; Knapp and Carter 1976.

Functions: `window_delays`, `gcc_quantities`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft

from visaudio_bench.metrics.quantity import Quantity, undefined

RATE = 16_000  # Hz
HOP, WINDOW, SHIFTS, EVERY = 1_600, 3_840, 512, 16  # samples
LARGEST = 24  # samples: 1.5 ms
WINDOWS_OF_CODE = 100
GATE = -16.0  # dBFS

Floats = npt.NDArray[np.float64]


class WindowDelays(NamedTuple):
    """The windows of one sound (W,), W = 80 of 8 s.

    Attributes:
        delay: ms, positive where the left leads.
        level: dB re full scale, of the mean square of both channels; -inf of silence.
    """

    delay: Floats
    level: Floats


def window_delays(audio: npt.NDArray[np.floating], every: int = EVERY) -> WindowDelays:
    """Measure the time difference of every window of a sound.

    Args:
        audio: (2, N) at 16 kHz, left first, full scale 1.
        every: which of the 513 shifted windows are computed, 1 for all.

    Returns:
        The windows; none of a sound that is shorter than 0.272 s.

    Example:
        Noise that reaches the left ear five samples, 0.3125 ms, earlier:

        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(8005)
        >>> window_delays(np.stack([noise[5:], noise[:8000]])).delay.tolist()
        [0.3125, 0.3125, 0.3125, 0.3125, 0.3125]
    """
    reach = WINDOW + SHIFTS
    if audio.shape[1] < reach:
        return WindowDelays(np.zeros(0), np.zeros(0))
    wanted = HOP * np.arange(-(-audio.shape[1] // HOP)) - WINDOW // 2
    starts = np.clip(wanted, 0, audio.shape[1] - reach)
    delays: dict[int, float] = {}
    levels = []
    for start in starts.tolist():
        part = audio[:, start : start + reach]
        if start not in delays:
            delays[start] = _mean_delay(part, every)
        with np.errstate(divide="ignore"):
            levels.append(10 * np.log10(np.mean(np.square(part[:, :WINDOW], dtype=np.float64))))
    return WindowDelays(np.array([delays[start] for start in starts.tolist()]), np.array(levels))


def _mean_delay(part: npt.NDArray[np.floating], every: int) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(part.astype(np.float32), WINDOW, axis=1)[:, ::every]
    left, right = rfft(windows, 2 * WINDOW)
    cross = left * right.conj()
    cross /= np.abs(cross) + np.float32(1e-20)
    correlation = irfft(cross, 2 * WINDOW)
    near = np.abs(np.concatenate([correlation[:, -LARGEST:], correlation[:, : LARGEST + 1]], axis=1))
    return float(np.mean(LARGEST - near.argmax(1)) * 1000 / RATE)


def gcc_quantities(prediction: WindowDelays, reference: WindowDelays) -> dict[str, Quantity]:
    """Compare the windows of two sounds of one clip.

    Args:
        prediction: of the sound that is judged.
        reference: of the true sound.

    Returns:
        GCC-MSE (1000 ms²) and GCC-MAE (µs) of both protocols, by the keys of their metrics; NaN with `short`, or with
        `below_gate` where no window of one of them is loud enough.

    Example:
        >>> still = WindowDelays(np.full(80, 0.25), np.full(80, -20.0))
        >>> centred = still._replace(delay=np.zeros(80))
        >>> {name: quantity.value for name, quantity in gcc_quantities(centred, still).items()}
        {'gcc_mse_code': 62.5, 'gcc_mae_code': 250.0, 'gcc_mse_paper': nan, 'gcc_mae_paper': nan}
    """
    names = ("gcc_mse_code", "gcc_mae_code", "gcc_mse_paper", "gcc_mae_paper")
    if not (len(prediction.delay) and len(reference.delay)):
        return {name: undefined("short") for name in names}
    by_code = [_ten_seconds(sound.delay).mean() for sound in (prediction, reference)]
    loud = [sound.delay[sound.level >= GATE] for sound in (prediction, reference)]
    of_paper = [undefined("below_gate")] * 2
    if all(delays.size for delays in loud):
        of_paper = _errors(*(delays.mean() for delays in loud))
    return dict(zip(names, [*_errors(*by_code), *of_paper], strict=True))


def _ten_seconds(delay: Floats) -> Floats:
    return delay[np.minimum(np.arange(WINDOWS_OF_CODE), len(delay) - 1)]


def _errors(prediction: float, reference: float) -> list[Quantity]:
    return [Quantity(float(1000 * (prediction - reference) ** 2)), Quantity(float(1000 * abs(prediction - reference)))]
