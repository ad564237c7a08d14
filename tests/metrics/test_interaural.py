import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.interaural import MINIMUM_SAMPLES, erb_edges, interaural_cues

ILD_DB, ITD_US, IACC, LATERAL = 1e-4, 0.05, 1e-5, 2e-5
SIGNALS = ("A:id", "B:id", "C:id", "E:id", "F:id", "A:mono", "A:swap", "A:gain025", "A:rsilent", "A:zeros", "B:swap",
           "F:swap")  # fmt: skip
few = settings(max_examples=12, deadline=None)
sources = st.tuples(st.integers(0, 10**6), st.floats(-30, 30), st.floats(-12, 12))


@pytest.mark.parametrize("name", SIGNALS)
def test_golden_cues(name, spatial, signal):
    expected = spatial["cues"][name]
    cues = interaural_cues(signal(name))
    np.testing.assert_allclose(cues.ild, expected["ild"], atol=ILD_DB, rtol=0)
    np.testing.assert_allclose(cues.itd, expected["itd_us"], atol=ITD_US, rtol=0)
    np.testing.assert_allclose(cues.iacc, expected["iacc"], atol=IACC, rtol=0)
    np.testing.assert_allclose(cues.lateralisation, expected["lat"], atol=LATERAL, rtol=0)
    np.testing.assert_allclose(cues.energy, expected["energy"], rtol=1e-5)
    np.testing.assert_allclose(cues.ild_bands[0], expected["ild_band_seg0"], atol=ILD_DB, rtol=0)
    for flag in ("active", "ild_ok", "itd_ok"):
        np.testing.assert_array_equal(getattr(cues, flag), expected[flag])


def test_golden_signals_are_all_covered(spatial):
    assert set(SIGNALS) == set(spatial["cues"])


def test_bands_are_those_of_the_specification(spatial):
    np.testing.assert_allclose(erb_edges(), spatial["spec"]["erb_edges_hz"], rtol=1e-12)


def test_known_delay_and_gain_are_measured(spatial, signal):
    cues = interaural_cues(signal("F:id"))
    np.testing.assert_allclose(cues.itd, spatial["meta"]["F_delay_samples"] / 44100 * 1e6, atol=0.05)
    np.testing.assert_allclose(cues.ild, spatial["meta"]["F_gain_db"], atol=1e-3)


def test_eight_seconds_have_28_segments():
    assert interaural_cues(np.ones((2, 8 * 44100), np.float32)).ild_bands.shape == (28, 27)


@few
@given(sources)
def test_swapped_ears_negate_the_signed_cues(point_source, source):
    audio = point_source(*source)
    cues, swapped = interaural_cues(audio), interaural_cues(audio[::-1].copy())
    np.testing.assert_allclose(swapped.ild, -cues.ild, atol=ILD_DB)
    np.testing.assert_allclose(swapped.itd, -cues.itd, atol=ITD_US)
    np.testing.assert_allclose(swapped.lateralisation, -cues.lateralisation, atol=LATERAL)
    np.testing.assert_allclose(swapped.iacc, cues.iacc, atol=IACC)
    assert swapped.side_mid == pytest.approx(cues.side_mid, abs=1e-4)


@few
@given(sources, st.floats(0.05, 2))
def test_a_common_gain_changes_nothing(point_source, source, gain):
    audio = point_source(*source)
    cues, scaled = interaural_cues(audio), interaural_cues(audio * np.float32(gain))
    np.testing.assert_allclose(
        scaled.ild, cues.ild, atol=1e-3
    )  # the floor of a band's power, 26 dB nearer at the least
    np.testing.assert_allclose(scaled.itd, cues.itd, atol=ITD_US)
    np.testing.assert_allclose(scaled.iacc, cues.iacc, atol=IACC)
    np.testing.assert_array_equal(scaled.active, cues.active)


@few
@given(sources)
def test_a_common_delay_of_one_segment_hop_moves_the_cues_by_one_segment(point_source, source):
    audio = point_source(*source)
    later = interaural_cues(np.pad(audio, ((0, 0), (25 * 441, 0))))
    cues = interaural_cues(audio)
    np.testing.assert_allclose(later.ild[1:], cues.ild, atol=1e-5)
    np.testing.assert_allclose(later.itd[1:], cues.itd, atol=0.01)
    np.testing.assert_allclose(later.iacc[1:], cues.iacc, atol=1e-6)


@few
@given(sources, st.integers(1, 440))
def test_a_common_delay_hardly_moves_a_static_source(point_source, source, delay):
    audio = point_source(*source)
    cues, later = interaural_cues(audio), interaural_cues(np.roll(audio, delay, axis=1))
    np.testing.assert_allclose(later.ild, cues.ild, atol=0.1)
    np.testing.assert_allclose(later.itd, cues.itd, atol=3)
    np.testing.assert_allclose(later.iacc, cues.iacc, atol=0.01)


@few
@given(sources)
def test_lateralisation_points_where_delay_and_level_agree(point_source, source):
    seed, delay, gain = source
    audio = point_source(seed, delay, gain)
    cues = interaural_cues(audio)
    expected = (np.clip(gain / 15, -1, 1) + np.clip(delay / 44100 / 700e-6, -1, 1)) / 2
    np.testing.assert_allclose(cues.lateralisation, expected, atol=0.02)


def test_identical_channels_are_centred_exactly(signal):
    cues = interaural_cues(signal("B:mono"))
    assert not cues.ild.any() and not cues.itd.any() and not cues.lateralisation.any()
    np.testing.assert_allclose(cues.iacc, 1, atol=1e-6)
    assert cues.side_mid < -90


def test_anti_phase_is_coherent_and_told_by_side_over_mid(signal):
    audio = signal("A:mono") * np.array([[1], [-1]], np.float32)
    cues = interaural_cues(audio)
    np.testing.assert_allclose(cues.iacc, 1, atol=1e-5)
    assert cues.side_mid > 90


def test_one_silent_channel_is_at_the_limit_without_an_itd(signal):
    cues = interaural_cues(signal("A:rsilent")[::-1].copy())
    np.testing.assert_allclose(cues.ild, -30, atol=1e-5)
    assert cues.ild.min() >= -30
    np.testing.assert_array_equal(cues.lateralisation, -1)
    assert not cues.itd_ok.any()


def test_the_gate_follows_the_loudest_segment(signal):
    audio = np.concatenate([signal("A:id"), 0.05 * signal("A:id")], axis=1)
    active = interaural_cues(audio).active
    assert active[0] and not active[-1]


def test_tensors_and_arrays_of_any_float_give_the_same(signal):
    audio = signal("A:id")
    expected = interaural_cues(audio)
    for other in (torch.from_numpy(audio), torch.from_numpy(audio).double(), audio.astype(np.float64)):
        for field, value in zip(expected._fields, interaural_cues(other), strict=True):
            np.testing.assert_array_equal(value, getattr(expected, field), err_msg=field)


def test_a_tensor_that_needs_a_gradient_is_accepted(signal):
    assert interaural_cues(torch.from_numpy(signal("A:id")).requires_grad_()).ild.shape == (4,)


@pytest.mark.parametrize(
    ("audio", "rate", "reason", "hint"),
    [
        (np.zeros((1, 90000), np.float32), 44100, "not_two_channel", "left first"),
        (np.zeros((90000, 2), np.float32), 44100, "not_two_channel", "transpose"),
        (np.zeros(90000, np.float32), 44100, "not_two_channel", "(90000,)"),
        (np.zeros((2, 90000), np.float32), 48000, "wrong_rate", "48000"),
        (np.zeros((2, MINIMUM_SAMPLES - 1), np.float32), 44100, "short", "1.04"),
        (np.zeros((2, 90000), np.int16), 44100, "not_float", "32768"),
        (np.full((2, 90000), np.nan, np.float32), 44100, "not_finite", "NaN"),
        (np.pad(np.full((2, 1), np.inf, np.float32), ((0, 0), (0, 90000))), 44100, "not_finite", "infinite"),
    ],
)
def test_unusable_audio_is_refused_with_a_reason(audio, rate, reason, hint):
    with pytest.raises(ClipError) as caught:
        interaural_cues(audio, rate)
    assert caught.value.reason == reason
    assert hint in str(caught.value)


def test_the_shortest_clip_has_one_segment():
    assert interaural_cues(np.ones((2, MINIMUM_SAMPLES), np.float32)).ild.shape == (1,)
