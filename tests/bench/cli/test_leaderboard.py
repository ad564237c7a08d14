"""`bench leaderboard`: measured results beside published ones, and never where they do not compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.leaderboards.opinion_tables import write_opinions
from visaudio_bench.leaderboards.schema import ClipRow, Result, SuiteInfo, SystemInfo, write_clip_rows, write_results

OURS = SystemInfo("visaudio", "ViSAudio here", anchor=False, binauralises=False)
OTHER = SystemInfo("own", "Own", anchor=False, binauralises=True)
CLIPS = 2695


def _run(folder: Path, suite: str = "biaudio", *, synthetic: bool = False, clips: int = CLIPS) -> Path:
    """A finished run with FD-VGG of one known and one unknown system, and DeSync that could not be had."""
    folder.mkdir()
    status = "synthetic" if synthetic else "measured"
    results = [
        Result(suite, "visaudio", "fd_vgg", "mix", 2.6, 2.5, 2.7, clips, status),
        Result(suite, "visaudio", "kl_pann", "mix", 1.6, 1.5, 1.7, clips, status),
        Result(suite, "visaudio", "desync", "mix", None, None, None, 0, "missing", "no weights of synchformer"),
        Result(suite, "own", "fd_vgg", "mix", 9.0, None, None, clips, status),
    ]
    info = SuiteInfo(suite, f"files of {suite}", clips, synthetic)
    told = {"info": asdict(info), "manifest": "0" * 64, "systems": [asdict(OURS), asdict(OTHER)], "cards": []}
    extra = {
        "suites": [{**told, "metrics": ["kl_pann", "desync"]}],
        "metrics": {"kl_pann": 1, "desync": 1},
        "unavailable": {"desync": "no weights of synchformer"},
    }
    write_results(folder, results, {"protocol": {"name": "visaudio-bench"}, "seed": 0}, extra)
    rows = [ClipRow(suite, "visaudio", f"clip{i}", "kl_pann", "mix", 1.5 + i / 5, status, "") for i in range(2)]
    write_clip_rows(folder, rows)
    return folder


def _tables(bench: Callable, *arguments: Any) -> list[dict[str, Any]]:
    told = bench("leaderboard", *map(str, arguments), "--format", "json")
    assert told.code == 0, told.err
    return [table for table in json.loads(told.out) if "method" in table["rows"][0]]


def _rows(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["method"]: row["cells"] for row in table["rows"]}


def test_published_value_and_difference_stand_under_the_measured_one(bench: Callable, tmp_path: Path) -> None:
    (table,) = _tables(bench, _run(tmp_path / "run"))
    rows = _rows(table)
    assert list(rows)[:4] == ["ViSAudio here", "ViSAudio: published", "ViSAudio here: difference", "Own†"]
    assert [rows[name]["status"]["text"] for name in list(rows)[:4]] == [
        "measured", "published", "difference", "measured"
    ]  # fmt: skip
    measured, published, difference = (rows[name]["fd_vgg_mix"] for name in list(rows)[:3])
    assert (measured["text"], measured["low"], measured["high"]) == ("2.600 ±0.100", 2.5, 2.7)
    assert published["value"] == 2.516
    assert difference["value"] == pytest.approx(0.084)
    assert difference["text"] == "+0.084"
    assert rows["ViSAudio here"]["clips"]["text"] == rows["ViSAudio: published"]["clips"]["text"] == "2695"
    assert set(rows) >= {f"{name}: published" for name in ("ThinkSound", "AudioX", "ViSAGe", "See2Sound")}
    assert any("1.355 in Table 2; 1.638 in Table S1 and Table S2" in note for note in table["notes"])
    assert not any("clips are larger" in note for note in table["notes"])
    assert any(note.startswith("† was given the reference") for note in table["notes"])


def test_a_measured_system_that_was_trained_on_a_metric_is_signed(bench: Callable, tmp_path: Path) -> None:
    folder = _run(tmp_path / "run")
    told = json.loads((folder / "results.json").read_text())
    told["suites"][0]["systems"][1]["optimised"] = ["fd_vgg"]
    (folder / "results.json").write_text(json.dumps(told))
    (table,) = _tables(bench, folder)
    cells = _rows(table)["Own†"]
    assert cells["fd_vgg_mix"]["text"] == "9.000‡" and cells["fd_vgg_mix"]["optimised"]
    assert any(note.startswith("‡ Own was trained to do well in FD-VGG:") for note in table["notes"])


def test_missing_values_say_why(bench: Callable, tmp_path: Path) -> None:
    (table,) = _tables(bench, _run(tmp_path / "run"))
    rows = _rows(table)
    assert rows["ViSAudio here"]["desync"]["value"] is None
    assert rows["ViSAudio here"]["desync"]["reason"] == "missing: no weights of synchformer"
    assert rows["ViSAudio here: difference"]["desync"]["value"] is None
    assert rows["Own†"]["ib_score"]["reason"] == "missing: not in this run"
    assert "No DeSync of ViSAudio here: missing, no weights of synchformer." in table["notes"]
    assert any(note.startswith("No FD-VGG avg, FD-PANN mix") and "of" not in note for note in table["notes"])


def test_other_clips_than_the_papers_are_said(bench: Callable, tmp_path: Path) -> None:
    (table,) = _tables(bench, _run(tmp_path / "run", clips=40))
    assert any("Measured on 40 clips, published on 2695" in note for note in table["notes"])


@pytest.mark.parametrize(("suite", "synthetic"), [("biaudio", True), ("mine", False)])
def test_nothing_published_stands_beside_what_does_not_compare(
    bench: Callable, tmp_path: Path, suite: str, synthetic: bool
) -> None:
    run = _run(tmp_path / "run", suite, synthetic=synthetic)
    assert _tables(bench, run) == []
    (table,) = json.loads(bench("leaderboard", str(run), "--format", "json").out)
    assert [row["system"] for row in table["rows"]] == ["ViSAudio here", "Own†"]
    assert any("Simulated" in note for note in table["notes"]) == synthetic


def test_simulated_and_real_suites_of_one_name_are_refused(bench: Callable, tmp_path: Path) -> None:
    runs = [_run(tmp_path / "real"), _run(tmp_path / "simulated", synthetic=True)]
    told = bench("leaderboard", *map(str, runs))
    assert told.code == 2 and "simulated and real clips of biaudio" in told.err


def test_two_runs_of_one_system_are_told_apart(bench: Callable, tmp_path: Path) -> None:
    runs = [_run(tmp_path / "a"), _run(tmp_path / "b")]
    (table,) = _tables(bench, *runs, runs[0])
    assert len(_rows(table)) == len(table["rows"])
    assert {f"ViSAudio here ({run})" for run in runs} < set(_rows(table))
    merged = json.loads(bench("leaderboard", *map(str, runs), "--format", "json").out)[0]
    assert {row["system"] for row in merged["rows"]} >= {f"ViSAudio here ({run})" for run in runs}
    assert sum(name == "ViSAudio: published" for name in (row["method"] for row in table["rows"])) == 1


def test_without_a_run_the_published_tables_stand_alone(bench: Callable) -> None:
    tables = _tables(bench)
    assert [table["title"] for table in tables[:3]] == [
        "BiAudio · test · published", "MUSIC · test · published", "FAIR-Play · out of distribution · published"
    ]  # fmt: skip
    assert {row["cells"]["status"]["text"] for table in tables for row in table["rows"]} == {"published"}


@pytest.mark.parametrize("form", ["text", "md", "tex", "csv"])
def test_every_format_says_the_status(bench: Callable, tmp_path: Path, form: str) -> None:
    told = bench("leaderboard", str(_run(tmp_path / "run")), "--format", form)
    assert told.code == 0
    assert all(word in told.out for word in ("measured", "published", "difference", "2.516"))


def test_a_folder_that_is_no_run_is_refused(bench: Callable, tmp_path: Path) -> None:
    told = bench("leaderboard", str(tmp_path / "nowhere"))
    assert (told.code, told.out) == (2, "")
    assert "expected the folder of a finished run" in told.err


def _opinions(folder: Path) -> Path:
    """One study in which the system has 4.2 of 5 for spatial impression."""
    folder.mkdir()
    interval = {"low": 4.0, "high": 4.4, "half": 0.2, "ci_method": "crossed", "beyond_scale": False, "reason": ""}
    opinion = {
        "system": "visaudio", "dimension": "SI", "role": "test", "mean": 4.2, "intervals": [interval],
        "n_raters": 12, "n_clips": 10, "n_votes": 120,
    }  # fmt: skip
    study = {
        "study_id": "spring", "opinions": [opinion], "dimensions": [{"key": "SI", "title": "SI"}],
        "ci_methods": ["crossed"], "confidence": 0.95, "report": {"raters": 12, "clips": 10},
    }  # fmt: skip
    write_opinions(folder, [study], {})
    return folder / "mos.json"


def test_opinions_stand_beside_the_measured_row_alone(bench: Callable, tmp_path: Path) -> None:
    run, mos = _run(tmp_path / "run"), _opinions(tmp_path / "study")
    (table,) = _tables(bench, run, "--mos", mos)
    scores = {name: cells["MOS_SI@spring"]["value"] for name, cells in _rows(table).items()}
    assert scores.pop("ViSAudio here") == 4.2
    assert set(scores.values()) == {None}


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_opinions_need_one_run(bench: Callable, tmp_path: Path, names: tuple[str, ...]) -> None:
    runs = [str(_run(tmp_path / name)) for name in names]
    told = bench("leaderboard", *runs, "--mos", str(_opinions(tmp_path / "study")))
    assert told.code == 2
    assert f"{len(names)} were given" in told.err


def test_report_takes_opinions_too(bench: Callable, tmp_path: Path) -> None:
    run, mos = _run(tmp_path / "run"), _opinions(tmp_path / "study")
    told = bench("report", str(run), "--mos", str(mos), "--format", "json")
    assert told.code == 0, told.err
    (table,) = json.loads(told.out)
    assert {row["system"]: row["cells"]["MOS_SI@spring"]["value"] for row in table["rows"]}["ViSAudio here"] == 4.2
