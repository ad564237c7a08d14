import numpy as np
import pytest

from visaudio_bench.metrics.loudness import integrated_loudness, k_weighting


def sine(frequency: float, decibels: float, rate: int = 48000, seconds: float = 5.0) -> np.ndarray:
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_the_standards_calibration(rate):
    """BS.1770-4: a full-scale 997 Hz sine in one front channel reads -3.01 LKFS."""
    tone = sine(997, 0, rate)
    assert integrated_loudness(np.stack([tone, 0 * tone]), rate) == pytest.approx(-3.01, abs=0.01)
    assert integrated_loudness(np.stack([tone, tone]), rate) == pytest.approx(0.0, abs=0.01)


def test_ebu_tech_3341_case_3():
    """Stereo 1 kHz, 10 s at -36 dBFS, 60 s at -23, 10 s at -36: -23.0 +- 0.1 LUFS, gating leaves the quiet out."""
    tone = np.concatenate([sine(1000, -36, seconds=10), sine(1000, -23, seconds=60), sine(1000, -36, seconds=10)])
    assert integrated_loudness(np.stack([tone, tone]), 48000) == pytest.approx(-23.0, abs=0.1)


def test_the_coefficients_at_48_khz_are_those_of_the_standard():
    shelf, highpass = k_weighting(48000)
    assert shelf[:3] == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285], abs=1e-8)
    assert shelf[4:] == pytest.approx([-1.69065929318241, 0.73248077421585], abs=1e-8)
    assert highpass[4:] == pytest.approx([-1.99004745483398, 0.99007225036621], abs=1e-8)


def test_an_incomplete_block_at_the_end_does_not_count():
    """BS.1770-4, below eq. (3); a meter that counts it as a whole one reads 0.2 LU less here."""
    noise = np.random.default_rng(0).standard_normal((2, 24000)) * 0.05
    whole = integrated_loudness(noise[:, :19200], 48000)
    assert integrated_loudness(noise[:, :22080], 48000) == pytest.approx(whole, abs=1e-9)
    assert integrated_loudness(noise[:, :4800], 48000) == pytest.approx(whole, abs=0.3)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_pyloudnorm_measures_the_same_where_it_measures(rate):
    """Whole numbers of blocks, with the filters that it calls DeMan, which are those of the standard."""
    meter = pytest.importorskip("pyloudnorm").Meter(rate, filter_class="DeMan")
    noise = np.random.default_rng(0).standard_normal((2, 4 * rate)) * 0.05
    gated = noise * np.repeat([1.0, 0.1, 1e-4, 1.0], rate)
    for sound in (noise, gated, gated[[0, 0]], gated * [[1.0], [0.0]]):
        assert integrated_loudness(sound, rate) == pytest.approx(meter.integrated_loudness(sound.T), abs=1e-6)


def test_silence_has_no_loudness_and_a_gain_moves_it_by_decibels():
    assert integrated_loudness(np.zeros((2, 48000)), 48000) == -np.inf
    noise = np.random.default_rng(0).standard_normal((2, 48000)) * 0.05
    assert integrated_loudness(noise * 2, 48000) - integrated_loudness(noise, 48000) == pytest.approx(6.0206, abs=1e-3)
