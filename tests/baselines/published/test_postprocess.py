"""Post-processing against closed forms: where a plane wave ends, what the downmix weighs, how long things are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from visaudio_bench.baselines.published.downmix import BS775, downmix
from visaudio_bench.baselines.published.postprocess import POSTPROCESSES
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.media import Samples

RATE = 44100
CHANNELS = {"mono_to_both_ears": 1, "two_channels": 2, "ambisonics_to_binaural": 4, "surround_to_two_channels": 6}
EIGHT, HALF = {"seconds": 8.0}, {"seconds": 0.5}


def noise(channels: int, seconds: float, rate: int = RATE, seed: int = 0) -> Samples:
    return 0.05 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate))).astype(np.float32)


def left_leads(ears: Samples) -> int:
    correlation = correlate(ears[1], ears[0], "full", "fft")
    middle = ears.shape[1] - 1
    return int(np.argmax(correlation[middle - 60 : middle + 61])) - 60


@pytest.mark.parametrize("decoder", ["omnitone", "kemar"])
def test_a_plane_wave_from_the_left_ends_louder_and_earlier_left(decoder: str) -> None:
    wave = noise(1, 5.0, 16000)[0]
    options = {"seconds": 8.0, "compression": 0.625, "decoder": decoder}
    for azimuth, sign in ((np.pi / 2, 1), (-np.pi / 2, -1)):
        ears = POSTPROCESSES["ambisonics_to_binaural"](encode(wave, azimuth), 16000, options).samples
        assert ears.shape == (2, 352800)
        louder = 10 * np.log10(np.sum(ears[0] ** 2) / np.sum(ears[1] ** 2))
        assert sign * louder > 3
        assert sign * left_leads(ears) > 10  # more than a quarter of a millisecond, after the stretch


def test_a_plane_wave_from_the_front_is_the_same_in_both_ears() -> None:
    ears = POSTPROCESSES["ambisonics_to_binaural"](encode(noise(1, 0.5)[0], 0.0), RATE, HALF).samples
    np.testing.assert_array_equal(ears[0], ears[1])


def test_coefficients_of_the_downmix() -> None:
    """ITU-R BS.775 for 3/2 to 2/0: 1, 0.7071, 0.7071 and nothing of the low-frequency channel."""
    channels = {"FL": (1, 0), "FR": (0, 1), "FC": (0.7071, 0.7071), "LFE": (0, 0), "BL": (0.7071, 0), "BR": (0, 0.7071)}
    for index, expected in enumerate(channels.values()):
        one = np.zeros((6, 10), dtype=np.float32)
        one[index, 3] = 1
        np.testing.assert_allclose(downmix(one)[:, 3], expected, atol=1e-4)
    quieter = downmix(np.eye(6, dtype=np.float32), "bs775-integer")
    np.testing.assert_allclose(quieter[0], [0.4142, 0, 0.2929, 0, 0.2929, 0], atol=1e-4)


def test_the_downmix_keeps_the_energy_of_independent_channels() -> None:
    sound = noise(6, 0.5)
    ears = POSTPROCESSES["surround_to_two_channels"](sound, RATE, HALF).samples
    expected = BS775**2 @ np.sum(sound.astype(np.float64) ** 2, axis=1)
    np.testing.assert_allclose(np.sum(ears.astype(np.float64) ** 2, axis=1), expected, rtol=0.03)


def test_mono_is_heard_by_both_ears_and_stereo_stays() -> None:
    mono = noise(1, 0.5)
    ears = POSTPROCESSES["mono_to_both_ears"](mono, RATE, HALF).samples
    np.testing.assert_allclose(ears, np.repeat(mono, 2, axis=0), atol=2**-16)
    stereo = noise(2, 0.5)
    np.testing.assert_allclose(POSTPROCESSES["two_channels"](stereo, RATE, HALF).samples, stereo, atol=2**-16)


@pytest.mark.parametrize(
    ("layout", "rate", "samples", "padded", "cut"),
    [
        ("two_channels", 44100, 352256, 544, 0),  # ThinkSound: 172 latents of 2048
        ("mono_to_both_ears", 44100, 353280, 0, 480),  # MMAudio: 345 frames of 1024
        ("two_channels", 44100, 485100, 0, 132300),  # AudioX: 11 s
        ("surround_to_two_channels", 16000, 163872, 0, 35872),  # See2Sound
        ("two_channels", 16000, 128000, 0, 0),  # 2.5D Visual Sound
    ],
)
def test_native_lengths_become_eight_seconds(layout: str, rate: int, samples: int, padded: int, cut: int) -> None:
    sound = noise(CHANNELS[layout], samples / rate, rate)
    assert sound.shape[1] == samples
    finished = POSTPROCESSES[layout](sound, rate, EIGHT)
    assert finished.samples.shape == (2, 352800)
    assert finished.samples.dtype == np.float32
    step = finished.record["steps"][0]
    assert (step["padded"], step["cut"]) == (padded, cut)
    assert not finished.samples[:, 352800 - padded :].any()


def test_visage_becomes_eight_seconds() -> None:
    """80063 samples at 16 kHz: 5.004 s, cut to five, heard, and stretched to eight."""
    finished = POSTPROCESSES["ambisonics_to_binaural"](
        noise(4, 80063 / 16000, 16000), 16000, {"seconds": 8.0, "compression": 0.625}
    )
    assert finished.samples.shape == (2, 352800)
    steps = {step["step"]: step for step in finished.record["steps"]}
    assert steps["fit"]["cut"] == 63
    assert (steps["stretch"]["compression"], steps["stretch"]["to"], steps["stretch"]["by"]) == (0.625, 8.0, "atempo")
    assert steps["stretch"]["filter"].startswith("libavfilter ")
    assert steps["binaural"]["decoder"] == "omnitone"
    json.dumps(finished.record, allow_nan=False)


@pytest.mark.parametrize(
    ("reason", "sound"),
    [
        ("short", noise(2, 0.44)),
        ("channels", noise(1, 0.5)),
        ("channels", noise(2, 0.5)[0]),
        ("silent", np.zeros((2, 22050), dtype=np.float32)),
        ("not_finite", np.where(np.arange(22050) == 7, np.nan, noise(2, 0.5)).astype(np.float32)),
        ("not_finite", np.where(np.arange(22050) == 7, np.inf, noise(2, 0.5)).astype(np.float32)),
    ],
)
def test_what_was_not_promised_is_refused(reason: str, sound: Samples) -> None:
    with pytest.raises(ClipError) as caught:
        POSTPROCESSES["two_channels"](sound, RATE, HALF)
    assert caught.value.reason == reason


def test_fifty_milliseconds_may_be_missing_and_no_more() -> None:
    finished = POSTPROCESSES["two_channels"](noise(2, 0.5)[:, : 22050 - 2205], RATE, HALF)
    assert finished.record["steps"][0]["padded"] == 2205
    with pytest.raises(ClipError, match="50 ms"):
        POSTPROCESSES["two_channels"](noise(2, 0.5)[:, : 22050 - 2206], RATE, HALF)


def test_only_what_exceeds_full_scale_is_turned_down() -> None:
    quiet, loud = noise(2, 0.5), 40 * noise(2, 0.5)
    assert POSTPROCESSES["two_channels"](quiet, RATE, HALF).gain == 1.0
    finished = POSTPROCESSES["two_channels"](loud, RATE, HALF)
    assert finished.gain == pytest.approx(1 / np.abs(loud).max())
    np.testing.assert_allclose(finished.samples, loud * finished.gain, atol=2**-14)


def test_levels_are_those_of_the_result() -> None:
    finished = POSTPROCESSES["two_channels"](noise(2, 0.5), RATE, HALF)
    left, right = np.sqrt(np.mean(finished.samples.astype(np.float64) ** 2, axis=1))
    assert finished.record["rms"] == pytest.approx({"left": left, "right": right})
    assert finished.record["peak"] == pytest.approx(np.abs(finished.samples).max())


# The channels that change places when everything is mirrored, and their signs.
MIRROR = {
    "two_channels": ([1, 0], [1, 1]),
    "ambisonics_to_binaural": ([0, 1, 2, 3], [1, -1, 1, 1]),
    "surround_to_two_channels": ([1, 0, 2, 3, 5, 4], [1] * 6),
}


@settings(max_examples=12)
@given(st.sampled_from([*MIRROR]), st.integers(0, 2**16), st.booleans())
def test_a_mirrored_sound_ends_mirrored(layout: str, seed: int, compressed: bool) -> None:
    options = {"seconds": 0.4, "compression": 0.625 if compressed else 1.0}
    sound = noise(CHANNELS[layout], 0.4, 16000, seed)
    order, signs = MIRROR[layout]
    mirrored = sound[order] * np.array(signs, dtype=np.float32)[:, None]
    made = [POSTPROCESSES[layout](one, 16000, options).samples for one in (sound, mirrored)]
    np.testing.assert_allclose(made[1], made[0][::-1], atol=2**-14)


@settings(max_examples=12)
@given(st.sampled_from([*CHANNELS]), st.floats(0.05, 1))
def test_a_softer_sound_ends_as_much_softer(layout: str, gain: float) -> None:
    sound = noise(CHANNELS[layout], 0.5)
    loud, soft = (POSTPROCESSES[layout](sound * np.float32(g), RATE, HALF).samples for g in (1, gain))
    np.testing.assert_allclose(soft, loud * gain, atol=2**-14)
