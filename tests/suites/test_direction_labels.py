"""Direction labels: what is written is read, what would mislead is refused or counted, scenes are labelled rightly."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.datasets import AdmissionRules, Candidate
from visaudio_bench.suites.direction_labels import (
    LabelledFrame,
    clip_labels,
    label_remarks,
    read_labels,
    write_labels,
)
from visaudio_bench.suites.manifest import Entry, Manifest, read_manifest, write_manifest
from visaudio_bench.suites.manifest_check import check_entry
from visaudio_bench.suites.media import write_audio
from visaudio_bench.suites.preparation import examine
from visaudio_bench.suites.simulated import simroom_mini
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.render import labels_file, scene_sounds
from visaudio_bench.suites.simulator.truth import control_times, truth_of

HEADER = "clip,t,azimuth_deg,elevation_deg,distance_m,source,class,visible"


def table(path: Path, *rows: str, header: str = HEADER, end: str = "\n") -> Path:
    path.write_bytes(end.join([header, *rows, ""]).encode())
    return path


def noise(path: Path, seconds: float = 2.0) -> None:
    write_audio(path, 0.1 * np.random.default_rng(0).standard_normal((2, round(44100 * seconds))), 44100)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = (
        LabelledFrame(3, math.radians(-179.5), math.radians(10), 2.5, "a", "dog, large", True),
        LabelledFrame(3, math.radians(45), 0.0, None, "b", "", None),
        LabelledFrame(12, 0.0, 0.0, 1.0, "a", "dog, large", False),
    )
    write_labels(tmp_path / "labels.csv", {"x": rows})
    (read,) = read_labels(tmp_path / "labels.csv").values()
    assert [row[3:] for row in read] == [row[3:] for row in rows]
    assert np.allclose([row[:3] for row in read], [row[:3] for row in rows], atol=1e-9)


def test_the_columns_that_must_be_there_are_two_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        path = table(tmp_path / "ball.csv", "0,90", "0.1,-45.5", header="t,azimuth_deg", end=end)
        first, second = read_labels(path)["ball"]
        assert first == LabelledFrame(0, math.pi / 2)
        assert (second.frame, second.azimuth) == (1, math.radians(-45.5))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,0.0,181,0,1,0,dog,1", r":2: azimuth_deg is 181; expected a number from -180 to 180"),
        ("x,0.0,nan,0,1,0,dog,1", r":2: azimuth_deg is nan"),
        ("x,0.0,,0,1,0,dog,1", r":2: azimuth_deg is empty"),
        ("x,0.0,left,0,1,0,dog,1", r":2: azimuth_deg is left"),
        ("x,0.0,0,91,1,0,dog,1", r":2: elevation_deg is 91"),
        ("x,0.0,0,0,0,0,dog,1", r":2: distance_m is 0; a distance lies above 0"),
        ("x,0.0,0,0,nan,0,dog,1", r":2: distance_m is nan"),
        ("x,0.0,0,0,inf,0,dog,1", r":2: distance_m is inf"),
        ("x,-0.1,0,0,1,0,dog,1", r":2: t is -0.1"),
        ("x,0.0,1_0,0,1,0,dog,1", r":2: azimuth_deg is 1_0"),
        ("x,0.0,350,0,1,0,dog,1", r":2: azimuth_deg is 350; .* 180, positive to the left of the camera's axis"),
        ("x,1e308,0,0,1,0,dog,1", r":2: t is 1e308; expected a number from 0 to 1e\+06"),
        ("x,0.05,0,0,1,0,dog,1", r":2: t is 0.05; labels are 10 a second"),
        ("x,0.0,0,0,1,0,dog,perhaps", r":2: visible is perhaps; expected 1, 0 or nothing"),
        (",0.0,0,0,1,0,dog,1", r":2: the column clip is empty"),
        ("x,0.0,0,0,1,0,dog,1\nx,0.0,9,0,1,0,dog,1", r":3: source 0 of clip x has a row at 0 s already"),
        ("x,0.0,0,0,1,0,dog", r":2: 7 field"),
    ],
)
def test_rows_that_would_mislead_are_refused_with_their_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_labels(table(tmp_path / "labels.csv", row))


def test_tables_of_spreadsheets_with_decimal_commas_are_read(tmp_path: Path) -> None:
    path = table(tmp_path / "ball.csv", "0,3;-12,5;;2,25", header="\ufefft;azimuth_deg;elevation_deg;distance_m")
    assert read_labels(path)["ball"] == (LabelledFrame(3, math.radians(-12.5), distance=2.25),)
    written = table(
        tmp_path / "seen.csv", "0.0,1,1.0", "0.1,1,0.0", "0.2,1,", "0.3,1,TRUE", header="t,azimuth_deg,visible"
    )
    assert [row.visible for row in read_labels(written)["seen"]] == [True, False, None, True]


def test_a_row_that_stands_twice_is_one_and_a_header_alone_says_that_nothing_sounds(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "0.0,1", "0.1,2", "0.1,2", "0.9,5", "0.9,5", header="t,azimuth_deg")
    clip = Clip("a", None, None, 0.0, 0.5, labels=path)
    assert [row.frame for row in clip_labels(clip)] == [0, 1]
    assert "direction labels: 1 row(s) that repeat another one count once" in label_remarks([clip])
    assert clip_labels(replace(clip, labels=table(tmp_path / "b.csv", header="t,azimuth_deg"))) == ()
    with pytest.raises(UsageError, match=r"c\.csv names no clip"):
        read_labels(table(tmp_path / "c.csv"))
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(UsageError, match="a header was expected"):
        read_labels(tmp_path / "d.csv")


@pytest.mark.parametrize(("azimuths", "asked"), [((-1.57, 0.3), True), ((-1.57, 4.0), False), ((0.0, 0.0), False)])
def test_angles_that_may_be_radians_are_asked_about(azimuths: tuple[float, float], asked: bool, tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", *(f"{t / 10},{a}" for t, a in enumerate(azimuths)), header="t,azimuth_deg")
    remarks = label_remarks([Clip("a", None, None, 0.0, 1.0, labels=path)])
    assert ("direction labels: no azimuth goes beyond 1.57 degrees; are they radians?" in remarks) == asked


def test_columns_are_spelt_as_the_table_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no column "distance_cm"\. Did you mean "distance_m"'):
        read_labels(table(tmp_path / "a.csv", "0,1,2", header="t,azimuth_deg,distance_cm"))
    with pytest.raises(UsageError, match="the column azimuth_deg is missing"):
        read_labels(table(tmp_path / "b.csv", "0,1", header="t,source"))


def test_a_window_takes_its_own_rows_and_counts_from_its_start(tmp_path: Path) -> None:
    path = table(tmp_path / "labels.csv", *(f"film,{t / 10},{t},0,1,0,dog,1" for t in range(40)))
    clip = Clip("film_0001", None, None, 1.0, 2.0, labels=path)
    rows = clip_labels(clip)
    assert [row.frame for row in rows] == list(range(20))
    assert math.degrees(rows[0].azimuth) == pytest.approx(10)
    for wrong, reason in (
        (replace(clip, labels=None), "no_labels"),
        (replace(clip, labels=tmp_path / "no"), "bad_labels"),
    ):
        with pytest.raises(ClipError) as refused:
            clip_labels(wrong)
        assert refused.value.reason == reason


def test_a_folder_labels_its_clips_and_says_what_is_odd(bench: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for name in ("a", "b", "c"):
        noise(folder / f"{name}.wav")
    before = open_suite(f"folder:{folder}").manifest_hash()
    table(folder / "sizes.csv", "a,3", header="clip,bytes")
    assert open_suite(f"folder:{folder}").manifest_hash() == before
    table(folder / "all.csv", "a,0.0,10,0,1,0,dog,1", "a,0.2,10,0,1,0,dog,1", "ghost,0.0,0,0,1,0,dog,1")
    table(folder / "b.csv", "1.9,20", "2.0,20", "2.1,20", header="t,azimuth_deg")
    suite = open_suite(f"folder:{folder}")
    assert [clip.labels and clip.labels.name for clip in suite.clips()] == ["all.csv", "b.csv", None]
    labelled = suite.manifest_hash()
    assert labelled != before
    told = bench("run", "--suite", f"folder:{folder}", "--out", tmp_path / "run", "--dry-run").err
    for line in (
        "2 of 3 clips have direction labels",
        "direction labels: 2 row(s) behind the end of their clip are not used",
        "direction labels: 1 gap(s) of less than 0.5 s within a source",
        "direction labels of 1 clip(s) that are not there: ghost",
        "not read: 1 .csv",
    ):
        assert line in told
    table(folder / "b.csv", "1.9,30", header="t,azimuth_deg")
    assert open_suite(f"folder:{folder}").manifest_hash() != labelled
    table(folder / "b.csv", "1.9,190", header="t,azimuth_deg")
    told = bench("run", "--suite", f"folder:{folder}", "--out", tmp_path / "run")
    assert (told.code, "b.csv:2: azimuth_deg is 190" in told.err) == (2, True)
    table(folder / "b.csv", "a,1.9,30", header="clip,t,azimuth_deg")
    with pytest.raises(UsageError, match=r"both label the clip a\. Keep one"):
        open_suite(f"folder:{folder}")


def test_labels_belong_to_the_clip_beside_them_whatever_its_folder_and_unicode_form(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        noise(tmp_path / folder / "take.wav", 1.5)
        table(tmp_path / folder / "take.csv", f"0.0,{len(folder)}", header="t,azimuth_deg")
    noise(tmp_path / "caf\u00e9.wav", 1.5)
    table(tmp_path / "all.csv", "cafe\u0301,0.0,30,0,1,0,dog,1")
    suite = open_suite(f"folder:{tmp_path}")
    degrees = {clip.id: round(math.degrees(clip_labels(clip)[0].azimuth)) for clip in suite.clips()}
    assert degrees == {"caf\u00e9": 30, "first__take": 5, "second__take": 6}
    assert suite.remarks()[0] == "3 of 3 clips have direction labels" and not suite.told
    assert all("labels" in row for row in suite.manifest())


def test_a_manifest_carries_labels_and_check_reads_them(tmp_path: Path, recording: object) -> None:
    sound, video = tmp_path / "a.flac", tmp_path / "a.mp4"
    shutil.copy(recording.sound, sound)
    shutil.copy(recording.video, video)
    labels = table(tmp_path / "a.csv", "0.0,30", header="t,azimuth_deg")
    entry = Entry("a", "test", "a", "a.mp4", "a.flac", labels="a.csv")
    (window,) = examine(Candidate(entry), tmp_path, AdmissionRules(), tmp_path / "joined")
    measured = window["measured"]
    entry = replace(
        entry, source_rate=measured["source_rate"], channels=measured["channels"], meta={"content": measured["content"]}
    )
    write_manifest(tmp_path / "manifest.jsonl", Manifest("x", tmp_path, (entry,)))
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    assert manifest.entries[0].labels == "a.csv"
    assert check_entry(entry, manifest, tmp_path) == []
    table(labels, "0.0,40", header="t,azimuth_deg")
    assert [wrong.reason for wrong in check_entry(entry, manifest, tmp_path)] == ["changed"]
    table(labels, "0.0,181", header="t,azimuth_deg")
    (wrong,) = check_entry(entry, manifest, tmp_path)
    assert (wrong.reason, "azimuth_deg is 181" in wrong.message) == ("bad_labels", True)
    with pytest.raises(ClipError, match="azimuth_deg is 181"):
        examine(Candidate(entry), tmp_path, AdmissionRules(), tmp_path / "joined")
    row = json.loads((tmp_path / "manifest.jsonl").read_text().splitlines()[1])
    row["labels"] = "../a.csv"
    header = (tmp_path / "manifest.jsonl").read_text().splitlines()[0]
    (tmp_path / "manifest.jsonl").write_text(f"{header}\n{json.dumps(row)}\n")
    with pytest.raises(UsageError, match="paths are relative to the root"):
        read_manifest(tmp_path / "manifest.jsonl")


def test_simulated_scenes_are_labelled_as_their_truth_says() -> None:
    suite = simroom_mini()
    assert all(clip.labels == labels_file(suite.folder, clip.id) for clip in suite.clips())
    seconds = 0.0
    for scene in list(suite.scenes.values())[:7]:
        sounds = scene_sounds(scene)
        truth = truth_of(scene, [sound.onsets for sound in sounds], "")
        rows = scene_labels(scene, sounds)
        assert rows == tuple(sorted(rows, key=lambda row: (row.frame, row.source)))
        for row in rows:
            true = truth["sources"][int(row.source)]
            middle = 10 * row.frame + 5
            assert (row.azimuth, row.distance) == pytest.approx(
                (true["azimuth"][middle], true["distance"][middle]), abs=1e-3
            )
            assert (row.kind, row.visible) == (true["sound"], bool(true["visible"][middle]))
        for number, true in enumerate(truth["sources"]):
            sounding = {row.frame for row in rows if row.source == str(number)}
            for onset in true["onsets"]:
                arrival = onset + true["distance"][round(100 * onset)] / 343
                assert arrival > scene.duration - 0.1 or sounding & {int(10 * arrival), int(10 * arrival) + 1}
            assert not any(frame < 10 * true["onsets"][0] - 1 for frame in sounding)
            seconds += len(sounding) / 10
        assert len(control_times(scene)) == 201
    assert 5 < seconds < 17
