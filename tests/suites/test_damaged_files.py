"""Files as they are found on disks: each kind of damage has its reason, and the neighbours are not harmed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.errors import ClipError
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import iter_frames, read_frames, read_sound, scale_to_peak, write_audio

RATE = 44100
FLAC = {"strict": "-2"}  # allows FLAC in mp4
UNEVEN = [0, 40, 900, 940, 3000, 5200, 5240, 8100]  # ms


def flip(path: Path, count: int, seed: int = 0) -> None:
    """Change `count` bytes of the second half of a file, where a faststart mp4 has its packets."""
    content = bytearray(path.read_bytes())
    where = np.random.default_rng(seed).integers(len(content) // 5, len(content), count)
    for index in where:
        content[index] ^= 0x5A
    path.write_bytes(content)


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def make_tree(root: Path, movie: Callable, sound: Callable) -> dict[str, str]:
    """A folder in the generic layout with one clip of every kind, and what is to become of each."""
    video, audio = root / "video", root / "audio"
    fast = {"movflags": "faststart"}
    good = sound(8.2, rate=RATE)
    movie(video / "good.mp4", 8.2, good, rate=RATE, options=fast)
    movie(video / "headless.mp4", 8.2, good, rate=RATE)
    for name in ("empty", "cut", "flipped"):
        shutil.copy(video / "good.mp4", video / f"{name}.mp4")
    (video / "empty.mp4").write_bytes(b"")
    cut(video / "headless.mp4", 0.7)
    cut(video / "cut.mp4", 0.7)
    flip(video / "flipped.mp4", 400)
    movie(video / "sound_half_late.mp4", 8.2, good, rate=RATE, sound_delay=0.45)
    movie(video / "sound_late.mp4", 8.2, good, rate=RATE, sound_delay=1.5)
    movie(video / "pictures_a_bit_late.mp4", 8.2, good, rate=RATE, picture_delay=0.4)
    movie(video / "pictures_late.mp4", 8.2, good, rate=RATE, picture_delay=0.8)
    movie(video / "mono.mp4", 8.2, good[:1], rate=RATE)
    movie(video / "four.mp4", 8.2, sound(8.2, rate=RATE, channels=4), rate=RATE)
    movie(video / "mute.mp4", 8.2)
    movie(video / "blind.mp4", None, good, rate=RATE)
    movie(video / "three_seconds.mp4", 3.0, good[:, : 3 * RATE], rate=RATE)
    movie(video / "pictures_end.mp4", 5.0, good, rate=RATE)
    movie(video / "low_rate.mp4", 8.2, sound(8.2, rate=16000), rate=16000)
    movie(video / "silent.mp4", 8.2, np.zeros_like(good), rate=RATE)
    movie(video / "mostly_silent.mp4", 8.2, good * (np.arange(good.shape[1]) < RATE // 2), rate=RATE)
    movie(video / "uneven.mp4", 1.0, good, rate=RATE, times=UNEVEN, step=25)
    movie(video / "turned.mp4", 8.2, good, rate=RATE, rotation=90)
    for name in ("nan", "pointer", "text", "gone", "long_rate"):
        shutil.copy(video / "mute.mp4", video / f"{name}.mp4")
    write_audio(audio / "nan.wav", np.where(np.arange(good.shape[1]) == 500, np.float32(np.nan), good), RATE)
    (audio / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1921068\n")
    (audio / "text.wav").write_text("not found" * 20)
    write_audio(audio / "long_rate.wav", sound(8.2, rate=96000), 96000)
    (video / "gone.mp4").unlink()
    return {
        "good": "", "empty": "unreadable", "headless": "unreadable", "cut": "short", "flipped": "corrupt",
        "sound_half_late": "", "sound_late": "late", "pictures_a_bit_late": "", "pictures_late": "late",
        "mono": "mono", "four": "not_two_channel", "mute": "no_audio", "blind": "no_video", "three_seconds": "short",
        "pictures_end": "short", "low_rate": "low_rate", "silent": "silent", "mostly_silent": "silent", "uneven": "",
        "turned": "", "nan": "not_finite", "pointer": "lfs_pointer", "text": "unreadable", "gone": "not_found",
        "long_rate": "",
    }  # fmt: skip


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, movie: Callable, sound: Callable) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("damaged")
    expected = make_tree(root, movie, sound)
    (root / "test.csv").write_text("clip_id\n" + "\n".join(expected) + "\n")
    return root, expected


def test_every_kind_of_damage_has_its_reason_and_harms_no_other(
    bench: Callable, data: Path, damaged: tuple[Path, dict[str, str]]
) -> None:
    root, expected = damaged
    told = bench("data", "prepare", "biaudio", "--from", root, "--workers", 1)
    assert told.code == 0, told.err
    assert "Traceback" not in told.err
    rows = [json.loads(line) for line in (data / "biaudio" / "rejects.jsonl").read_text().splitlines()]
    reasons = {row["clip_id"]: row["reason"] for row in rows}
    reasons |= {clip.id: "" for clip in open_suite("biaudio").clips()}
    assert reasons == expected
    assert all(row["message"].count("\n") == 0 and row["clip_id"] in row["message"] for row in rows)
    assert "git lfs pull" in next(row["message"] for row in rows if row["clip_id"] == "pointer")
    assert "left out: short" in told.out


def test_a_damaged_file_is_read_as_far_as_it_goes(damaged: tuple[Path, dict[str, str]]) -> None:
    video = damaged[0] / "video"
    shown = sum(1 for _ in iter_frames(video / "cut.mp4", fps=10))
    heard = read_sound(video / "cut.mp4").samples.shape[1] / RATE
    assert 4 < shown / 10 < 8
    assert 4 < heard < 8
    with pytest.raises(ClipError, match="packets cannot be decoded") as caught:
        read_sound(video / "flipped.mp4")
    assert caught.value.reason == "corrupt"


def test_sound_and_pictures_lie_where_their_time_stamps_say(damaged: tuple[Path, dict[str, str]]) -> None:
    video = damaged[0] / "video"
    late = read_sound(video / "sound_half_late.mp4", duration=8.0).samples
    assert late.shape[1] == 8 * RATE
    onset = np.flatnonzero(np.abs(late[0]) > 0.02)[0] / RATE
    assert onset == pytest.approx(0.45, abs=0.03)  # AAC's own priming included
    pictures = read_frames(video / "pictures_a_bit_late.mp4", fps=10, duration=8.0).pictures
    assert len(pictures) == 80
    assert all(np.array_equal(pictures[k], pictures[0]) for k in range(5))  # the first one is held until it comes
    assert not np.array_equal(pictures[5], pictures[0])


def test_a_variable_frame_rate_is_selected_by_time(damaged: tuple[Path, dict[str, str]]) -> None:
    path = damaged[0] / "video" / "uneven.mp4"
    wanted = {
        "first_at_or_after": [0, 4, 4, 4, 5, 5, 7, 7],
        "played_at": [0, 3, 3, 4, 4, 4, 6, 6],
        "nearest": [0, 3, 4, 4, 4, 5, 6, 7],
        "fps_filter": [1, 3, 3, 4, 4, 6, 6, 6],
    }
    for policy, numbers in wanted.items():
        pictures = read_frames(path, fps=1, duration=8.0, policy=policy).pictures
        assert [round((float(p[:, 20:].mean()) - 10) / 25) for p in pictures] == numbers, policy


def test_a_rotated_picture_is_turned_upright(damaged: tuple[Path, dict[str, str]]) -> None:
    picture = next(iter(iter_frames(damaged[0] / "video" / "turned.mp4", fps=1)))[1].astype(int)
    assert picture.shape == (64, 32, 3)
    # stored lighter on the left, to be shown turned by 90 degrees counter-clockwise: the left edge becomes the bottom
    assert picture[-8:].mean() > picture[:8].mean() + 10


def test_one_gain_for_both_ears() -> None:
    ears = np.array([[0.1, -0.4], [0.05, 0.2]], dtype=np.float32)
    scaled = scale_to_peak(ears)
    assert np.abs(scaled).max() == pytest.approx(0.95)
    assert np.allclose(scaled[0] / scaled[1], ears[0] / ears[1])
    assert not scale_to_peak(np.zeros((2, 4), dtype=np.float32)).any()


def test_time_stamps_in_milliseconds_tear_no_holes(tmp_path: Path, movie: Callable, sound: Callable) -> None:
    samples = sound(2.0, rate=RATE)
    path = movie(tmp_path / "x.mkv", 2.0, samples, rate=RATE, codec="pcm_s16le")
    assert np.array_equal(read_sound(path).samples, samples)


@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_a_window_is_what_the_whole_file_holds_there(
    tmp_path: Path, movie: Callable, sound: Callable, codec: str
) -> None:
    late = {"sound_delay": 0.3, "picture_delay": 0.2}
    path = movie(tmp_path / "x.mp4", 8.0, sound(8.0, rate=RATE), rate=RATE, codec=codec, **late, options=FLAC)
    whole = read_sound(path).samples
    every = read_frames(path, fps=10, duration=8.0).pictures
    for start in (0.3, 2.5, 5.0):
        window = read_sound(path, start=start, duration=2.0).samples
        there = whole[:, round(start * RATE) :][:, : 2 * RATE]
        if codec == "flac":
            assert np.array_equal(window, there), start
        else:  # the decoder makes the noise in an AAC's upper bands anew each time
            lags = {lag: float(np.sum(np.roll(window, lag, axis=1) * there)) for lag in (-1, 0, 1)}
            assert max(lags, key=lambda lag: lags[lag]) == 0
            assert lags[0] > 0.8 * float(np.sum(there**2))
        shown = read_frames(path, fps=10, start=start, duration=2.0).pictures
        assert np.array_equal(shown, every[round(10 * start) : round(10 * start) + 20]), start
