"""The one form of every data set: what is written is read, and what would mislead is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import UsageError
from visaudio_bench.suites.manifest import (
    NAMES,
    Entry,
    Manifest,
    find_manifest,
    leaking_groups,
    read_manifest,
    write_manifest,
)
from visaudio_bench.suites.visibility_captions import SoundCaption, parse_labelled

ENTRY = Entry("a", "test", "g", "video/a.mp4", "audio/a.wav")
words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
safe = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,30}", fullmatch=True)
entries = st.builds(
    Entry,
    clip_id=safe,
    split=st.sampled_from(["train", "all"]),
    group_id=words,
    video=st.one_of(st.none(), safe),
    audio=st.one_of(st.none(), safe),
    start_s=st.floats(0, 1e5),
    duration_s=st.floats(0.1, 100),
    caption=st.one_of(st.none(), words),
    visible=st.one_of(st.none(), words),
    invisible=st.one_of(st.none(), words),
    source_rate=st.one_of(st.none(), st.integers(8000, 192000)),
    channels=st.one_of(st.none(), st.integers(1, 16)),
    meta=st.dictionaries(words, st.one_of(st.none(), st.booleans(), st.integers(-5, 5), words), max_size=3),
)


@settings(max_examples=15)
@given(rows=st.lists(entries, min_size=1, max_size=6, unique_by=lambda entry: entry.clip_id))
def test_both_forms_give_back_every_row(tmp_path_factory: pytest.TempPathFactory, rows: list[Entry]) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    manifest = Manifest("biaudio", folder, tuple(rows))
    for name in NAMES:
        write_manifest(folder / name, manifest)
        assert read_manifest(folder / name) == manifest


def test_a_root_elsewhere_is_kept_and_one_beside_moves_along(tmp_path: Path) -> None:
    for place in ("there", "."):
        path = tmp_path / "here" / f"{place}.jsonl"
        write_manifest(path, Manifest("x", path.parent / place, (ENTRY,)))
    (tmp_path / "here").rename(tmp_path / "moved")
    assert read_manifest(tmp_path / "moved" / "there.jsonl").root == tmp_path / "here" / "there"
    moved = read_manifest(tmp_path / "moved" / "..jsonl")
    assert moved.path(ENTRY.video) == tmp_path / "moved" / "video" / "a.mp4"
    assert find_manifest(tmp_path) is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ENTRY, ENTRY], "occurs twice"),
        ([replace(ENTRY, clip_id="../a")], "cannot name a file"),
        ([replace(ENTRY, clip_id=".a")], "cannot name a file"),
        ([replace(ENTRY, clip_id="a\x9b")], "cannot name a file"),
        ([replace(ENTRY, meta={"right": "../a"})], "relative to the root"),
        ([replace(ENTRY, video="a\0")], "relative to the root"),
        ([replace(ENTRY, duration_s=1e300)], "has the window"),
        ([replace(ENTRY, clip_id="a" * 201)], "cannot name a file"),
        ([replace(ENTRY, video="/etc/passwd")], "relative to the root"),
        ([replace(ENTRY, audio="../../a.wav")], "relative to the root"),
        ([replace(ENTRY, duration_s=0.0)], "has the window"),
        ([replace(ENTRY, start_s=-1.0)], "has the window"),
        ([ENTRY, replace(ENTRY, clip_id="b", split="train")], "both sides of the split, first g"),
    ],
)
def test_rows_that_mislead_are_refused(tmp_path: Path, rows: list[Entry], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_manifest(tmp_path / "manifest.jsonl", Manifest("x", tmp_path, tuple(rows)))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "holds no rows"),
        (["{"], "cannot be read as a manifest"),
        (['{"manifest": 9}'], "form 9, this version reads form 1"),
        (['{"manifest": 1}', '{"clip_id": "a"}'], "is missing"),
        (['{"manifest": 1}', '{"clip_id": 3}'], "clip_id is 3"),
        (['{"manifest": 1}', '{"clip": "a"}'], "unknown column 'clip'"),
        (['{"manifest": 1}', '{"clip_id": "a", "duration_s": "8"}'], "duration_s is '8'"),
        (['{"manifest": 1, "root": 5}', "{}"], "the header.root is 5"),
        (['{"manifest": 1, "root": "\\u0000"}', "{}"], "NUL"),
        (['{"manifest": 1}', '{"clip_id": "a", "duration_s": 1e400}'], "duration_s is inf"),
        (['{"manifest": 1}', '{"clip_id": "a", "duration_s": 1' + "0" * 5000 + "}"], "cannot be read as a manifest"),
        (['{"manifest": 1}', '{"clip_id": "a", "source_rate": 1' + "0" * 30 + "}"], "source_rate is 1000"),
        (['{"manifest": 1}', '{"clip_id": "\\ud800"}'], "half a character"),
        (['{"manifest": 1}', "[" * 100_000], "not a JSON object"),
    ],
)
def test_files_that_are_no_manifest_say_why(tmp_path: Path, lines: list[str], words: str) -> None:
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    with pytest.raises(UsageError, match=words):
        read_manifest(tmp_path / "manifest.jsonl")
    (tmp_path / "manifest.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UsageError, match="cannot be read as a manifest"):
        read_manifest(tmp_path / "manifest.parquet")


def test_one_video_on_both_sides_leaks_and_parts_of_one_side_do_not() -> None:
    rows = [replace(ENTRY, clip_id=str(k), split=split) for k, split in enumerate(["test", "val", "test"])]
    assert leaking_groups(rows) == frozenset()
    assert leaking_groups([*rows, replace(ENTRY, split="train")]) == {"g"}
    assert leaking_groups([replace(ENTRY, split="all"), replace(ENTRY, split="train")]) == frozenset()


plain = st.text("abc ,.", min_size=1, max_size=20).map(str.strip).filter(bool)


@given(visible=plain, invisible=st.one_of(st.none(), plain))
def test_a_labelled_caption_comes_apart_again(visible: str, invisible: str | None) -> None:
    visible = visible.rstrip(" ,") or "a"
    caption = SoundCaption(visible, invisible)
    assert parse_labelled(caption.labelled()) == caption
    assert parse_labelled(visible) is None


def test_captions_of_the_paper_and_odd_ones() -> None:
    text = "Visible sound: a man plays sitar, a tabla, Invisible sound: people talk, far away"
    caption = parse_labelled(text)
    assert caption == SoundCaption("a man plays sitar, a tabla", "people talk, far away")
    assert caption.labelled() == text
    assert caption.plain() == "a man plays sitar, a tabla, people talk, far away"
    assert caption.plain(" while ") == "a man plays sitar, a tabla while people talk, far away"
    assert parse_labelled("visible sound:  a dog ,invisible sound: ") == SoundCaption("a dog", None)
    with pytest.raises(ValueError, match="nothing is visible"):
        parse_labelled("Visible sound: , Invisible sound: rain")


@pytest.mark.timeout(60)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("manifest.parquet", "manifest.jsonl"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UsageError, match="is not a file"):
            read_manifest(tmp_path / name)
