"""Paired preferences: what the server takes, how responses are read, and the tables."""

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.mos.page_data import Design, Wording
from visaudio_bench.bench.mos.questionnaire import build
from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.session import RefusedError, check_session
from visaudio_bench.bench.mos.study_material import from_folders

from .command import refused, run, write_responses

HEADER = "rater_id,clip_id,system,compared_with,dimension,rating"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, material) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    folders, videos = material(root, 2)
    options = {"training": None, "hidden_reference": False, "low_anchor": False, "seed": 1}
    chosen = from_folders(folders[:3], videos, clips="2", **options)
    design = Design("preference", 4)
    build(chosen, root / "survey", wording=Wording("t"), study_id="p", design=design, progress=lambda line: None)
    return root / "survey"


def test_every_pair_of_every_clip_is_an_item(folder):
    data = json.loads((folder / "survey.json").read_text())
    assert len(data["groups"]) == 2 * 3
    assert len({frozenset(group["samples"]) for group in data["groups"]}) == 6
    assert data["rows"] == [[0, 1], [1, 0]]


def test_a_session_of_preferences_is_checked(folder, session):
    data = json.loads((folder / "survey.json").read_text())
    good = session(folder, "R01")
    votes = check_session(json.dumps(good).encode(), data)
    assert {vote["rating"] for vote in votes} == {"-1", "0", "1"}
    place = {name: k for k, name in enumerate(COLUMNS)}
    spoilt = {
        "3 different questions, the questionnaire asks 4": lambda rows: rows[:3],
        "3 different questions": lambda rows: [*rows[:3], rows[0]],
        "not the samples of question": lambda rows: [_with(row, "compared_with", row[place["system"]]) for row in rows],
        "two questions have one place": lambda rows: [_with(row, "group_order", 1) for row in rows],
        "rating: an integer from -1 to 1": lambda rows: [_with(row, "rating", 2) for row in rows],
    }
    for said, change in spoilt.items():
        with pytest.raises(RefusedError, match=said):
            check_session(json.dumps({**good, "rows": change(good["rows"])}).encode(), data)


def _with(row: list, column: str, value: object) -> list:
    return [value if name == column else old for name, old in zip(COLUMNS, row, strict=True)]


def votes(raters: int = 10, clips: int = 8) -> list[str]:
    """A is better than B and C, which are alike; pairs turn round from rater to rater."""
    rng = np.random.default_rng(0)
    chances = {("A", "B"): 0.9, ("A", "C"): 0.85, ("B", "C"): 0.5}
    rows = []
    for r in range(raters):
        for c in range(clips):
            for pair in combinations("ABC", 2):
                choice = 0 if rng.random() < 0.1 else 1 if rng.random() < chances[pair] else -1
                first, second, rating = (*pair, choice) if (r + c) % 2 else (*pair[::-1], -choice)
                rows.append(f"r{r},c{c},{first},{second},PREF,{rating}")
    return rows


def test_the_best_is_marked_and_the_others_are_not_told_apart(tmp_path):
    result = run(
        "--ratings", write_responses(tmp_path / "p.csv", votes(), HEADER), "--out", tmp_path / "out", "--format", "json"
    )
    assert result.exit_code == 0, result.exception
    strengths, pairs = json.loads(result.stdout)
    assert [(row["system"], row["cells"]["strength"]["mark"]) for row in strengths["rows"]] == [
        ("A", "best"),
        ("B", ""),
        ("C", ""),
    ]
    values = [row["cells"]["strength"] for row in strengths["rows"]]
    assert sum(cell["value"] for cell in values) == pytest.approx(0, abs=1e-6)
    assert all(cell["low"] < cell["value"] < cell["high"] for cell in values)
    found = {row["pair"]: row["cells"] for row in pairs["rows"]}
    assert found["A = A, B = B"]["share"]["value"] > 0.8
    assert found["A = A, B = B"]["p_holm"]["value"] < 0.01
    assert found["A = B, B = C"]["p_holm"]["value"] > 0.05
    study = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]
    assert study["design"] == "preference"
    assert (tmp_path / "out" / "mos.csv").read_text().count("\n") == 1, "no opinions, so no rows of them"
    for form in ("text", "md", "tex", "csv"):
        assert run("--ratings", tmp_path / "p.csv", "--out", tmp_path / "out", "--format", form).exit_code == 0


def test_what_is_no_preference_is_refused(tmp_path):
    good = votes(2, 2)
    for row, said in (
        ("r0,c0,A,A,PREF,1", "two different systems were expected"),
        ("r0,c0,A,B,PREF,5", 'p.csv:14: the preference is "5"; 1 (the first is better)'),
        ("r0,c0,B,A,PREF,1", "p.csv:14: a second preference of rater r0 on clip c0 between A and B"),
        ("r0,,B,A,PREF,1", "a rater, a clip and two different"),
    ):
        file = write_responses(tmp_path / "p.csv", [*good, row], HEADER)
        assert said in refused("--ratings", file, "--out", tmp_path / "out")
    file = write_responses(tmp_path / "p.csv", good, HEADER)
    assert 'unknown system "C"' in str(run("--ratings", file, "--systems", "A,B", "--out", tmp_path / "out").exception)
    ordered = run("--ratings", file, "--systems", "C,A,B", "--out", tmp_path / "out")
    assert [line.split()[0] for line in ordered.stdout.splitlines() if "[" in line][:3] == ["C", "A", "B"]


def test_options_that_do_not_belong_together_are_refused(tmp_path):
    base = ("page", "--suite", "x", "--run", "y", "--systems", "a,b", "--out", tmp_path / "s")
    service = ("--for", "qualtrics", "--address", "https://example.org")
    assert "a form of qualtrics asks everybody" in str(run(*base, "--per-rater", 3, *service).exception)
    form = ("--design", "preference", *service)
    assert "writes questions of --design rating only" in str(run(*base, *form).exception)


def test_a_leaderboard_takes_no_column_from_preferences(tmp_path):
    from visaudio_bench.leaderboards.opinion_tables import read_opinions, with_opinions
    from visaudio_bench.leaderboards.tables import Table, TableRow

    run("--ratings", write_responses(tmp_path / "p.csv", votes(), HEADER), "--out", tmp_path / "out")
    board = Table("t", (), (TableRow("A", ()),))
    assert with_opinions(board, read_opinions(tmp_path / "out")) == board
    assert math.isfinite(json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]["strengths"][0]["low"])
