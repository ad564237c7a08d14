"""Which of two sounds belongs to a video: what the page holds, what the server takes, how responses become a table."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.session import RefusedError, check_session
from visaudio_bench.suites.media import read_binaural

from .command import refused, run, write_responses

HEADER = "rater_id,clip_id,system,dimension,rating,expected"


def answers(raters: int = 10, clips: int = 8, share: float = 1.0) -> list[str]:
    """`clear` is matched nine times out of ten, `blind` at chance; which sound comes first turns round."""
    rng = np.random.default_rng(1)
    rows = []
    for r in range(raters):
        for c in range(clips):
            for system, chance in (("blind", 0.5), ("clear", 0.9)):
                expected = 1 if (r + c) % 2 else -1
                rating = expected if rng.random() < chance else -expected
                rows += [f"r{r},c{c},{system},FIT,{rating},{expected}"] if rng.random() < share else []
    return rows


@pytest.mark.parametrize("share", [1.0, 0.7])
def test_a_table_of_shares_with_the_better_system_marked(tmp_path, share):
    file, out = write_responses(tmp_path / "m.csv", answers(share=share), HEADER), tmp_path / "out"
    result = run("--ratings", file, "--out", out, "--format", "json")
    assert result.exit_code == 0, result.exception
    table, pairs = json.loads(result.stdout)
    rows = {row["system"]: row["cells"] for row in table["rows"]}
    assert (rows["clear"]["share"]["mark"], rows["blind"]["share"]["mark"]) == ("best", "second")
    assert rows["clear"]["share"]["value"] > 0.8
    assert rows["clear"]["p_holm"]["value"] < 0.01
    assert rows["blind"]["share"]["low"] < 0.5 < rows["blind"]["share"]["high"]
    assert rows["blind"]["p_holm"]["value"] > 0.05
    assert "1 of 2 systems told from guessing" in " ".join(table["notes"])
    assert pairs["rows"][0]["cells"]["p_holm"]["value"] < 0.05
    with (out / "matching.csv").open() as written:
        assert [row["system"] for row in csv.DictReader(written)] == ["blind", "clear"]
    assert (out / "mos.csv").read_text().count("\n") == 1, "no opinions, so no rows of them"
    for form in ("text", "md", "tex", "csv"):
        assert run("--ratings", file, "--out", out, "--format", form).exit_code == 0


def test_what_is_no_match_is_refused(tmp_path):
    for row, said in (
        ("r0,c9,clear,FIT,0,1", 'm.csv:162: the answer is "0"; 1 (the first sound belongs to the video) or -1'),
        ("r0,c9,clear,FIT,1,", 'm.csv:162: the right answer is "", 1 or -1 was expected'),
        ("r0,c0,clear,FIT,1,1", "a second vote of rater r0"),
        ("r0,c9,clear,FIT,first,1", "is not a number"),
    ):
        file = write_responses(tmp_path / "m.csv", [*answers(), row], HEADER)
        assert said in refused("--ratings", file, "--out", tmp_path / "out")


@pytest.fixture(scope="module")
def made(tmp_path_factory, material) -> Path:
    """A page of two systems and three clips."""
    root = tmp_path_factory.mktemp("match")
    folders, videos = material(root, 3)
    systems = [argument for folder in folders[:2] for argument in ("--system", folder)]
    command = ["page", *systems, "--videos", videos, "--training", "none", "--design", "matching"]
    assert "matching takes 2 clips or more" in refused(*command, "--clips", 1, "--out", root / "one")
    result = run(*command, "--clips", 3, "--per-rater", 4, "--out", root / "survey")
    assert result.exit_code == 0, result.exception
    return root / "survey"


def test_a_question_has_a_systems_sound_for_the_video_and_one_for_another(made):
    data = json.loads((made / "survey.json").read_text())
    with Path(f"{made}.key.csv").open() as file:
        key = {row["code"]: row for row in csv.DictReader(file)}
    assert len(data["groups"]) == 2 * 3
    assert len(key) == 2 * 2 * 3
    for group in data["groups"]:
        both = [key[code] for code in group["samples"]]
        assert sorted(row["expected"] for row in both) == ["-1", "1"]
        assert len({row["system"] for row in both}) == 1
        assert {row["clip_id"] for row in both} == {group["clip"]}
        assert all((row["sound_of"] == group["clip"]) == (row["expected"] == "1") for row in both)
    places = [key[group["samples"][0]]["expected"] for group in data["groups"]]
    assert len(set(places)) == 2, "the first place would tell"
    wrong = [(row["system"], row["sound_of"]) for row in key.values() if row["expected"] == "-1"]
    assert len(set(wrong)) == 2 * 3, "each sound serves once as the wrong one"
    code = next(code for code, row in key.items() if row["expected"] == "-1")
    sound = read_binaural(made / "media" / f"{code}.mp4").samples
    path = made.parent / "sounds" / key[code]["system"] / f"{key[code]['sound_of']}.wav"
    gain = 10 ** (float(key[code]["gain_db"]) / 20)
    original = read_binaural(path).samples * gain
    assert np.allclose(sound[:, : original.shape[1]], original, atol=1e-4)


def test_a_session_is_checked_and_read_with_the_key(made, session):
    data = json.loads((made / "survey.json").read_text())
    good = session(made, "R01")
    assert {vote["rating"] for vote in check_session(json.dumps(good).encode(), data)} == {"-1", "1"}
    for rating in (0, 2):
        rows = [
            [rating if name == "rating" else v for name, v in zip(COLUMNS, row, strict=True)] for row in good["rows"]
        ]
        with pytest.raises(RefusedError, match='rating: "1" or "-1" was expected'):
            check_session(json.dumps({**good, "rows": rows}).encode(), data)
    file = made.parent / "answers.csv"
    with file.open("w", newline="") as handle:
        csv.writer(handle).writerows([good["columns"], *good["rows"]])
    assert "the systems are codes" in refused("--ratings", file, "--out", made.parent / "out")
    result = run("--ratings", file, "--codes", f"{made}.key.csv", "--out", made.parent / "out")
    assert result.exit_code == 0, result.exception
    with Path(f"{made}.key.csv").open() as handle:
        expected = {row["code"]: row["expected"] for row in csv.DictReader(handle)}
    votes = [dict(zip(COLUMNS, row, strict=True)) for row in good["rows"]]
    right = sum(str(vote["rating"]) == expected[vote["system"]] for vote in votes)
    with (made.parent / "out" / "matching.csv").open() as handle:
        shares = [float(row["mean"]) * int(row["n_votes"]) for row in csv.DictReader(handle)]
    assert sum(shares) == pytest.approx(right)
