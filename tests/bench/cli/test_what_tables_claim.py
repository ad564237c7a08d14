"""What a table claims: intervals where there are clips enough, marks where a test was made, one estimate in a cell."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.suites.media import write_audio

from ...conftest import Bench, Told, lateral_noise

CLIPS = 12
LEGEND = "Bold: the best of its column, with those that no paired test over clips separates from it"
Rows = dict[tuple[str, str], dict[str, str]]


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """References, two systems that are alike, and one whose sounds are all at the left."""
    return _written(tmp_path, 1.1)


def _written(folder: Path, seconds: float, clips: int = CLIPS) -> Path:
    for index in range(clips):
        side = ("left", "right")[index % 2]
        for number, (name, where) in enumerate(
            (("references", side), ("good", side), ("twin", side), ("left", "left"))
        ):
            sound = lateral_noise(seconds, side=where, seed=100 * number + index) * (1 + 0.05 * index)
            write_audio(folder / name / f"clip{index:02d}.wav", sound, 44100)
    return folder


def _score(bench: Bench, sounds: Path, metrics: str, *more: object, systems: str = "good,twin,left") -> Told:
    asked = [word for name in systems.split(",") for word in ("--predictions", sounds / name)]
    told = bench("score", *asked, "--references", sounds / "references", "--out", sounds / "run", "--workers", 1,
                 "--metric", metrics, *more)  # fmt: skip
    assert told.code == 0, told.err
    return told


def _results(sounds: Path) -> Rows:
    with (sounds / "run" / "results.csv").open() as file:
        return {(row["system"], row["metric"]): row for row in csv.DictReader(file)}


def _marks(table: dict[str, Any], column: str) -> dict[str, str]:
    return {row["system"]: row["cells"][column]["mark"] for row in table["rows"]}


def test_marks_stand_for_tests_and_it_is_said_what_they_are(bench: Bench, sounds: Path) -> None:
    (table,) = json.loads(_score(bench, sounds, "lat_err,w1_iacc", "--format", "json").out)
    assert _marks(table, "lat_err") == {**dict.fromkeys(_marks(table, "lat_err"), ""), "good": "best", "twin": "best",
                                        "left": "second"}  # fmt: skip
    # No test separates any two in the other column, whatever their values: none is marked.
    assert len({row["cells"]["w1_iacc"]["value"] for row in table["rows"] if row["system"] in ("good", "left")}) == 2
    assert set(_marks(table, "w1_iacc").values()) == {""}
    pairs = json.loads((sounds / "run" / "results.json").read_text())["comparisons"]
    told = {(pair["metric"], pair["first"], pair["second"]): pair for pair in pairs}
    assert len(told) == 6 and all(pair["p"] <= pair["p_holm"] for pair in pairs)
    apart = {key for key, pair in told.items() if pair["p_holm"] < 0.05}
    assert {frozenset(key[1:]) for key in apart} == {frozenset(("good", "left")), frozenset(("twin", "left"))}
    assert {key[0] for key in apart} == {"lat_err"}
    for form in ("text", "csv"):
        assert LEGEND in bench("report", sounds / "run", "--format", form).out


@pytest.mark.slow
def test_a_distance_shows_value_and_interval_of_one_estimate(bench: Bench, sounds: Path) -> None:
    _written(sounds, 2.1, clips=20)  # cues of several segments have a deviation
    shown = _score(bench, sounds, "fcd", systems="left")
    rows = _results(sounds)
    corrected, plain = rows["left", "fcd"], rows["left", "fcd_plain"]
    low, value, high = (float(corrected[end]) for end in ("low", "value", "high"))
    assert low < value < high and abs((low + high) / 2 - value) < 1e-9 * high
    assert float(plain["value"]) > value and plain["low"] == plain["high"] == ""
    assert "less their bias by few clips; fcd_plain in results.csv is what papers print" in shown.out
    _score(bench, sounds, "fcd", "--compat", "av-benchmark", "--replace", systems="left")
    compatible = _results(sounds)["left", "fcd"]
    assert compatible["value"] == plain["value"] and compatible["low"] == ""


def test_nine_clips_have_no_intervals_no_tests_and_no_marks(bench: Bench, sounds: Path) -> None:
    for folder in ("references", "good", "left"):
        for path in sorted((sounds / folder).glob("*.wav"))[9:]:
            path.unlink()
    (table,) = json.loads(_score(bench, sounds, "lat_err,w1_ild", "--format", "json", systems="good,left").out)
    assert "Fewer than 10 clips: no intervals, no tests, no marks; no two systems can be separated." in table["notes"]
    cells = [cell for row in table["rows"] for cell in row["cells"].values()]
    assert all((cell["low"], cell["high"], cell["mark"]) == (None, None, "") for cell in cells)
    row = _results(sounds)["left", "lat_err"]
    assert row["value"] and row["reason"] == "no interval below 10 clips"
    told = bench("compare", "good", "left", "--run", sounds / "run", "--format", "json")
    assert all(row["cells"]["p"]["value"] is None for row in json.loads(told.out)[0]["rows"])


@pytest.mark.slow
def test_more_systems_than_tests_can_separate_are_told_so(bench: Bench, tmp_path: Path) -> None:
    """Of 23 systems on ten clips no pair can have a small p-value after Holm's correction for 253 tests."""
    names = [f"system{number:02d}" for number in range(23)]
    for index in range(10):
        for number, name in enumerate(("references", *names)):
            side = ("left", "right")[(index + (number == 23)) % 2]  # the last one is on the wrong side
            sound = lateral_noise(1.1, side=side, seed=100 * number + index)
            write_audio(tmp_path / name / f"clip{index:02d}.wav", sound, 44100)
    told = _score(bench, tmp_path, "lat_err", systems=",".join(names))
    assert "No two of 23 systems can be separated" in " ".join(told.out.split())
    assert "253 pairs" in told.out
    (table,) = json.loads(bench("report", tmp_path / "run", "--format", "json").out)
    assert set(_marks(table, "lat_err").values()) == {""}


def test_other_clips_are_refused_before_rows_are_lost(bench: Bench, sounds: Path) -> None:
    call = ("run", "--suite", f"folder:{sounds / 'references'}", "--system", "noise", "--metric", "lr_acc",
            "--workers", 1, "--out", sounds / "run")  # fmt: skip
    assert bench(*call, "--limit", 3).code == 0
    kept = (sounds / "run" / "results.csv").read_bytes()
    told = bench(*call, "--limit", 1)
    assert told.code == 2 and "--replace" in told.err and "--out" in told.err
    assert (sounds / "run" / "results.csv").read_bytes() == kept
    assert bench(*call, "--limit", 1, "--replace").code == 0


def test_a_leaderboard_has_the_suites_of_all_its_runs(bench: Bench, sounds: Path) -> None:
    for name, suite, metric in (("a", "references", "lr_acc"), ("b", "good", "lr_acc,stft")):
        told = bench("run", "--suite", f"folder:{sounds / suite}", "--system", "noise", "--limit", 2,
                     "--metric", metric, "--workers", 1, "--out", sounds / name)  # fmt: skip
        assert told.code == 0, told.err
    tables = json.loads(bench("leaderboard", sounds / "a", sounds / "b", "--format", "json").out)
    titles = [table["title"] for table in tables]
    assert len(tables) == 3 and sum("files of references" in title for title in titles) == 1
    assert any("waveforms" in title and "files of good" in title for title in titles)
