"""Any folder as a suite."""

import os
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.folder import look_into
from visaudio_bench.suites.media import write_audio, write_video


def sound(path: Path, seconds: float = 1.0) -> None:
    write_audio(path, np.zeros((2, round(44100 * seconds)), dtype=np.float32), 44100)


def video(path: Path) -> None:
    write_video(path, [np.zeros((32, 32, 3), dtype=np.uint8)] * 20, 10)


def test_files_of_one_name_are_one_clip_as_long_as_the_shorter(tmp_path: Path) -> None:
    sound(tmp_path / "both.wav", 1.5)
    video(tmp_path / "both.mp4")
    video(tmp_path / "seen.mp4")
    (tmp_path / "deep").mkdir()
    sound(tmp_path / "deep" / "heard.flac", 3.0)
    (tmp_path / ".hidden.wav").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no media")
    suite = open_suite(f"folder:{tmp_path}")
    by_id = {clip.id: clip for clip in suite.clips()}
    assert list(by_id) == ["both", "deep__heard", "seen"]
    assert by_id["both"].audio == tmp_path / "both.wav"
    assert by_id["both"].duration == pytest.approx(1.5)
    assert (by_id["seen"].audio, by_id["seen"].duration) == (None, pytest.approx(2.0))
    assert by_id["deep__heard"].video is None
    assert suite.name == tmp_path.name


def test_the_manifest_hash_follows_the_files(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    first = open_suite(f"folder:{tmp_path}").manifest_hash()
    assert open_suite(f"folder:{tmp_path}").manifest_hash() == first
    sound(tmp_path / "a.wav", 2.0)
    assert open_suite(f"folder:{tmp_path}").manifest_hash() != first


def test_an_unreadable_file_stays_in_the_suite(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (clip,) = open_suite(f"folder:{tmp_path}").clips()
    assert (clip.id, clip.duration) == ("bad", None)


def test_wrong_folders_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--suite folder:DIR"):
        open_suite("folder")
    with pytest.raises(UsageError, match="is not a folder"):
        open_suite(f"folder:{tmp_path / 'none'}")
    with pytest.raises(UsageError, match="holds no media file"):
        open_suite(f"folder:{tmp_path}")
    sound(tmp_path / "a.wav")
    sound(tmp_path / "a.flac")
    with pytest.raises(UsageError, match="belong to the same clip, a"):
        open_suite(f"folder:{tmp_path}")


@pytest.mark.timeout(60)
def test_what_is_no_file_costs_its_clip_and_nothing_waits_for_it(tmp_path: Path) -> None:
    from visaudio_bench.errors import ClipError
    from visaudio_bench.suites.media import probe

    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "endless.wav").symlink_to("/dev/zero")
    (tmp_path / "itself.wav").symlink_to("itself.wav")
    (tmp_path / "below").symlink_to(tmp_path)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    held = look_into(tmp_path)
    assert sorted(held.sounds) == ["endless", "itself", "pipe"]
    for path in held.sounds.values():
        with pytest.raises(ClipError) as refused:
            probe(path)
        assert refused.value.reason == "not_found"
