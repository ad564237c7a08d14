"""The difference filter and the silence rule, against closed forms and documented values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.errors import ClipError
from visaudio_bench.suites.admission import (
    AdmissionRules,
    admit,
    channel_difference,
    fingerprint,
    refuse_silence,
    side_over_mid,
)
from visaudio_bench.suites.media import Samples, write_audio

RATE = 44100


def white(channels: int, seconds: float = 1.0, seed: int = 0) -> Samples:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, round(seconds * RATE)))
    return samples.astype(np.float32)


@given(gain=st.floats(1e-3, 1.0), offset=st.floats(-0.2, 0.2))
def test_a_level_or_an_offset_of_one_ear_makes_no_difference(gain: float, offset: float) -> None:
    one = white(1, 0.1)[0]
    panned = np.stack([one, np.float32(gain) * one + np.float32(offset)])
    assert channel_difference(panned) == pytest.approx(0, abs=1e-3 / gain * 1e-3 + 1e-4)


def test_the_difference_of_what_has_a_closed_form() -> None:
    n = np.arange(RATE)
    tone = np.sin(2 * np.pi * 100 * n / RATE).astype(np.float32)
    assert channel_difference(np.stack([tone, -tone])) == pytest.approx(4 / np.pi, rel=1e-3)  # mean |2 sin|
    assert channel_difference(np.stack([tone, 0 * tone])) == pytest.approx(2 / np.pi, rel=1e-3)
    assert channel_difference(np.stack([tone, tone])) == 0
    assert channel_difference(np.zeros((2, 100), dtype=np.float32)) == 0
    ears = white(2)
    assert channel_difference(ears) == pytest.approx(2 / 3, rel=0.02)  # two independent uniform values
    assert channel_difference(ears) == pytest.approx(channel_difference(ears[::-1]))
    clicks = np.zeros((2, 8 * RATE), dtype=np.float32)
    clicks[0, ::RATE], clicks[1, 30::RATE] = 1, 1  # sparse: lateral, and below the threshold all the same
    assert channel_difference(clicks) < 0.01


def test_side_over_mid() -> None:
    one = white(1)[0]
    assert side_over_mid(np.stack([one, one])) is None
    assert side_over_mid(np.stack([one, 0 * one])) == 0
    assert side_over_mid(np.stack([one, np.float32(0.5) * one])) == pytest.approx(20 * np.log10(0.5 / 1.5), abs=0.01)


@pytest.mark.parametrize(
    ("level", "share", "silent"),
    [(0.1, 1.0, False), (0.1, 0.12, False), (0.1, 0.08, True), (5e-4, 1.0, True), (5e-3, 1.0, False), (0.0, 1.0, True)],
)
def test_silence_is_over_nine_tenths_of_it(level: float, share: float, silent: bool) -> None:
    samples = level * 2 * white(2)
    samples[:, round(share * RATE) :] = 0
    if silent:
        with pytest.raises(ClipError, match="silent") as caught:
            refuse_silence(Path("x.wav"), samples, RATE)
        assert caught.value.reason == "silent"
    else:
        refuse_silence(Path("x.wav"), samples, RATE)


def test_dual_mono_is_dropped_only_where_the_suite_says_so(tmp_path: Path, movie: Callable) -> None:
    video = movie(tmp_path / "x.mp4", 1.1)
    write_audio(tmp_path / "x.wav", np.repeat(white(1, 1.1), 2, axis=0), RATE)
    measured = admit(video, tmp_path / "x.wav", 0.0, 1.0, AdmissionRules())
    assert (measured.difference, set(measured.flags)) == (0, {"no_difference", "equal_channels"})
    with pytest.raises(ClipError, match=r"D = 0\.0000") as caught:
        admit(video, tmp_path / "x.wav", 0.0, 1.0, AdmissionRules(drop_equal=True))
    assert caught.value.reason == "no_difference"
    barely = np.repeat(white(1, 1.1), 2, axis=0) + 0.015 * white(2, 1.1, seed=1)
    write_audio(tmp_path / "y.wav", barely, RATE)
    measured = admit(video, tmp_path / "y.wav", 0.0, 1.0, AdmissionRules())
    assert "borderline" in measured.flags


def test_every_picture_is_decoded_where_that_is_asked_for(tmp_path: Path, movie: Callable) -> None:
    video = movie(tmp_path / "x.mp4", 3.0, options={"movflags": "faststart"})
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat")
    for index in range(start + (len(content) - start) // 3, start + 2 * (len(content) - start) // 3):
        content[index] = 0
    video.write_bytes(content)
    write_audio(tmp_path / "x.wav", white(2, 3.0), RATE)
    admit(video, tmp_path / "x.wav", 0.0, 3.0, AdmissionRules())
    with pytest.raises(ClipError) as caught:
        admit(video, tmp_path / "x.wav", 0.0, 3.0, AdmissionRules(pictures=True))
    assert caught.value.reason == "corrupt"


def test_the_fingerprint_follows_the_ends_and_the_size(tmp_path: Path) -> None:
    content = bytearray(np.random.default_rng(0).bytes(300_000))
    seen = set()
    for change in (None, 0, 299_999):
        if change is not None:
            content[change] ^= 1
        (tmp_path / "x").write_bytes(content)
        seen.add(fingerprint(tmp_path / "x"))
    (tmp_path / "x").write_bytes(content[:-1])
    seen.add(fingerprint(tmp_path / "x"))
    assert len(seen) == 4
    (tmp_path / "y").write_bytes(content[:-1])
    assert fingerprint(tmp_path / "y") == fingerprint(tmp_path / "x")
