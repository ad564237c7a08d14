"""Real recordings through preparation: FAIR-Play's first clip, VGGSound clips, a panorama with four channels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from visaudio_bench.errors import ClipError
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.admission import AdmissionRules, admit, channel_difference
from visaudio_bench.suites.media import iter_frames, read_frames, read_sound


def test_the_first_clip_of_fairplay(bench: Callable, recording: Any, data: Path, tmp_path: Path) -> None:
    root = tmp_path / "FAIR-Play"
    (root / "binaural_audios").mkdir(parents=True)
    (root / "videos").mkdir()
    soundfile.write(root / "binaural_audios" / "000001.wav", *soundfile.read(recording.sound, dtype="int16"))
    shutil.copy(recording.video, root / "videos" / "000001.mp4")
    told = bench("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert told.code == 0, told.err
    (clip,) = open_suite("fairplay").clips()
    assert clip.meta["difference"] == pytest.approx(0.101, abs=0.001)
    assert clip.meta["flags"] == []
    assert bench("data", "check", "fairplay").code == 0


def test_real_videos_in_the_generic_layout(bench: Callable, media: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    names = ("0B4dYTMsgHA_000130.mp4", "F8Zt3mYlOqU_000094.mp4", "ZYc410CE4Rg_0_10000.mp4", "sphere360_foa_sitar.webm")
    for name in names:
        (tmp_path / "video" / name).symlink_to(media / name)
    rows = "".join(f"{Path(name).stem},a sound\n" for name in names)
    (tmp_path / "test.csv").write_text("clip_id,caption\n" + rows)
    told = bench("data", "prepare", "biaudio", "--from", tmp_path, "--workers", 1, "--pictures")
    assert told.code == 0, told.err
    lines = (data / "biaudio" / "rejects.jsonl").read_text().splitlines()
    reasons = {row["clip_id"]: row["reason"] for row in map(json.loads, lines)}
    assert reasons["sphere360_foa_sitar"] == "not_two_channel"
    assert reasons["ZYc410CE4Rg_0_10000"] in {"low_rate", "mono"}
    clips = {clip.id: clip for clip in open_suite("biaudio").clips()}
    assert set(clips) == {"0B4dYTMsgHA_000130", "F8Zt3mYlOqU_000094"}


def test_an_edit_list_is_honoured_by_every_policy(media: Path) -> None:
    path = media / "F8Zt3mYlOqU_000094.mp4"  # 306 packets, 55 of which are not to be shown
    (_, first), *_ = iter_frames(path, fps=25, duration=0.1)
    for policy in ("first_at_or_after", "played_at", "nearest"):
        chosen = read_frames(path, fps=8, duration=1.0, policy=policy)
        assert len(chosen.pictures) == 8
        assert np.array_equal(chosen.pictures[0], first), policy
    streamed = [picture for _, picture in iter_frames(path, fps=8, duration=1.0)]
    assert np.array_equal(streamed, read_frames(path, fps=8, duration=1.0).pictures)
    admit(path, path, 0.0, 8.0, AdmissionRules())
    with pytest.raises(ClipError, match=r"end .* before the window|expected") as caught:
        admit(path, path, 4.0, 8.0, AdmissionRules())
    assert caught.value.reason == "short"


def test_flipped_bytes_among_the_pictures_are_found_when_all_are_decoded(media: Path, tmp_path: Path) -> None:
    content = bytearray((media / "F8Zt3mYlOqU_000094.mp4").read_bytes())
    for index in np.random.default_rng(0).integers(len(content) // 10, len(content), 400):
        content[index] ^= 0x5A
    path = tmp_path / "flipped.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError, match="pieces missing") as caught:
        admit(path, path, 0.0, 8.0, AdmissionRules(pictures=True))
    assert caught.value.reason == "corrupt"


def test_two_equal_channels_coded_by_aac_differ_by_about_the_threshold(
    media: Path, tmp_path: Path, movie: Callable
) -> None:
    sound = read_sound(media / "0B4dYTMsgHA_000130.mp4", duration=8.2, sample_rate=44100).samples
    twice = np.repeat(sound.mean(axis=0, keepdims=True), 2, axis=0)
    coded = movie(tmp_path / "x.mp4", 8.2, twice, rate=44100)
    assert channel_difference(twice) == 0
    difference = channel_difference(read_sound(coded, duration=8.0).samples)
    assert 0 < difference < 0.03
