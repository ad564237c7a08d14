"""Time-stretching against what is known of the sound that goes in: lag, level, coherence, pitch, length, time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from visaudio_bench.baselines.published.stretch import stretch
from visaudio_bench.suites.media import Samples

RATE = 44100
FIVE, EIGHT = 5 * RATE, 8 * RATE
LAG = 18


def two_ears(mono: np.ndarray) -> Samples:
    """The left ear 18 samples ahead and 6.02 dB louder."""
    return np.stack([mono[LAG:], 0.5 * mono[:-LAG]]).astype(np.float32)


def noise(length: int = FIVE) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(length + LAG)


def clicks() -> np.ndarray:
    train = np.zeros(FIVE + LAG)
    train[2000::11025] = 0.8
    time = np.arange(400)
    return np.convolve(train, np.exp(-time / 60) * np.sin(time / 2))[: train.size]


def tones() -> np.ndarray:
    time = np.arange(FIVE + LAG) / RATE
    return 0.1 * sum(np.sin(2 * np.pi * f * time) for f in (220.0, 880.0, 1320.0))


def lag_and_coherence(ears: Samples) -> tuple[int, float]:
    left, right = ears.astype(np.float64)
    correlation = correlate(right, left, "full", "fft") / np.sqrt((left @ left) * (right @ right))
    near = correlation[len(left) - 1 - 150 : len(left) + 150]
    return int(np.argmax(near)) - 150, float(near.max())


def level_difference(ears: Samples) -> float:
    power = np.sum(ears.astype(np.float64) ** 2, axis=1)
    return float(10 * np.log10(power[0] / power[1]))


@pytest.mark.parametrize("sound", [noise, clicks])
def test_both_ears_together_keep_everything_between_them(sound) -> None:
    stretched = stretch(two_ears(sound()), RATE, EIGHT)
    assert stretched.shape == (2, EIGHT)
    lag, coherence = lag_and_coherence(stretched)
    assert lag == LAG
    assert coherence > 0.999
    assert level_difference(stretched) == pytest.approx(6.02, abs=0.05)


def test_each_ear_alone_loses_it() -> None:
    """The reason for stretching them together, and a proof that the measures above can fail."""
    ears = two_ears(noise())
    alone = np.concatenate([stretch(ear[None], RATE, EIGHT) for ear in ears])
    assert lag_and_coherence(alone)[1] < 0.3


def test_pitch_is_kept_or_lowered_by_eight_fifths() -> None:
    def strongest(ear: np.ndarray, count: int) -> list[float]:
        spectrum = np.abs(np.fft.rfft(ear * np.hanning(ear.size)))
        found = []
        for _ in range(count):
            peak = int(np.argmax(spectrum))
            found.append(peak * RATE / ear.size)
            spectrum[max(peak - 200, 0) : peak + 200] = 0
        return sorted(found)

    ears = two_ears(tones())
    assert strongest(stretch(ears, RATE, EIGHT)[0], 3) == pytest.approx([220, 880, 1320], abs=1)
    lowered = [f / 1.6 for f in (220, 880, 1320)]
    assert strongest(stretch(ears, RATE, EIGHT, "resample")[0], 3) == pytest.approx(lowered, abs=1)


def test_resampling_lengthens_the_time_difference() -> None:
    lag, _ = lag_and_coherence(stretch(two_ears(noise()), RATE, EIGHT, "resample"))
    assert lag == pytest.approx(1.6 * LAG, abs=1)


def test_steady_sound_keeps_its_level_to_the_last_sample() -> None:
    ears = two_ears(tones())
    stretched = stretch(ears, RATE, EIGHT)
    before = np.sqrt(np.mean(ears**2))
    assert np.sqrt(np.mean(stretched**2)) == pytest.approx(before, rel=0.02)
    assert np.sqrt(np.mean(stretched[:, -2205:] ** 2)) == pytest.approx(before, rel=0.15)


def test_events_stay_within_forty_milliseconds_of_their_time() -> None:
    ears = np.zeros((2, FIVE), dtype=np.float32)
    ears += 0.001 * np.random.default_rng(1).standard_normal(ears.shape).astype(np.float32)
    at = np.arange(9000, FIVE - 9000, 17011)
    for start in at:
        ears[:, start : start + 64] += 0.5
    stretched = stretch(ears, RATE, EIGHT)[0].astype(np.float64)
    for start in at:
        expected = round(1.6 * (start + 32))
        window = np.clip(stretched[expected - 6000 : expected + 6000] ** 2 - 1e-4, 0, None)
        centre = np.average(np.arange(12000), weights=window) - 6000
        assert abs(centre) < 0.04 * RATE


@settings(max_examples=15)
@given(st.integers(4000, 30000), st.floats(0.6, 1.9), st.sampled_from([16000, 44100, 48000]))
def test_length_is_exact_to_a_sample(length: int, ratio: float, rate: int) -> None:
    sound = two_ears(noise(length))
    for kind in ("atempo", "resample"):
        assert stretch(sound, rate, round(length * ratio), kind).shape == (2, round(length * ratio))  # type: ignore[arg-type]


def test_what_is_long_enough_is_left_alone() -> None:
    sound = two_ears(noise(4000))
    assert stretch(sound, RATE, sound.shape[1]) is sound


@settings(max_examples=8)
@given(st.integers(0, 2**16), st.floats(0.01, 4))
def test_exchanging_ears_and_turning_up_commute_with_it(seed: int, gain: float) -> None:
    sound = np.random.default_rng(seed).standard_normal((2, 20000)).astype(np.float32) * 0.1
    sound[1] *= 0.3
    out = stretch(sound, RATE, 32000)
    np.testing.assert_allclose(stretch(sound[::-1].copy(), RATE, 32000), out[::-1], atol=1e-6)
    np.testing.assert_allclose(stretch(sound * np.float32(gain), RATE, 32000), out * gain, atol=2e-4 * gain)
