"""Where sounds are heard: what the page is told, what the server takes, how responses become a table."""

import csv
import json

import numpy as np
import pytest

from visaudio_bench.bench.mos.pointing import read_directions
from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.session import RefusedError, check_session
from visaudio_bench.errors import UsageError

from .command import refused, run, write_responses

HEADER = "rater_id,clip_id,system,dimension,rating,expected"


def answers(raters: int = 8, clips: int = 6, share: float = 1.0) -> list[str]:
    """`sharp` is heard where it is, `vague` is not; some answers are left out where raters are asked a part."""
    rng = np.random.default_rng(0)
    truth = np.linspace(-50, 50, clips).round().astype(int)
    return [
        f"r{r},c{c},{system},AZ,{int(np.clip(round(truth[c] + sd * rng.standard_normal()), -90, 90))},{truth[c]}"
        for r in range(raters)
        for c in range(clips)
        for system, sd in (("vague", 35), ("sharp", 6))
        if rng.random() < share
    ]


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_table_of_errors_with_the_better_system_marked(tmp_path, share):
    file, out = write_responses(tmp_path / "p.csv", answers(share=share), HEADER), tmp_path / "out"
    result = run("--ratings", file, "--out", out, "--format", "json")
    assert result.exit_code == 0, result.exception
    table, pairs = json.loads(result.stdout)
    rows = {row["system"]: row["cells"] for row in table["rows"]}
    assert list(rows) == ["sharp", "vague"]
    assert (rows["sharp"]["error"]["mark"], rows["vague"]["error"]["mark"]) == ("best", "second")
    assert rows["sharp"]["error"]["value"] < 8
    assert rows["vague"]["error"]["value"] > 20
    assert rows["sharp"]["confusion"]["value"] == 0
    assert rows["sharp"]["near"]["value"] > 0.9
    assert pairs["rows"][0]["cells"]["p_holm"]["value"] < 0.05
    for form in ("text", "md", "tex", "csv"):
        assert run("--ratings", file, "--out", out, "--format", form).exit_code == 0


@pytest.mark.parametrize("true", ["1e400", "9" * 400, "nan", "120"])
def test_a_true_azimuth_that_is_none_is_refused(tmp_path, true):
    rows = answers()
    rows[0] = ",".join([*rows[0].split(",")[:-1], true])
    told = refused("--ratings", write_responses(tmp_path / "p.csv", rows, HEADER), "--out", tmp_path / "out")
    assert "a number was expected" in told or "is not in front" in told


def test_what_is_no_azimuth_is_refused(tmp_path):
    for row, said in (
        ("r0,c0,x,AZ,91,10", "p.csv:98: rating \"91\" is outside the scale -90-90"),
        ("r0,c0,x,AZ,left,10", "is not a number"),
        ("r0,c0,x,AZ,3,", 'clip "c0" has no true azimuth'),
        ("r0,c0,sharp,AZ,3,-50", "a second vote of rater r0"),
    ):  # fmt: skip
        file = write_responses(tmp_path / "p.csv", [*answers(), row], HEADER)
        assert said in refused("--ratings", file, "--out", tmp_path / "out")


def test_directions_are_read_with_care(tmp_path):
    header = "clip,azimuth_deg"
    assert read_directions(write_responses(tmp_path / "d.csv", ["a,30", "b,-12.5"], header)) == {"a": 30.0, "b": -12.5}
    for rows, said in (
        (["a,120"], "d.csv:2: azimuth 120; a source in front"),
        (["a,nan"], "d.csv:2: azimuth"),
        (["a,x"], 'd.csv:2: azimuth "x" is not a number'),
        (["a,1", "a,2"], 'd.csv:3: clip "a" has a second azimuth'),
    ):
        with pytest.raises(UsageError, match=said):
            read_directions(write_responses(tmp_path / "d.csv", rows, header))
    with pytest.raises(UsageError, match='no column "azimuth_deg"'):
        read_directions(write_responses(tmp_path / "d.csv", ["a,1"], "clip,angle"))


def test_the_key_has_the_truth_and_a_session_is_checked(tmp_path, material, session):
    folders, videos = material(tmp_path, 2)
    out, directions = tmp_path / "survey", tmp_path / "d.csv"
    systems = [argument for folder in folders[:2] for argument in ("--system", folder)]
    base = ["page", *systems, "--videos", videos, "--clips", "2", "--training", "none", "--out", out]
    assert "--directions FILE go together" in str(run(*base, "--design", "localisation").exception)
    write_responses(directions, ["clip00,30"], "clip,azimuth_deg")
    assert "--directions FILE go together" in str(run(*base, "--directions", directions).exception)
    full = [*base, "--design", "localisation", "--directions", directions]
    assert 'no azimuth for 1 of the clips, such as "clip01"' in str(run(*full).exception)
    write_responses(directions, ["clip00,30", "clip01,-45.5"], "clip,azimuth_deg")
    assert "--per-rater 5: there are 4 questions" in str(run(*full, "--per-rater", 5).exception)
    assert run(*full, "--per-rater", 3).exit_code == 0
    with (tmp_path / "survey.key.csv").open() as file:
        assert {(row["clip_id"], row["expected"]) for row in csv.DictReader(file)} == {
            ("clip00", "30"),
            ("clip01", "-45.5"),
        }
    data = json.loads((out / "survey.json").read_text())
    good = session(out, "R01")
    assert {vote["rating"] for vote in check_session(json.dumps(good).encode(), data)} == {"-30"}
    for rating in (91, -91, "-0", "+5", "1.5"):
        rows = [
            [rating if name == "rating" else v for name, v in zip(COLUMNS, row, strict=True)] for row in good["rows"]
        ]
        with pytest.raises(RefusedError, match="rating: an integer from -90 to 90"):
            check_session(json.dumps({**good, "rows": rows}).encode(), data)
