"""Sounds of our own making, each with the times of its onsets and the words that describe it.

Everything is synthesised from a seed: nothing is recorded, so nothing is licensed, and the onsets are known exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulator.hrtf import Array, Samples

LOUDNESS = 0.1  # RMS of the sounding parts, before the room


class SourceSound(NamedTuple):
    """`samples` `(T,)` float32 at 44.1 kHz, and the seconds at which something begins to sound."""

    samples: Samples
    onsets: Array


@dataclass(frozen=True)
class SoundRecipe:
    """How a class of sounds is made: the words of its caption, seconds between onsets, and the sound of one event."""

    words: str
    gap: tuple[float, float]
    event: Callable[[np.random.Generator, float], Array]


def synthesise(name: str, seed: int, duration: float) -> SourceSound:
    """Make a sound: events at random gaps, the last one cut off.

    The parts that sound all have the same RMS, so that no class of sounds drowns another.

    Args:
        name: a key of `RECIPES`.
        seed: of everything that is left to chance.
        duration: seconds.

    Returns:
        The sound at 44.1 kHz, and when its events begin.
    """
    recipe = RECIPES[name]
    rng = np.random.default_rng(seed)
    onsets = _onset_times(rng, recipe.gap, duration)
    out = np.zeros(round(duration * SAMPLE_RATE))
    for index, onset in enumerate(onsets):
        until = onsets[index + 1] if index + 1 < len(onsets) else duration
        at = round(onset * SAMPLE_RATE)
        event = recipe.event(rng, until - onset)[: len(out) - at]
        out[at : at + len(event)] += event
    loud = np.abs(out) > 0.05 * np.abs(out).max()
    return SourceSound((out * (LOUDNESS / np.sqrt(np.mean(out[loud] ** 2)))).astype(np.float32), onsets)


def _onset_times(rng: np.random.Generator, gap: tuple[float, float], duration: float) -> Array:
    gaps = rng.uniform(*gap, size=int(duration / gap[0]) + 2)
    times = rng.uniform(0.1, 0.3) + np.concatenate([[0.0], np.cumsum(gaps)])
    return np.asarray(times[times < duration - 0.1])


def _time(seconds: float) -> Array:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _noise(rng: np.random.Generator, seconds: float, low: float, high: float) -> Array:
    """White noise between two frequencies in Hz, of RMS 1."""
    band = scipy.signal.butter(2, (low, high), "bandpass", fs=SAMPLE_RATE, output="sos")
    out = scipy.signal.sosfilt(band, rng.standard_normal(round(seconds * SAMPLE_RATE)))
    return np.asarray(out / max(float(np.std(out)), 1e-9))


def _attack(time: Array, seconds: float) -> Array:
    return np.asarray(np.minimum(time / seconds, 1.0))


def _string(rng: np.random.Generator, _: float) -> Array:
    """A string after Karplus and Strong (1983): a burst of noise in a loop whose length is the period."""
    pitch = 110 * 2 ** (rng.choice([0, 3, 5, 7, 10, 12, 15, 17]) / 12)
    # The loop's averaging filter delays by half a sample of its own.
    period = SAMPLE_RATE / pitch - 0.5
    whole = int(period)
    loop = np.zeros(whole + 3)
    loop[whole : whole + 3] = np.convolve([0.5, 0.5], [1 - period + whole, period - whole])
    pluck = np.zeros(round(1.8 * SAMPLE_RATE))
    pluck[:whole] = rng.uniform(-1, 1, whole)
    out = scipy.signal.lfilter([1.0], np.concatenate([[1.0], -0.998 * loop[1:]]), pluck)
    return np.asarray(out * np.exp(-_time(1.8) / 0.7))


def _bell(rng: np.random.Generator, _: float) -> Array:
    """A metal bar: the modes of a free bar (1, 2.76, 5.40, 8.93), the high ones shorter."""
    time = _time(2.2)
    pitch = rng.uniform(420, 900)
    out = np.zeros_like(time)
    for ratio, level, decay in ((1.0, 1.0, 0.9), (2.76, 0.7, 0.55), (5.40, 0.5, 0.3), (8.93, 0.3, 0.16)):
        out += level * np.sin(2 * np.pi * ratio * pitch * time + rng.uniform(0, 2 * np.pi)) * np.exp(-time / decay)
    out *= _attack(time, 0.002)
    out += 0.4 * _noise(rng, 2.2, 3000, 12000) * np.exp(-time / 0.006)
    return out


def _drum(rng: np.random.Generator, _: float) -> Array:
    """A skin whose pitch falls after the stroke, and the noise of the stroke."""
    time = _time(0.7)
    deep = rng.uniform(70, 110)
    phase = 2 * np.pi * (deep * time + deep * 0.05 * (1 - np.exp(-time / 0.05)))
    skin = np.sin(phase) * np.exp(-time / 0.14)
    rattle = _noise(rng, 0.7, 900, 9000) * (0.5 * np.exp(-time / 0.05) + 0.5 * np.exp(-time / 0.012))
    return np.asarray((skin + 0.6 * rattle) * _attack(time, 0.001))


def _engine(rng: np.random.Generator, seconds: float) -> Array:
    """Firing strokes that speed up when the engine is revved, and the hiss between them."""
    time = _time(seconds)
    rate = rng.uniform(24, 34) * (1 + 0.8 * np.exp(-time / 0.35) * _attack(time, 0.06))
    phase = np.cumsum(rate) / SAMPLE_RATE
    stroke = np.exp(-8 * (phase % 1.0))
    body = _noise(rng, seconds, 60, 900) + 0.5 * _noise(rng, seconds, 900, 7000)
    swell = 0.2 + 0.8 * np.exp(-time / 0.35)
    return np.asarray(body * (0.15 + stroke) * swell * _attack(time, 0.01) * _attack(time[::-1], 0.02))


def _water(rng: np.random.Generator, _: float) -> Array:
    """A splash of noise and the rising tones of the bubbles after it."""
    time = _time(1.1)
    out = _noise(rng, 1.1, 700, 11000) * np.exp(-time / 0.16) * _attack(time, 0.004)
    for _bubble in range(rng.integers(10, 20)):
        start, pitch = rng.uniform(0.02, 0.8), rng.uniform(500, 2200)
        bubble = _time(0.05)
        tone = np.sin(2 * np.pi * pitch * (bubble + 6 * bubble**2)) * np.exp(-bubble / 0.012) * _attack(bubble, 0.001)
        at = round(start * SAMPLE_RATE)
        out[at : at + len(tone)] += rng.uniform(0.3, 0.9) * np.exp(-start / 0.5) * tone
    return np.asarray(out)


def _bird(rng: np.random.Generator, _: float) -> Array:
    """A whistled sweep with a trill on it."""
    length = rng.uniform(0.09, 0.2)
    time = _time(length)
    first, last = rng.uniform(2200, 4800, 2)
    sweep = first + (last - first) * time / length + rng.uniform(100, 400) * np.sin(2 * np.pi * 28 * time)
    phase = 2 * np.pi * np.cumsum(sweep) / SAMPLE_RATE
    shape = np.sin(np.pi * time / length) ** 0.5
    return np.asarray((np.sin(phase) + 0.25 * np.sin(2 * phase)) * shape)


def _footstep(rng: np.random.Generator, _: float) -> Array:
    """Heel, then sole: a thump and a click, twice."""
    time = _time(0.35)
    out = np.zeros_like(time)
    for delay, level in ((0.0, 1.0), (rng.uniform(0.05, 0.09), 0.5)):
        since = np.maximum(time - delay, 0.0)
        struck = (time >= delay) * _attack(since, 0.001)
        thump = np.sin(2 * np.pi * rng.uniform(80, 120) * since) * np.exp(-since / 0.03)
        click = _noise(rng, 0.35, 500, 6000) * np.exp(-since / 0.014)
        out += level * struck * (0.7 * thump + click)
    return out


RECIPES: dict[str, SoundRecipe] = {
    "string": SoundRecipe("a guitar string being plucked", (0.35, 0.8), _string),
    "bell": SoundRecipe("a metal chime ringing", (0.5, 1.0), _bell),
    "drum": SoundRecipe("a drum beating", (0.3, 0.65), _drum),
    "engine": SoundRecipe("an engine revving", (0.8, 1.3), _engine),
    "water": SoundRecipe("water splashing", (0.5, 0.9), _water),
    "bird": SoundRecipe("a bird chirping", (0.22, 0.5), _bird),
    "footsteps": SoundRecipe("footsteps on a hard floor", (0.48, 0.58), _footstep),
}
