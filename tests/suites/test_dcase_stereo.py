"""DCASE 2025's stereo clips from their own layout to tables: signs, frames and folding, and no time differences."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.datasets import DATA_VARIABLE, Options
from visaudio_bench.suites.dcase_stereo import find
from visaudio_bench.suites.direction_labels import clip_labels, read_labels
from visaudio_bench.suites.media import read_sound, write_audio
from visaudio_bench.suites.yuv_pictures import Colours, write_planes

from .construction.conftest import noise, pictures, texture

RATE, FRAMES = 24_000, 50
CLIPS = (
    "dev-train-sony/fold3_room21_mix013_deg000_start0000", "dev-test-tau/fold4_room2_mix007_deg359_start0042",
    "dev-test-sony/fold4_room23_mix001_deg120_start0007",
)  # fmt: skip
Written = Callable[[int, float], tuple[int, float]]


def azimuths(seed: int) -> np.ndarray:
    """Degrees in each label frame: another place every 0.5 s, never near the middle, some behind."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.uniform(20, 160, 10) * np.where(rng.random(10) < 0.5, -1, 1), 5)


def folded(azimuth: float) -> float:
    return math.copysign(180 - abs(azimuth), azimuth) if abs(azimuth) > 90 else azimuth


def tree(folder: Path, written: Written = lambda frame, azimuth: (frame, azimuth), axis: int = 1) -> Path:
    """Clips of a source that jumps, as their generator makes them: W + Y and W - Y, a table with folded azimuths."""
    for seed, name in enumerate(CLIPS):
        blocks = noise(FRAMES / 10, RATE, seed).reshape(-1, RATE // 10)
        places = azimuths(seed)
        field = np.concatenate(
            [encode(block, math.radians(place)) for block, place in zip(blocks, places, strict=True)], axis=1
        )
        for kind in ("stereo_dev", "video_dev", "metadata_dev"):
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(
            folder / "stereo_dev" / f"{name}.wav",
            0.4 * np.stack([field[0] + field[axis], field[0] - field[axis]]),
            RATE,
        )
        write_planes(
            folder / "video_dev" / f"{name}.mp4", pictures([texture()] * FRAMES), Fraction(10), Colours(2, 2, 2, 0)
        )
        rows = [written(frame, folded(place)) for frame, place in enumerate(places)]
        lines = [f"{frame},1,0,{round(place)},250,{int(abs(place) < 50)}" for frame, place in rows if frame >= 0]
        table = "\r\n".join(["frame,class,source,azimuth,distance,onscreen", *lines, ""])
        (folder / "metadata_dev" / f"{name}.csv").write_bytes(table.encode())
    return folder


@pytest.fixture
def prepared(bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))

    def prepare() -> None:
        source = tree(tmp_path / "dcase")
        told = bench("data", "prepare", "dcase2025-stereo", "--from", source, "--workers", 1)
        assert told.code == 0, told.err

    return prepare


def on_their_side(clip: Clip) -> float:
    """The share of label frames in which the louder channel is on the label's side."""
    assert clip.audio is not None
    sound = read_sound(clip.audio).samples
    block = sound.shape[1] // FRAMES
    level = np.square(sound[:, : FRAMES * block].reshape(2, FRAMES, block)).mean(-1)
    louder = np.sign(level[0] - level[1])
    return float(np.mean([louder[row.frame] == np.sign(row.azimuth) for row in clip_labels(clip)]))


def test_the_tree_becomes_a_suite_with_its_labels(prepared: Callable) -> None:
    prepared()
    clips = {part: open_suite(f"dcase2025-stereo:{part}").clips() for part in ("train", "test")}
    assert [clip.id for clip in clips["test"]] == [CLIPS[2].split("/")[1], CLIPS[1].split("/")[1]]
    assert [clip.id for clip in clips["train"]] == [CLIPS[0].split("/")[1]]
    for clip in (*clips["train"], *clips["test"]):
        assert (clip.duration, clip.meta["level_only"]) == (5.0, True)
        assert on_their_side(clip) == 1.0
    labels = clip_labels(clips["train"][0])
    assert [row.frame for row in labels] == list(range(FRAMES))
    assert {row.kind for row in labels} == {"male speech"} and {row.distance for row in labels} == {2.5}
    assert max(abs(row.azimuth) for row in labels) <= math.pi / 2
    assert [row.visible for row in labels] == [abs(folded(place)) < 50 for place in azimuths(0)]


@pytest.mark.parametrize(
    "how",
    [
        {"written": lambda frame, azimuth: (frame, -azimuth)},
        {"written": lambda frame, azimuth: (frame, math.copysign(90 - abs(azimuth), math.sin(7 * azimuth)))},
        {"written": lambda frame, azimuth: (frame + 1, azimuth)},
        {"written": lambda frame, azimuth: (frame - 1, azimuth)},
        {"axis": 3},
    ],
    ids=["sign", "axes of the labels", "one frame late", "one frame early", "axes of the sound"],
)
def test_another_convention_would_be_seen(tmp_path: Path, how: dict[str, Any]) -> None:
    root = tree(tmp_path / "dcase", **how)
    entries = [candidate.entry for candidate in find(root, Options()).candidates]
    clips = [
        Clip(entry.clip_id, None, root / str(entry.audio), duration=5.0, labels=root / str(entry.labels))
        for entry in entries
    ]
    assert len(clips) == 3 and max(on_their_side(clip) for clip in clips) < 0.95  # of the right ones each is at 1


def test_the_next_command_names_a_part_that_is_there(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    source = tree(tmp_path / "dcase")
    for path in source.glob("*/dev-test-*/*"):
        path.unlink()
    told = bench("data", "prepare", "dcase2025-stereo", "--from", source, "--workers", 1)
    assert told.code == 0, told.err
    assert "next: bench run --suite dcase2025-stereo:train" in told.err


def test_tables_have_no_column_of_time_differences_and_say_why(
    bench: Callable, prepared: Callable, tmp_path: Path
) -> None:
    prepared()
    asked = ("--metric", "default,direction,w1_itd,fcd,mean_abs_itd,itd_coverage,delta_itd_median,w1_ild")
    told = bench("run", "--suite", "dcase2025-stereo", *asked, "--out", tmp_path / "run", "--workers", 1,
                 "--system", "noise", "--format", "json")  # fmt: skip
    assert told.code == 0, told.err
    table = next(table for table in json.loads(told.out) if "where the sound is" in table["title"])
    columns = {column["key"] for column in table["columns"]}
    times = {"delta_itd", "delta_itd_median", "w1_itd", "fcd", "mean_abs_itd", "itd_coverage"}
    assert not columns & times
    assert {"lr_acc", "delta_ild", "w1_ild", "label_side", "label_err"} <= columns
    (note,) = [note for note in table["notes"] if note.startswith("No ΔITD")]
    assert "W1-ITD, FCD" in note and "stereo by level alone" in note
    body = json.loads((tmp_path / "run" / "results.json").read_text())
    lacking = [result for result in body["results"] if result["metric"] in times]
    assert lacking and {result["reason"] for result in lacking} == {"level_only"}
    rows = {row["system"]: row["cells"] for row in table["rows"]}
    side = {name: cells["label_side"]["value"] for name, cells in rows.items()}
    assert side["Reference"] > 95 and side["Swapped"] < 5 and side["Mono"] == 50, side


HEAD = "frame,class,source,azimuth,distance,onscreen"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("0,1,0,91,100,1", "azimuth"), ("0,1,0,nan,100,1", "is not frame"), ("0,13,0,10,100,1", "class"),
        ("0,1,0,10,0,1", "distance"), ("0,1,0,10,100,2", "onscreen"), ("0.5,1,0,10,100,1", "frame"),
        ("-1,1,0,10,100,1", "frame"), ("0,1,0,10,100", "fields|columns"),
        ("0,2,0,11,100,1", "has a row at 0 s already"),
    ],
)  # fmt: skip
def test_labels_that_would_mislead_are_refused_with_their_line(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{HEAD}\n0,2,0,10,90,0\n{row}\n")
    with pytest.raises(UsageError, match=told) as refused:
        read_labels(path)
    assert ":3" in str(refused.value) or "line 3" in str(refused.value)


def test_what_cannot_be_used_is_listed_with_its_reason(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    source = tree(tmp_path / "dcase")
    first, second, third = (source / "metadata_dev" / f"{name}.csv" for name in CLIPS)
    first.write_text(f"{HEAD}\n")
    second.write_text(f"{HEAD}\n0,1,0,120,100,1\n")
    late = third.read_text() + "50,1,0,20,100,1\n71,1,0,20,100,1\n"
    third.write_text(late + late.splitlines()[1] + "\n")
    (third.parent / "fold9_room1_mix001_deg000_start0000.csv").write_text(f"{HEAD}\n")
    (third.parent / "fold4_room1_mix001_deg000_start0000.csv").write_text(f"{HEAD}\n0,1,0,20,100,1\n")
    told = bench("data", "prepare", "dcase2025-stereo", "--from", source, "--workers", 1)
    assert told.code == 0, told.err
    for reason in ("no_labels", "bad_labels", "unknown_name", "no_video"):
        assert f"left out: {reason}" in told.out
    (clip,) = open_suite("dcase2025-stereo").clips()
    assert len(clip_labels(clip)) == FRAMES
    remarks = " ".join(open_suite("dcase2025-stereo").remarks())
    assert "2 row(s) behind the end of their clip are not used" in remarks
    assert "1 row(s) that repeat another one count once" in remarks
    told = bench("data", "prepare", "dcase2025-stereo", "--from", source / "stereo_dev")
    assert (told.code, "side by side, as the archives unpack them" in told.err) == (2, True)
