"""A whole data set: resumed, shared out, refused, and the same whoever makes it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.errors import BenchError, ClipError, UsageError
from visaudio_bench.isolation import map_isolated
from visaudio_bench.pool import Outcome, map_unordered
from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.construction.build import BuildSettings, clip_files
from visaudio_bench.suites.construction.captioning import caption_clips, read_captions
from visaudio_bench.suites.construction.dataset import Build, Shard
from visaudio_bench.suites.construction.sphere360 import find_panoramas
from visaudio_bench.suites.manifest import read_manifest
from visaudio_bench.suites.visibility_captions import SoundCaption

from ...bench.cluster.doubles import conduct
from .conftest import Panoramas, noise

RECIPE = BuildSettings(duration=1.0, size=32)
HERE = partial(map_unordered, workers=1)


@pytest.fixture
def source(panorama: Panoramas) -> Path:
    for index in range(5):
        panorama(
            f"video{index:06d}_0",
            split="test" if index == 1 else "train",
            field=encode(noise(1.0, seed=index), index - 2.0),
        )
    return panorama("video000005_0", field=encode(noise(1.0), 1.2)[:3])


def files(folder: Path) -> dict[str, str]:
    """Hashes of everything that was made."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def begun(source: Path, out: Path, recipe: BuildSettings = RECIPE, shard: Shard = Shard()) -> Build:  # noqa: B008
    work = Build(find_panoramas(source), out, recipe, shard)
    work.begin()
    return work


def test_the_files_do_not_depend_on_who_makes_them(source: Path, tmp_path: Path) -> None:
    alone = begun(source, tmp_path / "alone")
    assert len(list(alone.run(HERE))) == 6
    made = alone.finish({})
    assert made is not None and [r.reason for r in made.rejects] == ["not_ambisonic"]
    pooled = begun(source, tmp_path / "pooled")
    list(pooled.run(partial(map_isolated, workers=2, timeout=600.0)))
    pooled.finish({})
    parts = [begun(source, tmp_path / "parts", shard=Shard(index, 2)) for index in (1, 2)]
    for part in reversed(parts):
        list(part.run(HERE))
    parts[1].finish({})
    assert files(tmp_path / "alone") == files(tmp_path / "pooled") == files(tmp_path / "parts")


def unisolated(function: Callable[[Any], Any], timeout: float, item: Any) -> Any:
    return function(item)


def test_a_cluster_makes_the_same_files(
    bench: Callable, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = begun(source, tmp_path / "alone")
    list(alone.run(HERE))
    alone.finish({})
    cluster = conduct(monkeypatch)
    monkeypatch.setattr("visaudio_bench.isolation._isolated", unisolated)  # a worker starts a process for each clip
    asked = ("--from", source, "--out", tmp_path / "cluster", "--seconds", 1, "--size", 32, "--ray", "auto")
    told = bench("data", "build", "biaudio", *asked)
    assert told.code == 0, told.err
    assert [function.func for function, _ in cluster.asked] == [unisolated]
    shutil.rmtree(tmp_path / "cluster" / "statistics")  # which no clip is part of
    assert files(tmp_path / "alone") == files(tmp_path / "cluster")


def test_the_manifest_is_written_when_the_last_part_is_done(source: Path, tmp_path: Path) -> None:
    parts = [begun(source, tmp_path / "out", shard=Shard(index, 3)) for index in (1, 2, 3)]
    assert sorted(one.id for part in parts for one in part.pending()) == [f"video{i:06d}_0" for i in range(6)]
    for part in parts[:2]:
        list(part.run(HERE))
        assert part.finish({}) is None and not (tmp_path / "out" / "manifest.jsonl").exists()
    list(parts[2].run(HERE))
    assert parts[2].finish({}) is not None


def test_a_build_goes_on_where_it_stopped(source: Path, tmp_path: Path) -> None:
    work = begun(source, tmp_path / "out")
    running = work.run(HERE)
    first = [next(running), next(running)]
    running.close()
    before = files(tmp_path / "out")
    again = begun(source, tmp_path / "out")
    assert len(again.pending()) == 4 and not {one.id for one in again.pending()} & set(first)
    list(again.run(HERE))
    after = files(tmp_path / "out")
    assert before.items() <= after.items()
    assert not again.pending()
    (tmp_path / "out" / "audio" / f"{first[0]}.flac").unlink()
    assert [one.id for one in again.pending()] == [first[0]]
    list(again.run(HERE))
    assert files(tmp_path / "out") == after


def test_a_source_that_was_fetched_anew_is_made_anew(source: Path, tmp_path: Path, panorama: Panoramas) -> None:
    work = begun(source, tmp_path / "out")
    list(work.run(HERE))
    made = work.finish({})
    assert made is not None and len(made.records) == 5
    panorama("video000005_0", field=encode(noise(1.0), 1.2))
    assert [one.id for one in work.pending()] == ["video000005_0"]
    list(work.run(HERE))
    made = work.finish({})
    assert made is not None and len(made.records) == 6 and not made.rejects
    panorama("video000005_0", field=encode(noise(1.0), 1.2)[:3])
    list(work.run(HERE))
    assert not (tmp_path / "out" / "audio" / "video000005_0.flac").exists()


DAMAGES = ("", "[]", "{", '{"id": 5}', '{"reason": 3, "id": "x"}', "[" * 100_000)


def test_a_clip_whose_record_is_damaged_is_made_anew(source: Path, tmp_path: Path) -> None:
    work = begun(source, tmp_path / "out")
    list(work.run(HERE))
    before = files(tmp_path / "out")
    clip = work.found.panoramas[0].id
    for damage in DAMAGES:
        clip_files(tmp_path / "out", clip).record.write_text(damage)
        assert [one.id for one in work.pending()] == [clip], damage[:9]
        assert work.finish({}) is None
        list(work.run(HERE))
        assert files(tmp_path / "out") == before, damage[:9]
    for damage in DAMAGES:
        (tmp_path / "out" / "build.json").write_text(damage)
        with pytest.raises(UsageError, match=r"build\.json does not say how|was made with"):
            begun(source, tmp_path / "out")


def test_a_folder_is_made_by_one_recipe(source: Path, tmp_path: Path) -> None:
    begun(source, tmp_path / "out")
    with pytest.raises(UsageError, match=r"made with decoder omnitone \(now kemar\), size 32 \(now 64\)"):
        begun(source, tmp_path / "out", replace(RECIPE, decoder="kemar", size=64))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds something else"):
        begun(source, tmp_path / "other")


def troubled(
    function: Callable[[Any], Any], items: Sequence[Any], /, *, errors: dict[str, Exception]
) -> Iterator[Outcome[Any, Any]]:
    """An engine some of whose items fail without their fault, or kill their process."""
    for item in items:
        error = errors.get(item.id)
        yield Outcome(item, None, error) if error else Outcome(item, function(item), None)


def test_another_engine_may_take_the_pool_s_place_and_its_troubles_are_told(source: Path, tmp_path: Path) -> None:
    work = begun(source, tmp_path / "out")
    errors = {"video000000_0": OSError("disk full"), "video000001_0": ClipError("crashed", "its process died")}
    with pytest.raises(BenchError, match=r"1 of 6 clips could not be built .*video000000_0 \(disk full\)"):
        list(work.run(partial(troubled, errors=errors)))
    assert work.finish({}) is None
    list(work.run(partial(troubled, errors={"video000001_0": errors["video000001_0"]})))
    made = work.finish({})
    assert made is not None and {r.clip_id: r.reason for r in made.rejects}["video000001_0"] == "crashed"
    assert [one.id for one in work.pending()] == ["video000001_0"]  # once more, it may have been the machine
    list(work.run(HERE))
    made = work.finish({})
    assert made is not None and [reject.reason for reject in made.rejects] == ["not_ambisonic"]


def test_the_manifest_says_how_each_clip_was_made(source: Path, tmp_path: Path) -> None:
    work = begun(source, tmp_path / "out")
    list(work.run(HERE))
    work.finish({"video000001_0": SoundCaption("a bell", "wind"), "video000002_0": SoundCaption("a drum", None)})
    manifest = read_manifest(tmp_path / "out" / "manifest.jsonl")
    entries = {entry.clip_id: entry for entry in manifest.entries}
    assert [entry.split for entry in manifest.entries] == ["train", "test", "train", "train", "train"]
    bell, drum, none = (entries[f"video00000{index}_0"] for index in (1, 2, 3))
    assert (bell.caption, bell.visible, bell.invisible) == ("a bell, wind", "a bell", "wind")
    assert (drum.caption, drum.invisible, none.caption) == ("a drum", None, None)
    assert (bell.group_id, bell.duration_s, bell.source_rate, bell.channels) == ("video000001", 1.0, 44100, 2)
    assert all(manifest.path(path).is_file() for path in (bell.video, bell.audio))  # type: ignore[union-attr]
    assert set(bell.meta) >= {"loudest", "trajectory", "difference", "width", "gain", "fps"}
    assert "not to be redistributed" in bell.licence and bell.meta["synthetic"] is False
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(row["clip_id"], row["reason"]) for row in rejects] == [("video000005_0", "not_ambisonic")]


class Namer:
    """A captioner that says the names of the files, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def caption(self, video: Path, audio: Path) -> SoundCaption:
        self.asked.append(video.stem)
        return SoundCaption(f"{video.stem} seen", f"{audio.stem} heard")


def test_a_captioner_is_asked_once_for_each_clip(tmp_path: Path) -> None:
    clips = {name: (Path(f"{name}.mp4"), Path(f"{name}.flac")) for name in ("a", "b", "c")}
    namer, path = Namer(), tmp_path / "captions.jsonl"
    running = caption_clips(clips, namer, path)
    assert next(running) == "a"
    running.close()
    assert list(caption_clips(clips, namer, path)) == ["b", "c"]
    assert namer.asked == ["a", "b", "c"]
    assert read_captions(path)["c"] == SoundCaption("c seen", "c heard")


def test_captions_come_with_parts_or_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text('id,visible,invisible,caption\na,"a bell, loud",,\nb,,,"Visible sound: x, y, Invisible sound: z"\n')
    assert read_captions(path) == {"a": SoundCaption("a bell, loud", None), "b": SoundCaption("x, y", "z")}
    path.write_text(path.read_text() + "a,a gong,wind,\n")
    with pytest.raises(UsageError, match=r"captions\.csv:4: a has another caption in .*captions\.csv:2"):
        read_captions(path)
    path = tmp_path / "captions.jsonl"
    path.write_text('{"id": "a", "visible": "a bell"}\n{"id": "a", "visible": "a gong", "invisible": "wind"}\n')
    assert read_captions(path) == {"a": SoundCaption("a gong", "wind")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,visible\na,\n", "no caption. Expected columns: clip_id"),
        ("name,visible\na,b\n", "no clip_id"),
        ('id,caption\na,"Visible sound: , Invisible sound: z"\n', "nothing is visible"),
    ],
)
def test_captions_that_make_no_sense_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_captions(path)
    with pytest.raises(UsageError, match="absent"):
        read_captions(tmp_path / "absent.csv")
