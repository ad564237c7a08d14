"""`bench mos plan`: what a study can tell apart, from stated spreads or those of an earlier study."""

import json

from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.errors import UsageError


def plan(*arguments: object) -> dict:
    result = CliRunner().invoke(mos, ["plan", *map(str, arguments), "--format", "json"])
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)[0]


def cells(table: dict, row: int) -> dict[str, float]:
    return {name: cell["value"] for name, cell in table["rows"][row]["cells"].items()}


def test_more_clips_help_more_than_more_raters_where_systems_differ_by_clip():
    table = plan("--raters", 12, "--clips", 10, "--systems", 5, "--difference", 0.3)
    planned, raters, clips, both = (cells(table, row) for row in range(4))
    assert planned["power"] < raters["power"] < clips["power"] < both["power"]
    assert planned["power_corrected"] < planned["power"]
    assert planned["smallest"] < planned["smallest_corrected"]
    (told,) = (note for note in table["notes"] if note.startswith("assumed: for 80% corrected"))
    assert told.endswith("it takes more than 1,000 raters with 10 clips, or more than 1,000 clips with 12 raters")
    assert any(note.startswith("assumed: a system's votes have SD 0.3 over raters, 0.45") for note in table["notes"])


def test_matching_is_planned_against_guessing_and_between_systems(tmp_path):
    table = plan("--design", "matching", "--raters", 12, "--clips", 20, "--systems", 3)
    assert [row["group"] for row in table["rows"][::4]] == ["against guessing", "two systems"]
    guessing, pair = cells(table, 0), cells(table, 4)
    assert guessing["power"] > 0.9 > pair["power"] > 0.5
    assert "a share of 0.7 is told from guessing" in table["notes"][0]
    file = tmp_path / "pilot.csv"
    rows = [
        f"r{r},c{c},{s},FIT,{1 if (r * c + k) % 3 else -1},1"
        for r in range(5)
        for c in range(6)
        for k, s in enumerate("AB")
    ]
    file.write_text("\n".join(["rater_id,clip_id,system,dimension,rating,expected", *rows]) + "\n")
    table = plan("--design", "matching", "--systems", 2, "--earlier", file)
    assert sum("answers of study pilot vary with SD" in note for note in table["notes"]) == 2


def test_an_earlier_study_gives_the_spreads(tmp_path):
    file = tmp_path / "pilot.csv"
    simulate = ["simulate", "--raters", "20", "--clips", "20", "--systems", "A,B,C", "--out", str(file)]
    assert CliRunner().invoke(mos, simulate).exit_code == 0
    table = plan("--systems", 2, "--earlier", file)
    assert [row["group"] for row in table["rows"][::4]] == ["SI", "SC", "TA", "SA", "AR"]
    assert sum("pairs of systems of study simulated differ with SD" in note for note in table["notes"]) == 5
    for design, said in (("mushra", ""), ("preference", "are not planned"), ("matching", "with --design matching")):
        pilot = ["simulate", "--design", design, "--systems", "A,B,C", "--out", str(tmp_path / f"{design}.csv")]
        assert CliRunner().invoke(mos, pilot).exit_code == 0
        result = CliRunner().invoke(mos, ["plan", "--earlier", str(tmp_path / f"{design}.csv"), "--format", "json"])
        if said:
            assert said in str(result.exception)
            continue
        table = json.loads(result.stdout)[0]
        assert {row["group"] for row in table["rows"]} == {"BAQ"}
        assert cells(table, 0)["smallest"] > 5, "in points of its scale"
    one = tmp_path / "one.csv"
    one.write_text("rater_id,clip_id,system,dimension,rating\nr1,c1,A,SI,3\nr1,c1,B,SI,4\n")
    result = CliRunner().invoke(mos, ["plan", "--earlier", str(one)])
    assert isinstance(result.exception, UsageError)
    assert "no two systems of the earlier study" in str(result.exception)
