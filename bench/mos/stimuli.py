"""Sounds of the checks before the test, synthesised here.

antiphase    Woods et al. (2017), "Headphone screening to facilitate web-based auditory experiments": which of three
             200 Hz tones is quietest? One is 6 dB softer, one is in antiphase, which loudspeakers cancel.
huggins      Milne et al. (2020), "An online headphone screening test based on dichotic pitch": which of three noises
             holds a faint tone? One has its phase inverted in one ear within 600 Hz +- 6 %, heard only with two ears.
orientation  a burst of noise at one ear only: left or right? The other two checks are passed with exchanged channels,
             this one is not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.loudness import integrated_loudness

Sound = npt.NDArray[np.float32]
RATE = 44100
HUGGINS_BAND = (600 * 0.94, 600 * 1.06)
TOKENS = 4


def check_sounds(loudness: float, seed: int = 0) -> dict[str, Sound]:
    """Synthesise the sounds of all checks.

    Args:
        loudness: LUFS of the louder ones.
        seed: of the noise.

    Returns:
        Sounds `(2, N)` at 44.1 kHz by file stem, left first.

    Raises:
        UsageError: a sound would clip at this loudness.
    """
    rng = np.random.default_rng(seed)
    sounds = {
        "level": _leveled(_both(_pink(rng, 6.0)), loudness),
        "left": _leveled(_one_ear(_burst(rng), 0), loudness),
        "right": _leveled(_one_ear(_burst(rng), 1), loudness),
    }
    tone = _leveled(_both(_ramped(np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE))), loudness)
    sounds |= {
        "tone": tone,
        "tone-quiet": tone * np.float32(0.5),
        "tone-anti": tone * np.array([[1], [-1]], np.float32),
    }
    for token in range(1, TOKENS + 1):
        noise = rng.standard_normal(RATE)
        sounds[f"noise-{token}"] = _leveled(_both(_ramped(noise)), loudness)
        sounds[f"huggins-{token}"] = _leveled(_huggins(rng.standard_normal(RATE)), loudness)
    return sounds


def _huggins(noise: npt.NDArray[np.float64]) -> Sound:
    spectrum = np.fft.rfft(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    inside = (frequency >= HUGGINS_BAND[0]) & (frequency <= HUGGINS_BAND[1])
    other = np.fft.irfft(np.where(inside, -spectrum, spectrum), len(noise))
    return np.stack([_ramped(noise), _ramped(other)]).astype(np.float32)


def _pink(rng: np.random.Generator, seconds: float) -> npt.NDArray[np.float64]:
    length = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    shaped = np.where((frequency > 100) & (frequency < 10000), spectrum / np.sqrt(np.maximum(frequency, 1)), 0)
    return _ramped(np.fft.irfft(shaped, length))


def _burst(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Three short bursts in a row: easier to place than one."""
    burst = _pink(rng, 0.25)
    gap = np.zeros(round(0.1 * RATE))
    return np.concatenate([burst, gap, burst, gap, burst])


def _ramped(samples: npt.NDArray[np.float64], seconds: float = 0.02) -> npt.NDArray[np.float64]:
    length = round(seconds * RATE)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)
    out = samples.copy()
    out[:length] *= ramp
    out[-length:] *= ramp[::-1]
    return out


def _both(samples: npt.NDArray[np.float64]) -> Sound:
    return np.stack([samples, samples]).astype(np.float32)


def _one_ear(samples: npt.NDArray[np.float64], ear: int) -> Sound:
    out = np.zeros((2, len(samples)), np.float32)
    out[ear] = samples
    return out


def _leveled(samples: Sound, loudness: float) -> Sound:
    gain = 10 ** ((loudness - integrated_loudness(samples, RATE)) / 20)
    scaled: Sound = samples * np.float32(gain)
    peak = float(np.abs(scaled).max())
    if peak > 1:
        possible = loudness - 20 * np.log10(peak) - 0.1
        raise UsageError(
            f"the sounds of the checks would clip at {loudness:g} LUFS. Lower the loudness of all: "
            f"--loudness {possible:.0f} or less"
        )
    return scaled
