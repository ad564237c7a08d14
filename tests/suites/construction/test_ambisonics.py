"""Ambisonics: encoding, turning, and what two ears hear, against closed forms and the head it comes from."""

from __future__ import annotations

import hashlib
import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.suites.ambisonics import binaural, encode, harmonics, rotate
from visaudio_bench.suites.foa_decoders import DECODERS, load_decoder
from visaudio_bench.suites.media import resample
from visaudio_bench.suites.simulator.hrtf import pan, unit_vector

angles = st.floats(-np.pi, np.pi)
small = st.floats(-0.8, 0.8)


def noise(seconds: float, rate: int = 44100) -> np.ndarray:
    return 0.05 * np.random.default_rng(3).standard_normal(round(seconds * rate)).astype(np.float32)


def matrix(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Camera axes to world axes, from the elementary rotations of the paper (Eqs. 31-33)."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, -pitch, roll))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return about_z @ about_y @ about_x


def cues(sound: np.ndarray) -> tuple[float, float]:
    found = interaural_cues(sound)
    return float(np.median(found.ild)), float(np.median(found.itd))


def test_a_plane_wave_from_the_left_is_in_w_and_y_alone() -> None:
    np.testing.assert_allclose(harmonics(np.pi / 2, 0.0), [1, 1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(harmonics(0.0, np.pi / 2), [1, 0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(harmonics(0.0, 0.0), [1, 0, 0, 1], atol=1e-15)


@given(azimuth=angles, elevation=st.floats(-1.5, 1.5), yaw=angles, pitch=small, roll=small)
@settings(max_examples=50)
def test_a_turned_field_is_that_of_the_source_in_camera_axes(
    azimuth: float, elevation: float, yaw: float, pitch: float, roll: float
) -> None:
    wave = encode(np.ones(2, np.float32), azimuth, elevation)
    turned = rotate(wave, yaw, pitch, np.array([roll, roll]))
    x, y, z = matrix(yaw, pitch, roll).T @ unit_vector(azimuth, elevation)
    np.testing.assert_allclose(turned[:, 0], [1, y, z, x], atol=2e-6)
    assert turned.dtype == np.float32


def test_angles_for_each_sample_turn_each_sample() -> None:
    yaw = np.linspace(-4, 4, 50)
    turned = rotate(encode(np.ones(50, np.float32), 0.3), yaw)
    np.testing.assert_allclose(np.arctan2(turned[1], turned[3]), (0.3 - yaw + np.pi) % (2 * np.pi) - np.pi, atol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_near_ear_is_louder_and_leads(decoder: str) -> None:
    sound = noise(2.0)
    for azimuth in np.deg2rad([-135, -90, -45, -20, 20, 45, 90, 135]):
        ild, itd = cues(binaural(encode(sound, azimuth), 44100, decoder))
        assert np.sign(ild) == np.sign(itd) == np.sign(azimuth)
        assert abs(ild) > 3.5 and abs(itd) > 50
    ild, itd = cues(binaural(encode(sound, 0.0), 44100, decoder))
    assert abs(ild) < 1e-4 and abs(itd) < 1


def test_cues_of_the_decoders_beside_those_of_the_head() -> None:
    sound = noise(2.0)
    azimuths = np.deg2rad([15, 30, 45, 60])
    head = np.array([cues(pan(sound, azimuth)) for azimuth in azimuths])
    omnitone, kemar = (
        np.array([cues(binaural(encode(sound, azimuth), 44100, name)) for azimuth in azimuths]) for name in DECODERS
    )
    # Level differences: Omnitone's are a third too small, those fitted to the head a tenth.
    assert np.mean(omnitone[:, 0] / head[:, 0]) == pytest.approx(0.64, abs=0.03)
    assert np.mean(kemar[:, 0] / head[:, 0]) == pytest.approx(0.87, abs=0.04)
    # No first-order decoder reaches the time differences of a head (608 microseconds at 60 degrees).
    assert omnitone[-1, 1] == pytest.approx(400, abs=20) and kemar[-1, 1] == pytest.approx(400, abs=20)


def test_omnitone_s_own_graph_at_its_own_rate() -> None:
    taps = load_decoder("omnitone").taps
    impulses = np.zeros((4, 300), np.float32)
    impulses[:, 0] = (0.5, 0.25, -0.125, 1.0)
    w, y, z, x = impulses[:, :1] * taps
    ears = binaural(impulses, 48000)
    np.testing.assert_allclose(ears[0, :256], w + y + z + x, atol=1e-6)
    np.testing.assert_allclose(ears[1, :256], w - y + z + x, atol=1e-6)
    assert not np.any(np.abs(ears[:, 256:]) > 1e-6)


def test_the_responses_are_the_ones_that_omnitone_ships() -> None:
    taps = np.rint(load_decoder("omnitone").taps * 32768).astype("<i2")
    for pair, known in zip((taps[:2], taps[2:]), ("28ff31e8d3fd39d5", "8aff90c47b54678b"), strict=True):
        shipped = io.BytesIO()
        with wave.open(shipped, "wb") as file:
            file.setparams((2, 2, 48000, 256, "NONE", "not compressed"))
            file.writeframes(pair.T.tobytes())
        assert hashlib.sha256(shipped.getvalue()).hexdigest().startswith(known)


def test_the_result_does_not_depend_on_the_rate_that_the_field_comes_at() -> None:
    field = encode(resample(noise(1.0, 16000)[None], 16000, 48000)[0], 0.7, 0.2)
    native = resample(binaural(field, 48000), 48000, 44100)
    other = binaural(resample(field, 48000, 44100), 44100)
    assert other.shape == (2, 44100)
    assert np.sqrt(np.mean((native - other)[:, 500:-500] ** 2) / np.mean(native**2)) < 2e-3


@pytest.mark.parametrize("length", [1, 255, 44101])
def test_the_result_is_as_long_as_the_field(length: int) -> None:
    assert binaural(np.ones((4, length), np.float32), 44100).shape == (2, length)


def test_wrong_requests_say_what_is_wrong() -> None:
    with pytest.raises(UsageError, match='Did you mean "omnitone"'):
        binaural(np.zeros((4, 10), np.float32), 48000, "omnitune")
    with pytest.raises(ValueError, match="4, samples"):
        binaural(np.zeros((2, 10), np.float32), 48000)
    with pytest.raises(ValueError, match="4, samples"):
        rotate(np.zeros((10, 4), np.float32), 0.1)
