import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites.simulator.hrtf import HOP, block_count, load_kemar, pan, spatialize, unit_vector, wrap


def level(x):
    return 10 * np.log10(np.mean(x.astype(np.float64) ** 2, axis=-1))


def lead_of_left(x):
    """Samples by which the left ear leads, from the peak of the cross-correlation."""
    left, right = x.astype(np.float64)
    return int(np.argmax(np.correlate(right, left, "full"))) - (len(left) - 1)


def test_the_set_is_complete_and_symmetric():
    head = load_kemar()
    assert head.taps.shape == (710, 2, 256)
    azimuth, elevation = head.directions.T
    assert np.rad2deg(elevation.min()) == pytest.approx(-40)
    assert np.rad2deg(elevation.max()) == pytest.approx(90)
    mirrored = head.nearest(unit_vector(-azimuth, elevation))
    np.testing.assert_array_equal(head.taps[mirrored, 0], head.taps[:, 1])


@pytest.mark.parametrize(("degrees", "sign"), [(90, 1), (40, 1), (-40, -1), (-90, -1)])
def test_positive_azimuth_is_louder_and_earlier_on_the_left(degrees, sign):
    noise = np.random.default_rng(0).standard_normal(8192).astype(np.float32)
    left, right = level(out := pan(noise, np.deg2rad(degrees)))
    assert sign * (left - right) > 3
    assert 8 < sign * lead_of_left(out) < 36


def test_a_source_in_front_reaches_both_ears_alike_and_keeps_its_level():
    noise = np.random.default_rng(0).standard_normal(44100).astype(np.float32)
    left, right = pan(noise, 0.0)
    np.testing.assert_array_equal(left, right)
    assert level(left) == pytest.approx(level(noise), abs=1.0)


@given(st.integers(1, 4000), st.integers(0, 709))
def test_a_still_source_is_plain_convolution(length, direction):
    head = load_kemar()
    noise = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    out = spatialize(noise, np.full(block_count(length), direction), head)
    want = [np.convolve(noise, taps)[:length] for taps in head.taps[direction]]
    np.testing.assert_allclose(out, want, atol=2e-5)


def test_signals_add_up():
    rng = np.random.default_rng(1)
    head, length = load_kemar(), 5000
    signals = rng.standard_normal((3, length)).astype(np.float32)
    directions = rng.integers(0, 710, (3, block_count(length)))
    alone = [spatialize(signal, row, head) for signal, row in zip(signals, directions, strict=True)]
    np.testing.assert_allclose(spatialize(signals, directions, head), np.sum(alone, axis=0), atol=2e-5)


def test_panning_from_left_to_right_moves_the_level_difference_smoothly():
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    out = pan(noise, np.deg2rad([80.0, -80.0]))
    windows = out[:, : out.shape[1] // 4410 * 4410].reshape(2, -1, 4410)
    difference = level(windows[0]) - level(windows[1])
    azimuth = np.linspace(80, -80, len(difference))
    assert np.corrcoef(difference, azimuth)[0, 1] > 0.97


def test_a_jump_of_direction_makes_no_click():
    tone = np.sin(2 * np.pi * 100 * np.arange(20 * HOP) / SAMPLE_RATE).astype(np.float32)
    out = pan(tone, np.deg2rad([60.0, 60.0, -60.0, -60.0]))[:, 2 * HOP :]
    steps = np.abs(np.diff(out, n=2)).max(axis=1)
    smooth = (2 * np.pi * 100 / SAMPLE_RATE) ** 2
    assert np.all(steps < 3 * smooth)


def test_a_trajectory_across_the_back_takes_the_short_way():
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    left, right = level(pan(noise, np.deg2rad([170.0, -170.0]))[:, 15000:29000])
    assert abs(left - right) < 1.5


@given(st.floats(-100, 100))
def test_wrapping_keeps_the_direction(angle):
    assert -np.pi <= wrap(angle) < np.pi
    np.testing.assert_allclose(unit_vector(wrap(angle), 0.0), unit_vector(angle, 0.0), atol=1e-9)


@given(st.floats(-np.pi, np.pi), st.floats(-0.6, 1.5), st.floats(0.1, 50))
def test_the_nearest_direction_is_nearest_whatever_the_distance(azimuth, elevation, distance):
    head = load_kemar()
    vector = unit_vector(azimuth, elevation)
    cosines = unit_vector(head.directions[:, 0], head.directions[:, 1]) @ vector
    assert cosines[head.nearest(distance * vector)] == pytest.approx(cosines.max(), abs=1e-9)
