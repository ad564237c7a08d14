"""`bench mos --test fixed-clips`: marks of these very clips, by name, beside those that hold for other clips too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visaudio_bench.leaderboards.tables import FORMATS

from .command import run, write_responses

HEADER = "rater_id,clip_id,system,dimension,rating"
RATERS, CLIPS = 8, 4
# All raters agree that A is much better on two clips, and a little worse on the other two.
BETTER = (2, 2, -1, -1)


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    rows = [
        f"r{rater},c{clip},{system},SI,{3 + (BETTER[clip] if system == 'A' else 0) - (rater % 2 and clip == 3)}"
        for rater in range(RATERS)
        for clip in range(CLIPS)
        for system in "AB"
    ]
    return write_responses(tmp_path / "votes.csv", rows, HEADER)


def _told(votes: Path, *test: str, form: str = "json") -> str:
    result = run("--ratings", votes, "--show", "mos,pairs", "--format", form, "--out", votes.parent / "out", *test)
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_a_difference_of_these_clips_is_marked_by_name_alone(votes: Path) -> None:
    marks, adjusted = {}, {}
    for test in ("crossed", "fixed-clips"):
        means, pairs = json.loads(_told(votes, "--test", test))
        marks[test] = {row["system"]: row["cells"]["SI"]["mark"] for row in means["rows"]}
        adjusted[test] = pairs["rows"][0]["cells"]["p_holm"]["value"]
        assert next(column["unit"] for column in pairs["columns"] if column["key"] == "p_holm") == test
        (kept,) = json.loads((votes.parent / "out" / "mos.json").read_text())["studies"]
        assert kept["test"] == test
    assert marks["fixed-clips"] == {"A": "best", "B": "second"}
    assert adjusted["fixed-clips"] == pytest.approx(2 / 2**RATERS)  # every rater's total is on the same side
    assert marks["crossed"]["A"] == marks["crossed"]["B"] and adjusted["crossed"] > 0.3
    assert _told(votes) == _told(votes, "--test", "crossed")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_what_the_marks_hold_for(votes: Path, form: str) -> None:
    told = _told(votes, "--test", "fixed-clips", form=form)
    assert "test over raters by sign flips; it holds for these clips alone" in told
    assert "raters and clips, both random" not in told.replace("crossed (raters and clips both random)", "")


def test_where_so_few_raters_separate_nothing_it_is_said(votes: Path) -> None:
    rows = [row for row in votes.read_text().splitlines() if row.startswith(("r0", "r1", "r2", "r3"))]
    told = _told(write_responses(votes, rows, HEADER), "--test", "fixed-clips", form="text")
    assert "no two systems are told apart" in told
    assert "4 raters and 1 pair could not, whatever they say" in told
