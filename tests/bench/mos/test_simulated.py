"""Raters that do not exist, in every design: what is known of them is found again, by functions and commands."""

import csv
import json
import math

import numpy as np
import pytest
from scipy import stats

from visaudio_bench.bench.mos.simulate import Panel
from visaudio_bench.bench.mos.simulated_designs import (
    POINTS,
    simulated_azimuths,
    simulated_mushra,
)
from visaudio_bench.metrics.opinion import opinion
from visaudio_bench.metrics.opinion_agreement import screen

from .command import refused, run

SHOWN = {
    "rating": ("mos.csv", "mean"),
    "preference": ("preferences.csv", "strength"),
    "matching": ("matching.csv", "mean"),
    "localisation": ("localisation.csv", "mean"),
    "mushra": ("mos.csv", "mean"),
}


def mushra_studies(quality: float, rules: tuple[str, ...] = (), careless: int = 0) -> tuple[float, float]:
    """How often a 95 % interval holds the mean of all votes of raters who listen, and how far means are off."""
    panel = Panel(raters=12 + careless, rater_spread=0.32, careless=careless)
    spread = POINTS * math.sqrt(2 * panel.rater_spread**2 + panel.clip_spread**2 + panel.noise**2)
    truth = stats.norm.sf(np.arange(0, 100) + 0.5, POINTS * (quality - 1), spread).sum()
    hits, off = [], []
    for seed in range(60):
        votes = simulated_mushra(np.random.default_rng(seed), panel, {"ours": quality})
        out = [votes.raters.index(name) for names in screen(votes, rules).values() for name in names]
        kept = votes.where(~np.isin(votes.rater, out)).with_role("test")
        interval = opinion(kept, "ours", "BAQ", scale=(0, 100)).intervals["crossed"]
        hits.append(interval.low <= truth <= interval.high)
        off.append(interval.mean - truth)
    return float(np.mean(hits)), float(np.mean(off))


@pytest.mark.parametrize("quality", [3.0, 4.7])
def test_intervals_of_mushra_cover_the_truth_also_near_the_end_of_the_scale(quality):
    covered, off = mushra_studies(quality)
    assert covered >= 0.88
    assert abs(off) < 2


def test_intervals_cover_without_those_who_do_not_hear_the_reference():
    assert mushra_studies(4.2, careless=4)[1] < -4
    covered, off = mushra_studies(4.2, ("reference",), careless=4)
    assert covered >= 0.88
    assert abs(off) < 2


def test_miswired_raters_point_to_the_other_side_and_careless_ones_anywhere():
    panel = Panel(raters=30, careless=10, miswired=10)
    votes = simulated_azimuths(np.random.default_rng(0), panel, {"ours": 5.0})
    right = (np.sign(votes.rating) == np.sign(votes.expected))[np.abs(votes.expected) > 20]
    rater = votes.rater[np.abs(votes.expected) > 20]
    shares = [right[(rater >= first) & (rater < first + 10)].mean() for first in (0, 10, 20)]
    assert shares[0] > 0.9
    assert shares[1] < 0.1
    assert 0.3 < shares[2] < 0.7


@pytest.mark.parametrize("design", SHOWN)
def test_a_study_of_each_design_from_simulated_raters_to_its_table(design, tmp_path):
    file, out = tmp_path / "r.csv", tmp_path / "out"
    made = run("simulate", "--design", design, "--systems", "worst,middle,best", "--raters", 16, "--out", file)
    assert made.exit_code == 0, made.exception
    again = tmp_path / "again.csv"
    run("simulate", "--design", design, "--systems", "worst,middle,best", "--raters", 16, "--out", again)
    assert file.read_bytes() == again.read_bytes()
    result = run("--ratings", file, "--systems", "worst,middle,best", "--out", out)
    assert result.exit_code == 0, result.exception
    if design == "mushra":
        assert "sliders beside a named reference" in result.stdout
        votes = json.loads(run("--ratings", file, "--out", out, "--show", "votes", "--format", "json").stdout)[0]
        parts = [column["key"] for column in votes["columns"]]
        assert parts[:2] + parts[-2:] == ["0–9", "10–19", "90–100", "sd"]
        (shown,) = (row["cells"] for row in votes["rows"] if row["group"] == "reference")
        assert sum(shown[part]["value"] for part in parts[:-1]) == 16 * 10
    name, column = SHOWN[design]
    with (out / name).open() as lines:
        rows = [row for row in csv.DictReader(lines) if row.get("score", "error") == "error"]
    means = {system: np.mean([float(row[column]) for row in rows if row["system"] == system]) for system in
             ("worst", "middle", "best")}  # fmt: skip
    better = -1 if design == "localisation" else 1
    assert better * means["worst"] < better * means["middle"] < better * means["best"]
    assert json.loads((out / "mos.json").read_text())["studies"][0]["study_id"] == "simulated"
    if design != "rating":
        said = refused("simulate", "--design", design, "--truth", tmp_path / "t.json", "--out", tmp_path / "x.csv")
        assert "--truth and --form are for --design rating" in said
