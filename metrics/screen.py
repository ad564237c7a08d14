"""Screen for degenerate output: what no distance of features notices and no table should hide.

A network's score can be fine for a file that a listener would call broken: features of a mono copy on both ears, of a
clipped file or of half a clip are close to those of the real one. `screen` looks at the samples and lists what is
wrong; it changes no score. A file with NaN samples is not looked at further, nor is a silent one. The codes are stable;
the thresholds are choices of this project, for these reasons:

| code | condition | why there |
|---|---|---|
| `nan` | any NaN or infinite sample | nothing else can be said about such a file |
| `wrong_rate` | another sample rate than expected | pitch or resampling is wrong before anything is measured |
| `narrow_band` | a sample rate below 16 kHz | cues are measured up to 8 kHz, and such a file ends below |
| `too_short` | over 1 % too short | codecs pad or trim 50 ms, half a percent of 8 s; here more is missing |
| `too_long` | over 0.1 s too long | codecs pad up to 90 ms; here sound is left that nobody judges |
| `silent` | every sample within ±1e-4 (-80 dBFS) | the gate of the interaural cues, below the noise of a quiet room |
| `constant` | a channel within ±1e-4 around a level other than 0 | a stuck output; only an offset is left |
| `clipped` | over 0.1 % of samples in runs of 3 or more at a peak of 0.98 or more | music peaks are single samples |
| `one_channel_silent` | one channel within ±1e-4 or 60 dB below the other | the head shadows by at most 30 dB |
| `identical_channels` | side 60 dB below mid | both ears hear the same within a 10-bit step: mono on two channels |
| `anti_phase` | side over 10 dB above mid | no source around a head does it; a channel has the wrong polarity |

Function: `screen`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.conventions import BAND_HIGH

SILENCE = 1e-4
SHORTER, LONGER = 0.01, 0.1  # share, seconds
CLIPPED_SHARE, CLIPPED_RUN, FULL_SCALE = 1e-3, 3, 0.98
ONE_SIDED_DB, IDENTICAL_DB, ANTI_PHASE_DB = 60.0, -60.0, 10.0

Floats = npt.NDArray[np.float64]


class Flag(NamedTuple):
    """One thing that is wrong with a clip.

    Attributes:
        code: a stable code of the module's table.
        message: what was measured, as a sentence for people.
    """

    code: str
    message: str


def screen(
    audio: npt.NDArray[np.floating], sample_rate: int, expected_samples: int, expected_rate: int
) -> tuple[Flag, ...]:
    """List what is degenerate about a binaural clip.

    Args:
        audio: (2, T) floating point, full scale = 1, left first.
        sample_rate: Hz of the file as it was written.
        expected_samples: length that the suite's clip has at `expected_rate`.
        expected_rate: Hz that the system was asked for.

    Returns:
        One flag for each thing that is wrong; empty if nothing is.

    Example:
        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(44100)
        >>> [flag.code for flag in screen(np.stack([noise, noise]), 44100, 88200, 44100)]
        ['too_short', 'identical_channels']
    """
    flags = []
    if sample_rate != expected_rate:
        flags.append(Flag("wrong_rate", f"the sample rate is {sample_rate} Hz instead of {expected_rate} Hz"))
    if sample_rate < 2 * BAND_HIGH:
        heard = (
            f"there is nothing above {sample_rate / 2000:g} kHz, and cues are measured up to {BAND_HIGH / 1000:g} kHz"
        )
        flags.append(Flag("narrow_band", f"at {sample_rate} Hz {heard}"))
    seconds, expected = audio.shape[1] / sample_rate, expected_samples / expected_rate
    if seconds < (1 - SHORTER) * expected:
        flags.append(Flag("too_short", f"it lasts {seconds:.2f} s instead of {expected:.2f} s"))
    elif seconds > expected + LONGER:
        flags.append(
            Flag("too_long", f"it lasts {seconds:.2f} s instead of {expected:.2f} s; what lies beyond is not judged")
        )
    if audio.shape[1] == 0:
        return tuple(flags)
    finite = np.isfinite(audio)
    if not finite.all():
        share = 100 * float(np.mean(~finite))
        return (*flags, Flag("nan", f"{share:.3g} % of the samples are NaN or infinite"))
    return (*flags, *_level_flags(audio.astype(np.float64)))


def _level_flags(audio: Floats) -> list[Flag]:
    if np.abs(audio).max() <= SILENCE:
        return [Flag("silent", f"no sample is above {_decibel(SILENCE):.0f} dBFS")]
    flags = _constant_flags(audio)
    clipped = _clipped_share(audio)
    if clipped > CLIPPED_SHARE:
        flags.append(
            Flag("clipped", f"{100 * clipped:.2g} % of the samples sit at the peak of {np.abs(audio).max():.3g}")
        )
    return flags + _channel_flags(audio)


def _constant_flags(audio: Floats) -> list[Flag]:
    still = (np.ptp(audio, axis=1) <= 2 * SILENCE) & (np.abs(audio).max(1) > SILENCE)
    return [
        Flag("constant", f"the {name} channel stays at {level:.3g} throughout")
        for name, level, stuck in zip(("left", "right"), audio.mean(1), still, strict=True)
        if stuck
    ]


def _clipped_share(audio: Floats) -> float:
    """Compute the share of samples in runs of at least 3 at their channel's peak, where that is near full scale."""
    magnitude = np.abs(audio)
    peak = magnitude.max(1, keepdims=True)
    at_peak = (magnitude >= peak * (1 - 1e-4)) & (peak >= FULL_SCALE)
    run = at_peak[:, 2:] & at_peak[:, 1:-1] & at_peak[:, :-2]
    inside = np.zeros_like(at_peak)
    for shift in range(CLIPPED_RUN):
        inside[:, shift : inside.shape[1] - CLIPPED_RUN + 1 + shift] |= run
    return float(inside.mean())


def _channel_flags(audio: Floats) -> list[Flag]:
    left, right = np.mean(audio**2, axis=1)
    quiet, name = min((left, "left"), (right, "right"))
    below = 10 * np.log10(max(left, right) / max(quiet, 1e-30))
    if below > ONE_SIDED_DB or np.abs(audio).max(1).min() <= SILENCE:
        return [Flag("one_channel_silent", f"the {name} channel is {below:.0f} dB below the other one")]
    side = np.mean((audio[0] - audio[1]) ** 2) + 1e-30
    mid = np.mean((audio[0] + audio[1]) ** 2) + 1e-30
    ratio = float(10 * np.log10(side / mid))
    if ratio < IDENTICAL_DB:
        return [Flag("identical_channels", "both channels are the same: it is mono on two channels")]
    if ratio > ANTI_PHASE_DB:
        return [
            Flag("anti_phase", f"the difference of the channels is {ratio:.0f} dB above their sum: one is inverted")
        ]
    return []


def _decibel(amplitude: float) -> float:
    return 20 * float(np.log10(amplitude))
