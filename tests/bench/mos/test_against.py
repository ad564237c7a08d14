"""`bench mos --against RUN`: metrics that follow simulated raters, run the other way, or know nothing."""

import csv
import json
import re
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from visaudio_bench.leaderboards.schema import ClipRow, SuiteInfo, SystemInfo, write_clip_rows, write_results
from visaudio_bench.leaderboards.schema import Result as Measured

from .command import refused, run

SYSTEMS = ("A", "B", "C", "D", "E")
CLIPS = tuple(f"clip{k:02d}" for k in range(1, 11))


@pytest.fixture
def study(tmp_path) -> Path:
    file = tmp_path / "r.csv"
    assert run("simulate", "--out", file).exit_code == 0
    return file


def write_run(folder: Path, suite: str = "simroom", systems: tuple[str, ...] = SYSTEMS) -> Path:
    """Simulated raters like later systems better: `good` rises with that, `error` falls, `noise` knows nothing."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    results, rows = [], []
    for metric, better in (("good", "higher"), ("error", "lower"), ("noise", "none"), ("set", "lower")):
        for place, system in enumerate(systems):
            level = {"good": place, "error": 9.0 - place, "noise": 0.0, "set": 5.0 - place}[metric]
            scores = level + rng.normal(0, 0.5, len(CLIPS))
            if metric != "set":
                rows += [
                    ClipRow(suite, system, clip, metric, "mix", float(score), "synthetic", "")
                    for clip, score in zip(CLIPS, scores, strict=True)
                ]
            value = float(scores.mean())
            results.append(Measured(suite, system, metric, "mix", value, None, None, 10, "synthetic", better=better))
    judged = SuiteInfo(suite, suite, len(CLIPS), synthetic=True)
    systems_told = [asdict(SystemInfo(name, name, anchor=False, binauralises=False)) for name in systems]
    held = {"info": asdict(judged), "manifest": "", "systems": systems_told, "metrics": [], "cards": []}
    provenance = {"seed": 0, "protocol": {"name": "visaudio-bench"}}
    write_results(folder, results, provenance, {"suites": [held], "metrics": {}, "unavailable": {}})
    write_clip_rows(folder, rows)
    return folder


def test_metrics_are_correlated_over_systems_and_over_clips(study, tmp_path):
    out = tmp_path / "out"
    result = run("--ratings", study, "--against", write_run(tmp_path / "run"), "--out", out, "--format", "json")
    assert result.exit_code == 0, result.exception
    tables = json.loads(result.stdout)
    assert [table["title"].split(" with ")[1] for table in tables[1:]] == [
        f"{name}, study simulated"
        for name in ("Spatial Impression", "Spatial Consistency", "Temporal Alignment", "Semantic Alignment",
                     "Audio Realism")
    ]  # fmt: skip
    rows = {row["metric"]: row["cells"] for row in tables[1]["rows"]}
    for name in ("good mix", "error mix"):
        assert rows[name]["systems_spearman"]["value"] > 0.85
        assert rows[name]["clips_pearson"]["low"] > 0.5
    assert rows["noise mix"]["clips_pearson"]["low"] < 0.2
    assert rows["set mix"]["systems_pearson"]["value"] > 0.85
    assert rows["set mix"]["clips_pearson"]["reason"] == "the metric has no value for a clip"
    assert any("noise: no way is better" in note for note in tables[1]["notes"])
    with (out / "against.csv").open() as file:
        written = list(csv.DictReader(file))
    assert len(written) == 5 * (3 * 4 + 2)
    assert {row["n"] for row in written if row["over"] == "clips"} == {"50"}
    plots = ElementTree.fromstring(_as_xml((out / "against.html").read_text())).findall(".//figure")
    assert len(plots) == 5 * 4
    title, coefficients = (" ".join(part.split()) for part in plots[1].find("figcaption").itertext())
    assert title == "error mix and Spatial Impression"
    cell = rows["error mix"]["systems_spearman"]
    assert f"ρ = {cell['value']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]" in coefficients
    named = {text.text for text in plots[1].findall(".//g/text")}
    assert named == set(SYSTEMS)
    drawn = {
        group.find("text").text: (float(group.find("circle").get("cx")), float(group.find("circle").get("cy")))
        for group in plots[1].findall(".//g")
    }
    assert drawn["E"][0] < drawn["A"][0], "the least error stands to the left"
    assert drawn["E"][1] < drawn["A"][1], "the best opinion stands above"
    for form in ("text", "md", "tex", "csv"):
        assert run("--ratings", study, "--against", tmp_path / "run", "--out", out, "--format", form).exit_code == 0


def test_ratings_of_others_have_their_own_dimension_and_scale(tmp_path):
    """As the manual rewrites ODAQ's table: one dimension, 0 to 100."""
    rng = np.random.default_rng(1)
    votes = [
        f"s{rater},{clip},{system},BAQ,{round(15 + 17 * place + rng.uniform(-8, 8))}"
        for rater in range(6)
        for clip in CLIPS
        for place, system in enumerate(SYSTEMS)
    ]
    (tmp_path / "odaq.csv").write_text("\n".join(["rater_id,clip_id,system,dimension,rating", *votes]) + "\n")
    asked = ("--ratings", tmp_path / "odaq.csv", "--scale", "0-100", "--dimensions", "BAQ", "--format", "json")
    result = run(*asked, "--against", write_run(tmp_path / "run"), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    _, table = json.loads(result.stdout)
    rows = {row["metric"]: row["cells"] for row in table["rows"]}
    assert rows["good mix"]["clips_spearman"]["value"] > 0.9 and rows["good mix"]["systems_pearson"]["value"] > 0.9


def _as_xml(page: str) -> str:
    """The page without what only HTML leaves open."""
    return re.sub(r"<meta[^>]*>", "", page.removeprefix("<!doctype html>\n"))


def test_what_cannot_be_joined_is_said(study, tmp_path):
    out = ("--out", tmp_path / "out")
    assert "results.json is not there" in refused("--ratings", study, "--against", tmp_path / "none", *out)
    other = write_run(tmp_path / "other", systems=("A", "x", "y"))
    said = refused("--ratings", study, "--against", other, *out)
    assert "have 1 system(s) in common; the run has A, x, y, the study A, B, C, D, E" in said
    named = tmp_path / "named.csv"
    lines = study.read_text().splitlines()
    named.write_text("\n".join([lines[0], *(line.replace(",clip01,,", ",clip01,music,") for line in lines[1:])]) + "\n")
    said = refused("--ratings", named, "--against", write_run(tmp_path / "run"), *out)
    assert "has the suite(s) simroom, study simulated is of music" in said
