"""The real suites from the layouts in which users have them to the leaderboard."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Tree = Callable[[Path], Path]


def test_the_three_suites_run_from_a_users_folder_to_the_table(
    bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree, music_tree: Tree, biaudio_tree: Tree
) -> None:
    before = {}
    for name, make in (("fairplay", fairplay_tree), ("music", music_tree), ("biaudio", biaudio_tree)):
        root = make(tmp_path / name)
        before |= {path: path.stat().st_mtime_ns for path in root.rglob("*")}
        told = bench("data", "prepare", name, "--from", root, "--workers", 1, "--format", "json")
        assert told.code == 0, told.err
        assert "next: bench run --suite" in told.err
    told = bench(
        "run", "--suite", "biaudio,music,fairplay", "--system", "noise", "--out", tmp_path / "run", "--workers", 1
    )
    assert told.code == 0, told.err
    with (tmp_path / "run" / "results.csv").open() as file:
        value = {(r["suite"], r["system"], r["metric"]): r for r in csv.DictReader(file)}
    assert {suite: value[suite, "reference", "lr_acc"]["n"] for suite in ("biaudio", "music", "fairplay")} == {
        "biaudio": "3", "music": "2", "fairplay": "4",
    }  # fmt: skip
    prepared = json.loads((data / "music" / "summary.json").read_text())
    assert f"music: 2 clips, manifest {prepared['manifest']['test'][:16]}; the paper has 1,857" in told.out
    assert float(value["fairplay", "reference", "lr_acc"]["value"]) == 100
    assert float(value["music", "swapped", "lr_acc"]["value"]) == 0
    assert "the paper has 1,857" in told.out
    assert "fairplay: 4 clips, manifest" in told.err
    # nothing of the user's was touched, and no media lie among the manifests
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert {path.suffix for path in data.rglob("*") if path.is_file()} == {".parquet", ".jsonl", ".json"}
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert all(suite["remarks"] and len(suite["manifest"]) == 64 for suite in plan["suites"])


def test_missing_data_says_where_to_get_it_and_under_which_licence(bench: Callable, data: Path) -> None:
    for name, words in {
        "fairplay": ("FAIR-Play repository of facebookresearch", "Licence: CC BY 4.0"),
        "music": ("MUSIC_dataset repository of roudimit", "belong to those who uploaded them"),
        "biaudio": ("is not published yet", "bench data build biaudio", "Licence: not stated"),
        "oap": ("arunbalajeev", "Licence: CC BY-NC 4.0"),
        "simbinaural": ("announced", "clip_id and caption", "Licence: not stated"),
        "binaural-vggsound": ("2601.15017", "generic layout", "Licence: not stated"),
        "youtube-binaural": ("bigharshrag", "Licence: none stated"),
    }.items():
        told = bench("run", "--suite", name)
        assert told.code == 2
        assert f"bench data prepare {name} --from DIR" in told.err
        assert "Traceback" not in told.err
        assert all(word in told.err for word in words), told.err
    told = bench("list", "suites")
    assert (told.code, "FAIR-Play: not prepared here, see bench data list" in told.out) == (0, True)
    told = bench("data", "list", "--format", "csv")
    assert all(word in told.out for word in ("not here", "not public", "CC BY 4.0", "1,857 test"))


def test_a_wrong_folder_says_what_was_expected(bench: Callable, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("fairplay", "music", "biaudio", "oap", "youtube-binaural"):
        told = bench("data", "prepare", name, "--from", tmp_path / "empty")
        assert (told.code, "Expected: " in told.err) == (2, True), told.err
        told = bench("data", "prepare", name, "--from", tmp_path / "nowhere")
        assert (told.code, "is not a folder" in told.err) == (2, True)
    told = bench("data", "prepare", "music", "--from", tmp_path, "--start", 1)
    assert (told.code, "--start means nothing for music" in told.err) == (2, True)
    told = bench("data", "prepare", "fairpley", "--from", tmp_path)
    assert (told.code, 'Did you mean "fairplay"?' in told.err) == (2, True)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "videos.tar.gz").write_bytes(b"")
    told = bench("data", "prepare", "fairplay", "--from", tmp_path / "packed")
    assert (told.code, "tar xzf videos.tar.gz" in told.err) == (2, True)


def test_parts_of_a_suite(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Tree) -> None:
    from visaudio_bench.suites import open_suite

    root = fairplay_tree(tmp_path / "fairplay" / "FAIR-Play")
    assert bench("data", "prepare", "fairplay", "--from", root.parent, "--workers", 1).code == 0
    whole = open_suite("fairplay")
    assert [clip.id for clip in whole.clips()] == ["000001", "000002", "000003", "000004"]
    assert {(clip.start, clip.duration, clip.caption) for clip in whole.clips()} == {(0.0, 8.0, None)}
    assert [clip.audio.suffix for clip in whole.clips() if clip.audio] == [".wav"] * 4
    assert [clip.id for clip in open_suite("fairplay:split1:test").clips()] == ["000004"]
    assert [clip.id for clip in open_suite("fairplay:new_split1:train").clips()] == ["000003", "000004"]
    assert open_suite("fairplay:split1:test").name == "fairplay-split1-test"
    assert open_suite("fairplay:split1:test").manifest_hash() != whole.manifest_hash()
    told = bench("run", "--suite", "fairplay", "--subset", "split1:tset")
    assert (told.code, 'Did you mean "split1:test"?' in told.err) == (2, True)
    told = bench("run", "--suite", "fairplay", "--subset", "split1:test", "--dry-run")
    assert (told.code, "fairplay-split1-test: 1 clip," in told.err) == (0, True)
    told = bench("run", "--suite", "fairplay,music", "--subset", "split1:test")
    assert (told.code, "one suite" in told.err) == (2, True)


def test_the_manifest_hash_is_that_of_the_data_and_not_of_its_place(
    bench: Callable, data: Path, tmp_path: Path, biaudio_tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.suites import open_suite

    hashes = []
    for name in ("here", "there"):
        assert bench("data", "prepare", "biaudio", "--from", biaudio_tree(tmp_path / name), "--workers", 1).code == 0
        hashes.append(open_suite("biaudio").manifest_hash())
    assert hashes[0] == hashes[1]
    clips = {clip.id: clip for clip in open_suite("biaudio").clips()}
    assert clips["aaaaaaaaaaa_10"].caption == "a man, playing, birds, wind"
    assert clips["aaaaaaaaaaa_10"].meta["labelled_caption"] == (
        "Visible sound: a man, playing, Invisible sound: birds, wind"
    )
    assert clips["tAiVUt5vE34l_20"].caption == "a drum"
    assert clips["tAiVUt5vE34l_20"].meta["group_id"] == "tAiVUt5vE34"
    assert clips["ccccccccccc_30"].caption == "a plain caption"
    assert clips["ccccccccccc_30"].audio == clips["ccccccccccc_30"].video
    arguments = ("data", "prepare", "biaudio", "--from", tmp_path / "there", "--workers", 1)
    told = bench(*arguments, "--caption-join", " and ")
    assert "3 of 3 files were read before" in told.err
    assert open_suite("biaudio").clips()[0].caption == "a man, playing and birds, wind"
