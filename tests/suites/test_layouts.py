"""Names, lists and folders of the data sets, with the traps that they are known for."""

from __future__ import annotations

import csv
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import visaudio_bench.registry
from visaudio_bench.errors import UsageError
from visaudio_bench.suites import SUITES, open_suite
from visaudio_bench.suites.biaudio import find_biaudio, source_video
from visaudio_bench.suites.datasets import DATASETS, Dataset, Options
from visaudio_bench.suites.fairplay import read_split
from visaudio_bench.suites.manifest import Entry, Manifest, write_manifest
from visaudio_bench.suites.media import read_binaural, write_audio
from visaudio_bench.suites.music import INSTRUMENTS, Name, caption_of, parse_folder, parse_name, test_videos

test_videos.__test__ = False  # its name begins like that of a test

ids = st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True)
offsets = st.sampled_from(["", "_12", "_000130", "_10.5"])


@given(names=st.lists(st.sampled_from(INSTRUMENTS), min_size=1, max_size=3), video=ids, offset=offsets)
def test_names_are_parsed_from_the_vocabulary(names: list[str], video: str, offset: str) -> None:
    group = {1: "solo", 2: "duet", 3: "trio"}[len(names)]
    stem = "_".join([group, *names, video]) + offset
    assert parse_name(stem) == Name(tuple(names), video, video + offset)
    assert parse_folder(" ".join(names), video + offset) == Name(tuple(names), video, video + offset)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("solo_tuba__O1m-qCSo6_", Name(("tuba",), "_O1m-qCSo6_", "_O1m-qCSo6_")),
        ("solo_acoustic_guitar_-8AgRz5Jdrw", Name(("acoustic_guitar",), "-8AgRz5Jdrw", "-8AgRz5Jdrw")),
        ("acoustic_guitar_violin_WeeRb3LMb8E", Name(("acoustic_guitar", "violin"), "WeeRb3LMb8E", "WeeRb3LMb8E")),
        ("solo_flute_tuba_abcdef_1234", Name(("flute",), "tuba_abcdef", "tuba_abcdef_1234")),
        ("solo_violin_abc", None),  # no id
        ("solo_kazoo_aaaaaaaaaaa", None),  # not in the vocabulary
        ("duet_violin_aaaaaaaaaaa", None),  # one instrument too few
        ("aaaaaaaaaaa", None),
        ("solo_acoustic guitar_aaaaaaaaaaa", None),
    ],
)
def test_names_with_traps(stem: str, expected: Name | None) -> None:
    assert parse_name(stem) == expected


def test_captions_are_the_instruments_in_words() -> None:
    assert caption_of(("acoustic_guitar", "violin")) == "acoustic guitar, violin"
    assert parse_folder("acoustic_guitar kazoo", "aaaaaaaaaaa") is None
    assert parse_folder("clips", "aaaaaaaaaaa") is None


def test_the_test_videos_are_a_tenth_of_every_class() -> None:
    rows = list(csv.DictReader((files("visaudio_bench.suites") / "assets" / "music_test.csv").read_text().splitlines()))
    assert len({row["id"] for row in rows}) == len(rows) == len(test_videos()) == 125
    count = Counter(row["class"] for row in rows)
    assert set(INSTRUMENTS) <= set(count)
    assert all(name in INSTRUMENTS for kind in count for name in kind.split())
    assert len(rows) / 1313 == pytest.approx(1857 / 19682, abs=0.002)


def test_music_windows_filter_split_and_rejects(
    bench: Callable, data: Path, tmp_path: Path, music_tree: Callable, parts: Path, movie: Callable, sound: Callable
) -> None:
    root = music_tree(tmp_path / "music")
    shutil.copy(parts / "left17.mp4", root / "holiday.mp4")
    shutil.copy(parts / "left17.mp4", root / "solo_violin_WeeRb3LMb8E.mp4")
    movie(root / "solo_flute_bbbbbbbbbbb_10.mp4", 10.0, sound(10.0, rate=11025), rate=11025)  # a co-separation piece
    movie(root / "solo_flute_ddddddddddd.mp4", 5.0, sound(5.0))
    told = bench("data", "prepare", "music", "--from", root, "--workers", 1)
    assert told.code == 0, told.err
    test, train = open_suite("music"), open_suite("music:train")
    assert [clip.id for clip in test.clips()] == ["yn1NaZWN_qQ_0000", "yn1NaZWN_qQ_0008"]
    assert {clip.caption for clip in test.clips()} == {"accordion"}
    by_id = {clip.id: clip for clip in train.clips()}
    assert set(by_id) == {f"{video}_{at}" for video in ("-8AgRz5Jdrw", "WeeRb3LMb8E", "Zqg4DwXmYBI") for at in
                          ("0000", "0008")}  # fmt: skip
    assert by_id["WeeRb3LMb8E_0008"].caption == "acoustic guitar, violin"
    assert (by_id["WeeRb3LMb8E_0008"].start, by_id["WeeRb3LMb8E_0008"].duration) == (8.0, 8.0)
    assert by_id["Zqg4DwXmYBI_0000"].caption == "trumpet, tuba"
    for words in ("unknown_name", "duplicate", "low_rate", "short", "no_difference"):
        assert f"left out: {words}" in told.out
    assert "holiday.mp4 tells no instrument" in told.err
    assert "17,825" in told.out
    assert "1,857" in told.out
    assert "1 of 125 test videos" in told.out


def test_split_lists_under_another_root_and_pointers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "test.h5", "w") as file:
        file["audio"] = np.array([b"/private/home/author/binaural16k/000101.wav", b"C:\\x\\000002.wav"], dtype="S")
    assert read_split(tmp_path / "test.h5") == {"000101", "000002"}
    (tmp_path / "test.txt").write_text("000001.mp3\n000002.mp3\n\n")
    assert read_split(tmp_path / "test.txt") == {"000001", "000002"}
    (tmp_path / "val.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9000\n")
    with pytest.raises(UsageError, match="git lfs pull"):
        read_split(tmp_path / "val.h5")
    (tmp_path / "train.h5").write_bytes(b"nothing" * 500)
    with pytest.raises(UsageError, match="cannot be read as a split list"):
        read_split(tmp_path / "train.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UsageError, match=r"visaudio-bench\[data\]"):
        read_split(tmp_path / "test.h5")


def test_a_clone_without_lfs_says_so(bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Callable) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 40000000\n"
    for name in ("000001", "000002"):
        (root / "videos" / f"{name}.mp4").write_text(pointer)
    (root / "binaural_audios" / "000003.wav").write_text(pointer)
    told = bench("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert told.code == 0
    assert [clip.id for clip in open_suite("fairplay").clips()] == ["000004"]
    assert "left out: lfs_pointer" in told.out
    assert "git lfs pull" in told.err
    for path in root.rglob("*.mp4"):
        path.write_text(pointer)
    told = bench("data", "prepare", "fairplay", "--from", root, "--workers", 1)
    assert (told.code, "holds no usable clip (1867 not_found, 4 lfs_pointer), see" in told.err) == (2, True)


def test_another_window_of_fairplay_fits_the_shorter_files_too(
    bench: Callable, data: Path, tmp_path: Path, fairplay_tree: Callable
) -> None:
    root = fairplay_tree(tmp_path / "fairplay")
    assert bench("data", "prepare", "fairplay", "--from", root, "--start", 1, "--workers", 1).code == 0
    clips = open_suite("fairplay").clips()
    assert {clip.start for clip in clips} == {1.0}
    assert len(clips) == 4
    told = bench("data", "prepare", "fairplay", "--from", root, "--start", 5, "--workers", 1)
    assert (told.code, "short" in told.err) == (2, True)


def test_training_clips_of_test_videos_are_left_out(
    bench: Callable, data: Path, tmp_path: Path, biaudio_tree: Callable
) -> None:
    root = biaudio_tree(tmp_path / "biaudio")
    names = {
        "tAiVUt5vE34l_30": "a drum again",
        "ddddddddddd_0": "Visible sound: , Invisible sound: x",
        "../x": "",
        "eeeeeeeeeee_0": "",
    }
    for name in names:
        shutil.copy(root / "video" / "ccccccccccc_30.mp4", root / "video" / f"{name}.mp4")
    lines = [f'{{"clip_id": "{name}", "caption": "{text}"}}\n' for name, text in names.items()]
    (root / "train.jsonl").write_text("".join([*lines, lines[-1]]))
    told = bench("data", "prepare", "biaudio", "--from", root, "--workers", 1)
    assert told.code == 0, told.err
    assert [clip.id for clip in open_suite("biaudio:train").clips()] == ["eeeeeeeeeee_0"]
    for words in ("leaks", "bad_caption", "duplicate", "bad_id"):
        assert f"left out: {words}" in told.out


def test_captions_in_a_file_of_their_own_and_a_manifest_instead_of_lists(
    bench: Callable, data: Path, tmp_path: Path, biaudio_tree: Callable
) -> None:
    root = biaudio_tree(tmp_path / "biaudio")
    (root / "test.csv").write_text("id\naaaaaaaaaaa_10\ntAiVUt5vE34l_20\n")
    (root / "captions.csv").write_text(
        'clip_id,visible,invisible\naaaaaaaaaaa_10,"a man,\nplaying",birds\n', "utf-8-sig"
    )
    assert bench("data", "prepare", "biaudio", "--from", root, "--workers", 1).code == 0
    assert [clip.caption for clip in open_suite("biaudio").clips()] == ["a man,\nplaying, birds", None]
    entry = Entry("x", "test", "x", "video/ccccccccccc_30.mp4", "video/ccccccccccc_30.mp4", 4.0, 8.0, "A", "A", None)
    write_manifest(root / "manifest.jsonl", Manifest("biaudio", root, (entry,)))
    assert bench("data", "prepare", "biaudio", "--from", root, "--workers", 1).code == 0
    (clip,) = open_suite("biaudio").clips()
    assert (clip.id, clip.start, clip.caption, clip.meta["labelled_caption"]) == ("x", 4.0, "A", "Visible sound: A")
    (root / "manifest.jsonl").unlink()
    (root / "test.csv").write_text("name\nx\n")
    told = bench("data", "prepare", "biaudio", "--from", root)
    assert (told.code, "test.csv:1: there is no clip_id; the columns are name" in told.err) == (2, True)


def test_clips_of_sphere360_belong_to_the_video_of_eleven_characters() -> None:
    assert source_video("tAiVUt5vE34l_20") == "tAiVUt5vE34"
    assert source_video("-_aB3456789_100") == "-_aB3456789"
    assert source_video("my_clip") == "my_clip"


def test_a_pair_of_microphones_becomes_one_binaural_file(
    bench: Callable, data: Path, tmp_path: Path, parts: Path, sound: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    ears = sound(17.0)
    for scene in ("scene0005", "scene0150"):
        folder = tmp_path / "oap" / "dataset_public" / scene
        folder.mkdir(parents=True)
        shutil.copy(parts / "left17.mp4", folder / f"VIDEO_{scene[-4:]}_cropped.mp4")
        tracks = (1, 6) if scene == "scene0005" else (1, 3, 6, 8)  # tracks 3 and 4 are missing in the first scenes
        for track in tracks:
            write_audio(folder / f"LAB-T001_Tr{track}.WAV", ears[:1] if track in {1, 3} else ears[1:], 48000)
    told = bench("data", "prepare", "oap", "--from", tmp_path / "oap", "--workers", 1)
    assert told.code == 0, told.err
    assert "which pair faces" in told.out
    suite = open_suite("oap")
    assert [clip.id for clip in suite.clips()] == ["scene0150_0000", "scene0150_0008"]
    assert suite.pending() == ()
    clip = suite.clips()[1]
    assert clip.audio is not None
    heard = read_binaural(clip.audio, start=8.0, duration=8.0).samples
    assert np.array_equal(heard, ears[:, 8 * 48000 : 16 * 48000])
    shutil.rmtree(tmp_path / "cache")  # a cache may be emptied at any time
    assert suite.pending() == ("scene0150_0000", "scene0150_0008")
    assert len(list(suite.prepare())) == 2
    assert suite.pending() == ()
    told = bench("data", "prepare", "oap", "--from", tmp_path / "oap", "--pair", 3, 8, "--workers", 1)
    assert "scene0005 has no track 3" in told.err


def test_long_videos_by_id(bench: Callable, data: Path, tmp_path: Path, parts: Path) -> None:
    (tmp_path / "yb" / "full").mkdir(parents=True)
    shutil.copy(parts / "right17.mp4", tmp_path / "yb" / "full" / "-aaaaaaaaaa.mp4")
    (tmp_path / "yb" / "YoutubeBinaural_test.txt").write_text("-aaaaaaaaaa\nbbbbbbbbbbb\n-aaaaaaaaaa\n")
    told = bench("data", "prepare", "youtube-binaural", "--from", tmp_path / "yb", "--workers", 1)
    assert told.code == 0, told.err
    assert [clip.id for clip in open_suite("youtube-binaural").clips()] == ["-aaaaaaaaaa_0000", "-aaaaaaaaaa_0008"]
    assert "bbbbbbbbbbb (not_found)" in told.err
    assert "-aaaaaaaaaa (duplicate)" in told.err


def test_what_is_not_published_is_read_in_the_generic_layout(
    bench: Callable, data: Path, tmp_path: Path, biaudio_tree: Callable
) -> None:
    root = biaudio_tree(tmp_path / "data")
    for name, seconds in (("binaural-vggsound", 8.0), ("simbinaural", 5.0)):
        assert bench("data", "prepare", name, "--from", root, "--workers", 1).code == 0
        suite = open_suite(name)
        assert {clip.duration for clip in suite.clips()} == {seconds}
        assert len(suite.clips()) == 3


def test_names_of_both_unicode_forms_meet_and_what_is_not_read_is_counted(tmp_path: Path) -> None:
    for name in ("video", "audio"):
        (tmp_path / name).mkdir()
    composed, decomposed = (normalize(form, "café") for form in ("NFC", "NFD"))
    (tmp_path / "test.csv").write_text(f"clip_id,caption\n{composed},rain\nb,wind\n", encoding="utf-8")
    for path in (f"video/{decomposed}.mp4", "video/b.MP4", "audio/b.M4A", "audio/._b.wav", "audio/c.xyz"):
        (tmp_path / path).write_bytes(b"")
    found = find_biaudio(tmp_path, Options())
    assert [(one.entry.clip_id, one.entry.audio) for one in found.candidates] == [
        (composed, f"video/{decomposed}.mp4"),
        ("b", "audio/b.M4A"),
    ]
    assert found.notes == ("not read: 1 hidden file, 1 .xyz",)
    (tmp_path / "audio" / "b.wav").write_bytes(b"")
    with pytest.raises(UsageError, match="belong to the same clip, b"):
        find_biaudio(tmp_path, Options())


OWN_SUITE = """
from visaudio_bench.suites.datasets import Candidate, Dataset, FoundData
from visaudio_bench.suites.manifest import Entry


def find(folder, options):
    names = sorted(path.stem for path in folder.glob("*.mp4"))
    if not names:
        raise STREETS.refuse(folder, "holds no video")
    entries = (Entry(name, "test", name, f"{name}.mp4", f"{name}.mp4", start_s=0.0, duration_s=2.0) for name in names)
    return FoundData(folder, tuple(Candidate(entry) for entry in entries))


STREETS = Dataset(
    "streets", "Streets", find, licence="CC0", home="a shelf", layouts=("a folder of .mp4",), duration=2.0
)
"""


def test_a_data_set_is_a_suite_when_it_is_entered_once(
    bench: Callable, data: Path, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_suite.py").write_text(OWN_SUITE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_suite", raising=False)
    points = [EntryPoint("streets", "own_suite:STREETS", ""), EntryPoint("broken", "no_such_package:DATA", "")]
    monkeypatch.setattr(
        visaudio_bench.registry, "entry_points", lambda group: points if group.endswith(".datasets") else []
    )
    for listed in (bench("list", "suites"), bench("data", "list")):
        assert listed.code == 0
        assert "streets" in listed.out
        assert "no_such_package:DATA, which does not import" in " ".join(listed.out.split())
    assert "Get it: a shelf" in bench("run", "--suite", "streets", "--out", tmp_path / "run").err
    (tmp_path / "streets").mkdir()
    for name in ("a", "b"):
        shutil.copy(parts / "left17.mp4", tmp_path / "streets" / f"{name}.mp4")
    told = bench("data", "prepare", "streets", "--from", tmp_path / "streets", "--workers", 1)
    assert told.code == 0, told.err
    assert "own_suite:STREETS" in bench("list", "suites", "-v").out
    suite = open_suite("streets:test")
    assert [(clip.id, clip.duration) for clip in suite.clips()] == [("a", 2.0), ("b", 2.0)]
    with pytest.raises(UsageError, match='no part "train"'):
        open_suite("streets:train")


def test_every_data_set_is_a_suite_once() -> None:
    assert set(DATASETS.names()) < set(SUITES.names())
    assert len(set(SUITES.names())) == len(SUITES.names())
    assert all(SUITES.origin(name) == "built in" for name in SUITES.names())
    assert all(isinstance(DATASETS.get(name), Dataset) and DATASETS.get(name).name == name for name in DATASETS.names())
