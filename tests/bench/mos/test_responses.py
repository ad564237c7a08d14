"""Forms, keys, and input that is wrong: one clear error with file and line, or an exception that is counted."""

import csv
import json
from pathlib import Path

import pytest

from .command import refused, run

HEADER = "rater_id,clip_id,system,dimension,rating"


def good_rows() -> list[str]:
    """Three raters, two clips, two systems, two dimensions."""
    return [
        f"r{r},c{c},{s},{d},{1 + (r + c + len(d + s)) % 5}"
        for r in range(3)
        for c in range(2)
        for s in ("ViSAudio", "AudioX")
        for d in ("SI", "SC")
    ]


def write(path: Path, rows: list[str], header: str = HEADER, **options: str) -> Path:
    path.write_text("\n".join([header, *rows]) + options.get("end", "\n"), encoding=options.get("encoding", "utf-8"))
    return path


@pytest.fixture
def out(tmp_path):
    return ["--out", tmp_path / "out"]


def table(path: Path) -> dict:
    return json.loads((path / "mos.json").read_text())["studies"][0]


def test_three_forms_give_the_same_table(tmp_path):
    seen = []
    for form in ("long", "wide-sample", "wide-rater"):
        file = tmp_path / f"{form}.csv"
        assert run("simulate", "--out", file, "--form", form, "--raters", 4, "--clips", 3).exit_code == 0
        key = ["--codes", tmp_path / "wide-rater.key.csv"] if form == "wide-rater" else []
        result = run("--ratings", file, *key, "--systems", "A,B,C,D,E", "--out", tmp_path / form)
        assert result.exit_code == 0, result.exception
        assert f"form {form}" in result.stderr
        seen.append((tmp_path / form / "mos.csv").read_text())
    assert seen[0] == seen[1] == seen[2]


def test_what_spreadsheets_do_to_a_file_changes_nothing(tmp_path):
    plain = write(tmp_path / "plain.csv", good_rows())
    run("--ratings", plain, "--study-id", "s", "--out", tmp_path / "plain")
    rows = [row.replace(",", ";") for row in good_rows()]
    variants = {
        "bom": {"rows": good_rows(), "encoding": "utf-8-sig"},
        "utf16": {"rows": good_rows(), "encoding": "utf-16"},
        "semicolons": {"rows": rows, "header": HEADER.replace(",", ";")},
        "empty": {"rows": [*good_rows(), ",,,,", ",,,,,,", ""]},
        "floats": {"rows": [f"{row}.0" for row in good_rows()]},
        "padded": {"rows": [f"{row},," for row in good_rows()], "header": f"{HEADER},,"},
    }
    notes = {"bom": "byte order mark", "semicolons": "delimiter ;", "empty": "empty row(s) at the end left out"}
    for name, options in variants.items():
        file = write(tmp_path / f"{name}.csv", **options)
        result = run("--ratings", file, "--study-id", "s", "--out", tmp_path / name)
        assert result.exit_code == 0, (name, result.exception)
        assert notes.get(name, "") in result.stderr
        assert (tmp_path / name / "mos.csv").read_text() == (tmp_path / "plain" / "mos.csv").read_text()


@pytest.mark.parametrize(
    ("line", "row", "expected"),
    [
        (5, "r0,c0,AudioX,SC,6", 'bad.csv:5: rating "6" is outside the scale 1-5'),
        (5, "r0,c0,AudioX,SC,3.5", 'bad.csv:5: rating "3.5" is not an integer'),
        (5, "r0,c0,AudioX,SC,good", 'bad.csv:5: rating "good" is not a number'),
        (4, "r0,c0,ViSAudio,SI,4", "bad.csv:4: a second vote of rater r0 on clip c0"),
        (9, "r0,c1,AudioX,SX,4", 'bad.csv:9: unknown dimension "SX". Did you mean'),
        (9, "r0,c1,AudioX,Spatial,4", 'bad.csv:9: unknown dimension "Spatial"'),
        (9, "r0,c1,audio-x,SC,4", 'bad.csv:9: system "audio-x" is written "AudioX" before'),
        (9, "r0,c1,,SC,4", 'bad.csv:9: "system" is empty'),
        (9, "r0,c1,AudioX,SC", "bad.csv:9: 4 field(s) where the header has 5"),
        (9, "r0,c1,AudioX,SC,4,9", "bad.csv:9: 6 field(s) where the header has 5"),
        (9, "", "bad.csv:9: an empty row"),
        (9, HEADER, "bad.csv:9: the header again"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, out, line, row, expected):
    rows = good_rows()
    rows[line - 2] = row
    assert expected in refused("--ratings", write(tmp_path / "bad.csv", rows), *out)


def test_mixed_forms_and_unknown_forms(tmp_path, out):
    mixed = write(tmp_path / "mixed.csv", ["r,c,s,SI,4,4"], f"{HEADER},SC")
    assert "mixed.csv:1: forms are mixed" in refused("--ratings", mixed, *out)
    other = write(tmp_path / "other.csv", ["1,2"], "a,b")
    assert "none of the known forms" in refused("--ratings", other, *out)
    twice = write(tmp_path / "twice.csv", ["r,c,s,SI,4,4"], f"{HEADER},rating")
    assert 'names the column "rating" twice' in refused("--ratings", twice, *out)
    latin = tmp_path / "latin.csv"
    latin.write_bytes(f"{HEADER}\nr,caf\xe9,s,SI,4\n".encode("latin-1"))
    assert "latin.csv:2: not UTF-8" in refused("--ratings", latin, *out)
    assert "does not exist" in refused("--ratings", tmp_path / "none.csv", *out)


def test_systems_that_were_not_expected(tmp_path, out):
    file = write(tmp_path / "bad.csv", good_rows())
    said = refused("--ratings", file, "--systems", "ViSAudio,Audio-X", *out)
    assert 'bad.csv:4: unknown system "AudioX". Did you mean "Audio-X"?' in said


def test_missing_votes_are_refused_or_counted(tmp_path):
    file = write(tmp_path / "short.csv", good_rows()[:-3])
    said = refused("--ratings", file, "--out", tmp_path / "a")
    assert "3 of 24 votes are missing" in said
    assert "r2 5" in said
    assert "--allow-missing 3" in refused("--ratings", file, "--allow-missing", 2, "--out", tmp_path / "a")
    result = run("--ratings", file, "--allow-missing", 3, "--out", tmp_path / "b")
    assert "missing votes: 3" in result.stdout
    result = run("--ratings", file, "--screen", "incomplete", "--out", tmp_path / "c")
    assert "incomplete (1)" in result.stdout
    assert "before screening" in result.stdout
    assert table(tmp_path / "c")["report"]["raters"] == 2
    assert table(tmp_path / "c")["screening"]["excluded"] == {"incomplete": ["r2"]}


def test_an_empty_rating_is_a_missing_one(tmp_path, out):
    rows = good_rows()
    rows[3] = rows[3][:-1]
    assert "1 of 24 votes are missing" in refused("--ratings", write(tmp_path / "bad.csv", rows), *out)


def test_a_rater_or_a_column_without_any_rating_is_missing_too(tmp_path, out):
    nobody = [row[:-1] if row.startswith("r2") else row for row in good_rows()]
    said = refused("--ratings", write(tmp_path / "bad.csv", nobody), *out)
    assert "8 of 24 votes are missing" in said
    assert "r2 0" in said
    nothing = [row[:-1] if ",SC," in row else row for row in good_rows()]
    assert "12 of 24 votes are missing" in refused("--ratings", write(tmp_path / "bad.csv", nothing), *out)
    result = run("--ratings", write(tmp_path / "ok.csv", nothing), "--allow-missing", 12, *out)
    assert result.exit_code == 0, result.exception


def test_an_empty_vote_does_not_repeat_a_given_one(tmp_path):
    rows = [*good_rows(), good_rows()[0][:-1]]
    assert run("--ratings", write(tmp_path / "a.csv", rows), "--out", tmp_path / "a").exit_code == 0


def test_a_misspelt_system_is_guessed(tmp_path, out):
    rows = good_rows()
    rows[0] = rows[0].replace("ViSAudio", "ViSAudo")
    assert 'ViSAudo 1 Did you mean "ViSAudio"?' in refused("--ratings", write(tmp_path / "bad.csv", rows), *out)


@pytest.mark.parametrize(("policy", "kept"), [("first", "1"), ("last", "5")])
def test_repeated_votes_by_choice_and_counted(tmp_path, policy, kept):
    rows = [row for row in good_rows() if not row.startswith("r0,c0,AudioX,SC")]
    rows += ["r0,c0,AudioX,SC,1", "r0,c0,AudioX,SC,5"]
    file = write(tmp_path / "twice.csv", rows)
    result = run("--ratings", file, "--duplicates", policy, "--show", "votes", "--out", tmp_path / policy)
    assert result.exit_code == 0, result.exception
    study = table(tmp_path / policy)
    assert study["report"]["exceptions"]["repeated votes left out"] == 1
    clip = next(r for r in study["clips"] if (r["system"], r["dimension"], r["clip"]) == ("AudioX", "SC", "c0"))
    others = [int(row[-1]) for row in good_rows() if "c0,AudioX,SC" in row][1:]
    assert clip["mean"] == pytest.approx((int(kept) + sum(others)) / 3)


def test_codes_are_joined_and_unknown_codes_named(tmp_path):
    rows = [row.replace("ViSAudio", "s01").replace("AudioX", "s02") for row in good_rows()]
    file = write(tmp_path / "blind.csv", rows)
    key = write(tmp_path / "key.csv", ["s02,AudioX", "s01,ViSAudio"], "code,system")
    run("--ratings", file, "--codes", key, "--study-id", "s", "--out", tmp_path / "blind")
    run("--ratings", write(tmp_path / "open.csv", good_rows()), "--study-id", "s", "--out", tmp_path / "open")
    assert (tmp_path / "blind" / "mos.csv").read_text() == (tmp_path / "open" / "mos.csv").read_text()
    half = write(tmp_path / "half.csv", ["s01,ViSAudio"], "code,system")
    assert "blind.csv:4:" in refused("--ratings", file, "--codes", half, "--out", tmp_path / "x")


def test_studies_are_never_merged(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    run("simulate", "--out", one, "--study-id", "one", "--raters", 3, "--clips", 2)
    run("simulate", "--out", two, "--study-id", "two", "--raters", 4, "--clips", 2, "--seed", 1)
    result = run("--ratings", one, "--ratings", two, "--format", "csv", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    tables = {row["table"] for row in csv.DictReader(result.stdout.splitlines())}
    assert tables == {"Mean opinion scores, study one", "Mean opinion scores, study two"}
    with (tmp_path / "out" / "mos.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["study_id"], row["n_raters"]) for row in rows} == {("one", "3"), ("two", "4")}
    header = "study_id,system,dimension,mean,low,high,half,ci_method,n_raters,n_clips,n_votes"
    assert (tmp_path / "out" / "mos.csv").read_text().splitlines()[0] == header


def test_one_file_a_rater_makes_one_study(tmp_path):
    file = tmp_path / "all.csv"
    run("simulate", "--out", file, "--raters", 3, "--clips", 2)
    header, *rows = file.read_text().splitlines()
    parts = []
    for rater in ("R01", "R02", "R03"):
        parts += ["--ratings", write(tmp_path / f"{rater}.csv", [row for row in rows if f",{rater}," in row], header)]
    assert run("--ratings", file, "--out", tmp_path / "a").exit_code == 0
    assert run(*parts, "--out", tmp_path / "b").exit_code == 0
    assert (tmp_path / "a" / "mos.csv").read_text() == (tmp_path / "b" / "mos.csv").read_text()
    said = refused(*parts, "--ratings", tmp_path / "R01.csv", "--out", tmp_path / "c")
    assert "R01.csv:2: a second vote of rater R01" in said


def test_names_that_differ_by_more_than_blanks_are_two_systems(tmp_path, out):
    rows = [row.replace("AudioX", "ViSAudio+") for row in good_rows()]
    assert run("--ratings", write(tmp_path / "plus.csv", rows), *out).exit_code == 0


def test_screening_is_reported_with_and_without(tmp_path):
    file = tmp_path / "r.csv"
    run("simulate", "--out", file, "--careless", 2, "--miswired", 1, "--raters", 10)
    result = run(
        "--ratings", file, "--screen", "orientation,straightline", "--show", "mos,raters", "--out", tmp_path / "o"
    )
    assert result.exit_code == 0, result.exception
    study = table(tmp_path / "o")
    assert study["screening"]["excluded"] == {"orientation": ["R08"], "straightline": ["R09", "R10"]}
    assert {row["n_raters"] for row in study["opinions"]} == {7}
    assert {row["n_raters"] for row in study["unscreened"]} == {10}
    assert "R08 (out: orientation)" in result.stdout


def test_a_rule_without_its_data_is_refused(tmp_path, out):
    file = write(tmp_path / "r.csv", good_rows())
    assert "needs the results of that check" in refused("--ratings", file, "--screen", "headphones", *out)
    assert "unknown screening rule" in refused("--ratings", file, "--screen", "headphone", *out)
    assert "bench mos needs responses" in refused()


def test_known_biases_of_simulated_raters_are_found(tmp_path):
    """Panel biases are latent; rounding to the scale shrinks them a little, their order stays."""
    file, truth = tmp_path / "r.csv", tmp_path / "t.json"
    run("simulate", "--out", file, "--truth", truth, "--raters", 20, "--rater-spread", 0.6, "--seed", 3)
    run("--ratings", file, "--out", tmp_path / "o")
    biases = json.loads(truth.read_text())["biases"]
    found = {row["rater"]: row["bias"] for row in table(tmp_path / "o")["raters"]}
    pairs = sorted((biases[rater], found[rater]) for rater in biases)
    assert max(pairs)[1] > 0.3 > -0.3 > min(pairs)[1]
    from scipy.stats import spearmanr

    assert spearmanr([a for a, _ in pairs], [b for _, b in pairs]).statistic > 0.97


@pytest.mark.parametrize("form", ["text", "md", "tex", "csv", "json"])
def test_standard_output_holds_the_table_alone(tmp_path, form):
    file = write(tmp_path / "r.csv", good_rows())
    result = run("--ratings", file, "--format", form, "--show", "all", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.exception
    assert "saved in" not in result.stdout
    assert "saved in" in result.stderr
    if form == "json":
        assert json.loads(result.stdout)[0]["title"].startswith("Mean opinion scores")
