"""Finding Sphere360's clips on disk, and its split without the leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.construction.sphere360 import find_panoramas


def tree(folder: Path, files: list[str], train: list[str], test: list[str]) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"media")
    lists = folder / "dataset" / "split"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(train) + "\n")
    (lists / "test.txt").write_text("\n".join(test) + "\n")
    return folder


def test_training_clips_of_tested_videos_are_left_out(tmp_path: Path) -> None:
    train = ["aaaaaaaaaaa_0", "aaaaaaaaaaa_10", "bbbbbbbbbbb_0", "ccccccccccc_5"]
    test = ["aaaaaaaaaaa_20", "ddddddddddd_0"]
    found = find_panoramas(tree(tmp_path, [f"{name}.webm" for name in (*train, *test[:1])], train, test))
    assert [(one.id, one.split) for one in found.panoramas] == [
        ("aaaaaaaaaaa_20", "test"), ("bbbbbbbbbbb_0", "train"), ("ccccccccccc_5", "train")
    ]  # fmt: skip
    assert [(reject.clip_id, reject.reason) for reject in found.rejects] == [
        ("aaaaaaaaaaa_0", "leak"), ("aaaaaaaaaaa_10", "leak")
    ]  # fmt: skip
    assert found.absent == 1
    groups = {split: {one.group for one in found.panoramas if one.split == split} for split in ("train", "test")}
    assert not groups["train"] & groups["test"]


def test_a_name_with_a_twelfth_character_belongs_to_the_video_of_eleven(tmp_path: Path) -> None:
    train, test = ["tAiVUt5vE34_0"], ["tAiVUt5vE34l_120"]
    found = find_panoramas(tree(tmp_path, ["tAiVUt5vE34_0.webm", "tAiVUt5vE34l_120.webm"], train, test))
    assert [one.id for one in found.panoramas] == ["tAiVUt5vE34l_120"]
    assert found.panoramas[0].group == "tAiVUt5vE34"
    assert found.rejects[0].reason == "leak"


def test_ids_with_dashes_and_underscores_in_subfolders_and_sound_beside_the_video(tmp_path: Path) -> None:
    files = ["a/-_a_bc-d_ef_30.mp4", "b/-_a_bc-d_ef_30.flac", "a/__________-_0.webm"]
    found = find_panoramas(tree(tmp_path, files, ["-_a_bc-d_ef_30", "__________-_0"], []))
    by_id = {one.id: one for one in found.panoramas}
    assert by_id["-_a_bc-d_ef_30"].audio.name == "-_a_bc-d_ef_30.flac"
    assert by_id["-_a_bc-d_ef_30"].group == "-_a_bc-d_ef"
    assert by_id["__________-_0"].audio == by_id["__________-_0"].video


def test_a_clip_in_neither_list_is_named(tmp_path: Path) -> None:
    found = find_panoramas(tree(tmp_path, ["aaaaaaaaaaa_0.webm", "zzzzzzzzzzz_0.webm"], ["aaaaaaaaaaa_0"], []))
    assert [(reject.clip_id, reject.reason) for reject in found.rejects] == [("zzzzzzzzzzz_0", "unlisted")]


def test_wrong_folders_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        find_panoramas(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"train\.txt and test\.txt are in dataset/split"):
        find_panoramas(tmp_path)
    empty = tree(tmp_path / "empty", [], ["aaaaaaaaaaa_0"], [])
    with pytest.raises(UsageError, match="holds no 360-degree video"):
        find_panoramas(empty)
    twice = tree(tmp_path / "twice", ["a/aaaaaaaaaaa_0.webm", "b/aaaaaaaaaaa_0.mp4"], ["aaaaaaaaaaa_0"], [])
    with pytest.raises(UsageError, match="have the name of the same clip"):
        find_panoramas(twice)
