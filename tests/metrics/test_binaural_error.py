import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.binaural_error import binaural_errors, clip_quantities

PREDICTIONS = ("P:id", "P:mono", "P:swap", "Q:id", "P:gain025", "P:delay100", "P:zeros")
few = settings(max_examples=10, deadline=None)
pairs = st.integers(0, 10**6).map(lambda seed: np.random.default_rng(seed).normal(size=(2, 2, 4000)).astype(np.float32))


@pytest.mark.parametrize("name", PREDICTIONS)
def test_golden_errors(name, spatial, signal):
    expected = spatial["stft_env"][f"pred={name} gt=P:id norm=True pad=reflect"]
    found = binaural_errors(signal(name), signal("P:id"))
    assert found.stft == pytest.approx(expected["stft"], rel=1e-6)
    assert 2 * found.stft == pytest.approx(expected["mag"], rel=1e-6)
    assert found.env == pytest.approx(expected["env"], rel=1e-6)
    assert found.dphase == pytest.approx(expected["dphase"], rel=1e-5)
    assert found.snr == pytest.approx(expected["snr"], abs=1e-5)
    assert found.cropped == 0


@few
@given(pairs)
def test_identity_and_gain_are_perfect(pair):
    for gain in (1, 0.25):
        found = binaural_errors(gain * pair[0], pair[0])
        assert found[:3] == (0, 0, 0) and found.wav == 0
    power = np.mean((pair[0].astype(float) / np.abs(pair[0]).max()) ** 2)
    assert found.snr == pytest.approx(10 * math.log10((power + 1e-4) / 1e-4), abs=1e-4)


@few
@given(pairs)
def test_swapping_both_changes_nothing_and_swapped_ears_are_out_of_phase(pair):
    p, g = pair
    assert binaural_errors(p[::-1].copy(), g[::-1].copy())[:5] == pytest.approx(binaural_errors(p, g)[:5], rel=1e-4)
    assert binaural_errors(g[::-1].copy(), g).dphase == pytest.approx(math.pi, abs=1e-4)


@few
@given(pairs)
def test_waveform_error_is_the_mean_square_and_the_spectrum_obeys_parseval(pair):
    p, g = (side.astype(float) / np.abs(side).max() for side in pair)
    found = binaural_errors(*pair)
    assert found.wav == pytest.approx(1000 * np.sum(np.mean((p - g) ** 2, axis=1)), rel=1e-5)
    # White noise: the mean of both parts over 257 bins is half the window's energy times the power.
    window_energy = np.sum(np.hanning(401)[:-1] ** 2)
    assert found.stft == pytest.approx(found.wav / 1000 * window_energy / 2, rel=0.1)


def test_envelope_of_a_tone_is_its_amplitude():
    time = np.arange(8000) / 16000
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    both, half = np.stack([tone, tone]), np.stack([tone, 0.5 * tone])
    assert binaural_errors(half, both).env == pytest.approx(0.5, abs=1e-3)


def test_silence_scores_the_power_of_the_reference(signal):
    reference = signal("P:id")
    found = binaural_errors(np.zeros_like(reference), reference)
    assert found.snr == 0 and all(math.isfinite(value) for value in found)
    assert binaural_errors(reference * 0, reference * 0)[:5] == (0, 0, 0, 0, 0)


def test_mono_has_an_arbitrary_phase_near_a_right_angle(signal):
    assert binaural_errors(signal("P:mono"), signal("P:id")).dphase == pytest.approx(math.pi / 2, abs=0.01)


def test_the_longer_file_is_cut_and_that_is_told(signal):
    reference = signal("P:id")
    longer = np.pad(reference, ((0, 0), (0, 123)))
    found = binaural_errors(longer, reference)
    assert found.cropped == 123 and found[:3] == (0, 0, 0)
    assert {quantity.reason for quantity in clip_quantities(reference, longer).values()} == {"cropped"}
    assert {quantity.reason for quantity in clip_quantities(reference, reference).values()} == {None}


@pytest.mark.parametrize("length", [4000, 4001])
def test_odd_and_even_lengths_have_the_same_envelope(length):
    time = np.arange(length) / 16000
    audio = np.stack([np.sin(2 * np.pi * 440 * time), 0.25 * np.sin(2 * np.pi * 440 * time)])
    assert binaural_errors(audio[::-1].copy(), audio).env == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize(
    ("prediction", "rate", "reason"),
    [
        (np.zeros((2, 4000), np.float32), 44100, "wrong_rate"),
        (np.zeros((1, 4000), np.float32), 16000, "not_two_channel"),
        (np.zeros((2, 399), np.float32), 16000, "short"),
        (np.zeros((2, 4000), np.int16), 16000, "not_float"),
        (np.full((2, 4000), np.nan, np.float32), 16000, "not_finite"),
    ],
)
def test_unusable_audio_is_refused_with_a_reason(prediction, rate, reason):
    for pair in ((prediction, np.ones((2, 4000), np.float32)), (np.ones((2, 4000), np.float32), prediction)):
        with pytest.raises(ClipError) as caught:
            binaural_errors(*pair, sample_rate=rate)
        assert caught.value.reason == reason
