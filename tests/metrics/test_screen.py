import numpy as np
import pytest

from visaudio_bench.metrics.screen import screen

RATE, SAMPLES = 44100, 88200
noise = np.random.default_rng(0).normal(size=(2, SAMPLES)) * 0.1
left, right = noise


def codes(audio, rate=RATE, samples=SAMPLES):
    return [flag.code for flag in screen(np.asarray(audio, np.float32), rate, samples, RATE)]


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (noise, []),
        (np.stack([left, 0.7 * left]), []),
        (np.stack([left, 10 ** (-30 / 20) * left]), []),
        (noise * 0, ["silent"]),
        (noise * 1e-5, ["silent"]),
        (np.stack([left, left]), ["identical_channels"]),
        (np.stack([left, left + 1e-6 * right]), ["identical_channels"]),
        (np.stack([left, -left]), ["anti_phase"]),
        (np.stack([left, -left + 0.3 * right]), ["anti_phase"]),
        (np.stack([left, 0 * right]), ["one_channel_silent"]),
        (np.stack([1e-4 * left, right]), ["one_channel_silent"]),
        (np.clip(8 * noise, -1, 1), ["clipped"]),
        (np.clip(8 * noise, -1, 1) * 0.985, ["clipped"]),
        (np.clip(8 * noise, -0.5, 0.5), []),  # a compressor's ceiling well below full scale is not clipping
        (np.stack([left, np.full(SAMPLES, 0.2)]), ["constant"]),
        (np.full((2, SAMPLES), 0.3), ["constant", "constant", "identical_channels"]),
        (np.where(np.arange(SAMPLES) == 7, np.nan, noise), ["nan"]),
        (np.where(np.arange(SAMPLES) == 7, np.inf, noise), ["nan"]),
        (noise[:, : SAMPLES * 98 // 100], ["too_short"]),
        (noise[:, : SAMPLES * 995 // 1000], []),
        (noise[:, :0], ["too_short"]),
        (np.pad(noise, ((0, 0), (0, 999))), []),
    ],
)
def test_what_is_wrong_is_named_and_what_is_right_is_not(audio, expected):
    assert codes(audio) == expected


def test_single_samples_at_full_scale_are_not_clipping():
    audio = noise.copy()
    audio[:, ::100] = 1.0
    assert codes(audio) == []


def test_another_rate_is_flagged_and_the_length_is_judged_in_seconds():
    assert codes(noise[:, : SAMPLES * 16 // 44], rate=16000) == ["wrong_rate"]
    assert codes(noise, rate=48000) == ["wrong_rate", "too_short"]


def test_every_flag_has_a_sentence():
    for audio in (noise * 0, np.stack([left, left]), np.stack([left, -left]), np.stack([left, 0 * left]), noise[:, :9]):
        assert all(len(flag.message) > 20 for flag in screen(audio, RATE, SAMPLES, RATE))


def test_the_level_of_one_sided_sound_is_said():
    (flag,) = screen(np.stack([left, 1e-4 * left]), RATE, SAMPLES, RATE)
    assert "right" in flag.message and "80 dB" in flag.message
