"""Directions against labels through the command line: a folder with labels, labels alone, and what is not labelled."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.families.direction import FAMILY, as_arrays
from visaudio_bench.bench.evaluation.metric_choice import default_metrics
from visaudio_bench.metrics.direction import Labels, label_quantities
from visaudio_bench.metrics.interaural import Cues, interaural_cues
from visaudio_bench.metrics.uncertainty import Interval, Statistic, interval
from visaudio_bench.suites.direction_labels import LabelledFrame, read_labels
from visaudio_bench.suites.media import write_audio
from visaudio_bench.suites.simulator.hrtf import pan

from ...conftest import lateral_noise

KEYS = [metric.key for metric in FAMILY.metrics]


def test_rows_become_arrays_of_the_middles_of_frames_and_what_reaches_the_sides() -> None:
    rows = (
        LabelledFrame(0, np.pi / 2, np.pi / 3, None, "b", "", None),
        LabelledFrame(7, -np.pi / 6, 0.0, 2.0, "a", "", True),
        LabelledFrame(7, np.pi, 0.0, 1.0, "b", "", False),
    )
    labels = as_arrays(rows)
    assert labels.time == pytest.approx([0.05, 0.75, 0.75])
    assert labels.lateral == pytest.approx([0.5, -0.5, 0.0]), "a source above is less far to the side"
    assert labels.source.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(labels.distance, [np.nan, 2, 1])
    np.testing.assert_array_equal(labels.visible, [np.nan, 1, 0])


def labelled(path: Path, *clips: tuple[str, float]) -> Path:
    """Sources that stand still for two seconds, each clip's at an azimuth in degrees."""
    rows = [f"{clip},{frame / 10},{azimuth},0,2,0,dog,1" for clip, azimuth in clips for frame in range(20)]
    path.write_text("\n".join(["clip,t,azimuth_deg,elevation_deg,distance_m,source,class,visible", *rows]) + "\n")
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for seed, side in enumerate(("left", "right")):
        write_audio(folder / f"{side}.wav", lateral_noise(2.0, side=side, seed=seed), 44100)
    return folder


def results(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (run / "results.csv").open(newline="") as file:
        return {(row["system"], row["metric"]): row for row in csv.DictReader(file)}


def values(run: Path, metric: str) -> dict[str, float]:
    return {
        system: float(row["value"]) for (system, key), row in results(run).items() if key == metric and row["value"]
    }


def test_a_folder_with_labels_is_judged_and_its_reference_shows_the_floor(
    bench: Callable, sounds: Path, tmp_path: Path
) -> None:
    labelled(sounds / "labels.csv", ("left", 50), ("right", -50))
    run = tmp_path / "run"
    asked = ("run", "--suite", f"folder:{sounds}", "--system", "noise", "--workers", 1, "--out", run)
    told = bench(*asked, "--metric", "direction", "--format", "csv")
    assert told.code == 0, told.err
    side = values(run, "label_side")
    assert (side["reference"], side["swapped"], side["repaired"], side["mono"]) == (100, 0, 0, 50)
    error = values(run, "label_err")
    assert 0 < error["reference"] < 25
    assert error["mono"] == pytest.approx(50, abs=0.1)
    assert error["swapped"] > 70
    assert values(run, "label_ccc")["reference"] > 0.8
    assert values(run, "label_segments")["reference"] == 4
    assert results(run)["reference", "label_motion"]["reason"]
    assert {key for _, key in results(run)} == set(KEYS)
    table = (run / "leaderboard.md").read_text()
    assert "Against labels (Side, DirErr, DirCCC, " in table and "Reference shows the floor of the ruler" in table


def test_predictions_with_labels_alone_need_no_reference(bench: Callable, sounds: Path, tmp_path: Path) -> None:
    labels = labelled(tmp_path / "labels.csv", ("left", 50), ("right", 50))
    run = tmp_path / "run"
    told = bench("score", "--predictions", sounds, "--labels", labels, "--out", run, "--workers", 1, "--format", "csv")
    assert told.code == 0, told.err
    assert "2 of 2 clips have direction labels" in told.err and "behind the end" not in told.err
    assert values(run, "label_side") == {"sounds": 50}
    assert set(KEYS) <= {key for _, key in results(run)}
    table = (run / "leaderboard.md").read_text()
    assert "floor of the ruler" not in table, "there is no reference to show it"
    for words in (
        "No Move r: no labelled source moves.",
        "No Side unseen, DirErr unseen: no source is labelled as out of the picture.",
        "No Level r, Reverb r: no source comes nearer or goes away by 3 dB.",
    ):
        assert words in table
    longer = tmp_path / "longer.csv"
    longer.write_text(labels.read_text() + "".join(f"left,{2 + frame / 10},50,0,2,0,dog,1\n" for frame in range(3)))
    told = bench("score", "--predictions", sounds, "--labels", longer, "--dry-run")
    assert "direction labels: 3 row(s) behind the end of the sounds of sounds are not used" in told.err, told.err
    told = bench("score", "--predictions", sounds, "--out", tmp_path / "other", "--workers", 1, "--format", "csv")
    assert not {key for _, key in results(tmp_path / "other")} & set(KEYS), "no column without labels, unless asked for"
    told = bench("score", "--predictions", sounds, "--labels", labelled(tmp_path / "x.csv", ("cat", 0)), "--out", run)
    assert (told.code, "is of none of the 2 clips: it labels cat" in told.err) == (2, True)


def judged(heard: list[Cues], labels: list[Labels]) -> dict[str, Interval]:
    """Side and concordance of sounds against labels, with their intervals, as a leaderboard has them."""
    rows = [label_quantities(cues, said) for cues, said in zip(heard, labels, strict=True)]
    intervals = {}
    for metric in FAMILY.metrics:
        if metric.key in ("label_side", "label_ccc"):
            columns = {name: np.array([row[name].value for row in rows]) for name in metric.quantities}
            intervals[metric.key] = interval(Statistic(metric.aggregate, columns, metric.low, metric.high))
    return intervals


def test_another_clips_sound_is_at_chance_within_its_interval() -> None:
    """Thirty sources anywhere in front of a measured head, each against its own label and against another's."""
    rng = np.random.default_rng(5)
    azimuths = np.radians(rng.uniform(-60, 60, 30))
    sounds = [pan(rng.standard_normal(48_000).astype(np.float32), azimuth) for azimuth in azimuths]
    heard = [interaural_cues(sound) for sound in sounds]
    labels = [as_arrays([LabelledFrame(frame, azimuth) for frame in range(11)]) for azimuth in azimuths]
    own, swapped, other = (
        judged(heard, labels),
        judged([interaural_cues(sound[::-1].copy()) for sound in sounds], labels),
        judged(heard, [*labels[1:], labels[0]]),
    )
    assert (own["label_side"].value, swapped["label_side"].value) == (100, 0)
    assert own["label_ccc"].low > 0.8 and swapped["label_ccc"].high < -0.8
    for key, chance in (("label_side", 50), ("label_ccc", 0)):
        assert other[key].low < chance < other[key].high


def test_clips_without_labels_are_left_out_with_the_reason(bench: Callable, sounds: Path, tmp_path: Path) -> None:
    labelled(sounds / "left.csv", ("left", 50))
    run = tmp_path / "run"
    asked = ("run", "--suite", f"folder:{sounds}", "--system", "noise", "--workers", 1, "--out", run)
    assert bench(*asked, "--metric", "label_side,lr_acc", "--format", "csv").code == 0
    row = results(run)["reference", "label_side"]
    assert (row["n"], float(row["value"])) == ("1", 100)
    assert results(run)["reference", "lr_acc"]["n"] == "2"
    plan = json.loads((run / "plan.json").read_text())
    assert "1 of 2 clips have direction labels" in plan["suites"][0]["remarks"]
    told = bench(*asked, "--metric", "label_side", "--allow-missing", 0, "--format", "csv")
    assert told.code == 0, "a clip without labels is no failure"


def test_metrics_against_labels_are_refused_where_there_are_none(bench: Callable, sounds: Path, tmp_path: Path) -> None:
    asked = ("run", "--suite", f"folder:{sounds}", "--out", tmp_path / "run", "--dry-run")
    told = bench(*asked, "--metric", "label_side,label_err")
    assert (told.code, "Side, DirErr compare with direction labels, and no clip of sounds has any" in told.err) == (
        2,
        True,
    )
    assert bench(*asked, "--metric", "label_side,lr_acc").code == 0, "the other column has values"


def test_the_columns_are_shown_when_they_are_asked_for() -> None:
    assert not set(KEYS) & {metric.key for metric in default_metrics(references=True, labels=True)}
    assert not set(KEYS) & {metric.key for metric in default_metrics(references=False)}
    assert set(KEYS) <= {metric.key for metric in default_metrics(references=False, labels=True)}
    assert not any(metric.needs_reference for metric in FAMILY.metrics)


DEMO = Path(__file__).parents[3] / "docs" / "examples" / "demo-videos.csv"


def test_the_labels_of_the_example_are_whole_and_on_the_right() -> None:
    """All three objects are in the right half of their pictures, so that their azimuths are negative."""
    clips = read_labels(DEMO)
    assert list(clips) == ["moving1", "moving2", "static1"]
    assert all([row.frame for row in rows] == list(range(80)) for rows in clips.values())
    assert all(-np.pi / 4 < row.azimuth < 0 and row.visible for rows in clips.values() for row in rows)


def test_published_outputs_against_what_was_read_off_the_pictures(bench: Callable, media: Path, tmp_path: Path) -> None:
    """Where the sounding object is in the picture, read by eye once a second; the field of view is assumed."""
    outputs, run = media / "outputs", tmp_path / "run"
    asked = ("--predictions", outputs / "foleyspace", "--predictions", outputs / "audiox", "--workers", 1)
    asked = (*asked, "--labels", DEMO, "--metric", "direction", "--allow-missing", 1)
    told = bench("score", *asked, "--out", run, "--format", "csv")
    assert told.code == 0, told.err
    side, motion = values(run, "label_side"), values(run, "label_motion")
    assert side == {"foleyspace": pytest.approx(96.4, abs=0.1), "audiox": pytest.approx(79.2, abs=0.1)}
    assert motion == {"foleyspace": pytest.approx(0.98, abs=0.01), "audiox": pytest.approx(-0.59, abs=0.01)}
