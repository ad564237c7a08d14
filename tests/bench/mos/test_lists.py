"""Responses as questionnaires export and spreadsheets save them: read with a note, or refused with the true cause."""

import json
from pathlib import Path

import pytest

from .command import refused, run

HEADER = "rater_id,clip_id,system,dimension,rating"


def rows(clip: str = "000001", rating: str = "{}") -> list[str]:
    """Two raters, two clips, two systems, two dimensions; `clip` is how the first is called, by the last rater."""
    return [
        f"r{r},{clip if r and not c else f'00000{c + 1}'},{s},{d},{rating.format(1 + (r + c + len(d + s)) % 5)}"
        for r in range(2)
        for c in range(2)
        for s in ("ViSAudio", "AudioX")
        for d in ("SI", "SC")
    ]


def write(path: Path, lines: list[str], header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """The table that every spelling of these votes must give."""
    run("--ratings", write(tmp_path / "plain.csv", rows()), "--study-id", "s", "--out", tmp_path / "plain")
    return (tmp_path / "plain" / "mos.csv").read_text()


@pytest.mark.parametrize(
    ("lines", "header", "note"),
    [
        ([row.replace(",", ";") for row in rows()], "sep=;\n" + HEADER.replace(",", ";"), 'the line "sep=;"'),
        (rows(), "Rater ID,Clip-ID, SYSTEM,Dimension,Rating", 'column "Rater ID" read as rater_id'),
        (rows(rating="{} - level"), HEADER, "16 rating(s) with a label"),
        (rows(rating='"{},0"'), HEADER, '16 rating(s) with a decimal comma (such as'),
        ([*rows(), *[row[:-1] + "NA" for row in rows()[:3]]], HEADER, "3 rating(s) taken for no rating (such as"),
        ([row.replace("000001", '="000001"') for row in rows()], HEADER, '8 cell(s) written ="..."'),
        ([f"{row},x" for row in rows()], f"{HEADER},Comment", "columns not used: Comment"),
        ([*rows(), ",,,,", ",,,,"], HEADER, "2 empty row(s) at the end left out"),
    ],
)  # fmt: skip
def test_votes_are_read_as_they_were_meant(
    tmp_path: Path, plain: str, lines: list[str], header: str, note: str
) -> None:
    file = write(tmp_path / "votes.csv", lines, header)
    result = run("--ratings", file, "--study-id", "s", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "out" / "mos.csv").read_text() == plain
    assert note in result.stderr


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (rows("1"), 'votes.csv:10: clip "1" is written "000001" before ({file}:2): they differ in zeros, which a'),
        (rows("000001\u200b"), "one holds characters that do not show"),
        ([row.replace("r0", "Ann").replace("r1", "ann") for row in rows()], 'rater "ann" is written "Ann" before'),
        ([row.replace("r0", "Zo\u00eb").replace("r1", "Zoe\u0308") for row in rows()], "differ in their Unicode form"),
        ([row.replace("r0", "R 7").replace("r1", "R7") for row in rows()], "they differ in blanks"),
        ([row.replace("000001", "1-2") for row in rows()[:8]] + [row.replace("000001", "02-Jan") for row in rows()[8:]],
         'clip "02-Jan" is written "1-2" before ({file}:2): a spreadsheet takes such names for dates'),
        (rows("#NAME?"), 'votes.csv:10: clip_id "#NAME?" is a spreadsheet\'s error value'),
        (rows("1.2E+11"), "a number that a spreadsheet has rounded"),
        (rows(rating="4.5"), 'rating "4.5" is not an integer from 1 to 5'),
        (rows(rating='"4,5"'), 'rating "4,5" is not an integer from 1 to 5'),
        (rows(rating="4_5"), 'rating "4_5" is not a number'),
        (rows(rating="4 - bad"), 'rating "4 - bad" has the label of 1 on the scale of ITU-T P.800'),
        (rows(rating="05-Apr"), 'rating "05-Apr" is a date, which a spreadsheet makes of numbers'),
        (rows(rating="#REF!"), 'rating "#REF!" is a spreadsheet\'s error value'),
        (rows(rating="4 of 5"), 'rating "4 of 5" is not a number'),
        ([HEADER.replace("rating", "How good?"), *rows()], "votes.csv:2: rating"),
    ],
)  # fmt: skip
def test_what_was_spoilt_is_refused_with_the_true_cause(tmp_path: Path, lines: list[str], said: str) -> None:
    file = write(tmp_path / "votes.csv", lines)
    told = refused("--ratings", file, "--out", tmp_path / "out")
    assert said.format(file=file) in told
    assert "--allow-missing" not in told


def test_spellings_are_compared_over_all_files_of_a_study(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", rows()[:8])
    second = write(tmp_path / "b.csv", [row.replace("00000", "") for row in rows()[8:]])
    told = refused("--ratings", first, "--ratings", second, "--study-id", "s", "--out", tmp_path / "out")
    assert f'{second}:2: clip "1" is written "000001" before ({first}:2)' in told
    assert "correct one of them: 000001 and 1, 000002 and 2." in told


def test_ids_that_only_resemble_one_another_stay_apart(tmp_path: Path) -> None:
    for one, other in (("v_1_10", "v_11_0"), ("az-30", "az30"), ("n0.05", "n0.5"), ("01-Jan", "02-Jan")):
        lines = [row.replace("000001", one).replace("000002", other) for row in rows()]
        result = run("--ratings", write(tmp_path / "votes.csv", lines), "--out", tmp_path / "out")
        assert result.exit_code == 0, (one, result.exception)


def test_thousands_are_not_guessed(tmp_path: Path) -> None:
    for text in ('"1,000"', "1.000"):
        file = write(tmp_path / "votes.csv", rows(rating=text))
        assert "thousands" in refused("--ratings", file, "--scale", "0-2000", "--out", tmp_path / "out")


def test_advice_that_changes_the_numbers_says_so(tmp_path: Path) -> None:
    told = refused("--ratings", write(tmp_path / "votes.csv", rows()[:-1]), "--out", tmp_path / "out")
    assert "Either option changes the means" in told
    told = refused("--ratings", write(tmp_path / "votes.csv", [*rows(), rows()[0]]), "--out", tmp_path / "out")
    assert "changes the means: --duplicates first" in told


META = "StartDate,EndDate,Status,IPAddress,Progress,Finished,RecordedDate,ResponseId,DistributionChannel"
PLACES = ("G01_V1_SI", "G01_V2_SI", "G02_V1_SI", "G02_V2_SI")


def qualtrics(path: Path, *, status: str = "IP Address", texts: bool = True, ids: bool = True) -> Path:
    """A Qualtrics export of two responses, as the service writes it, and its key."""
    names = [*META.split(","), *PLACES]
    lines = [",".join(names)]
    if texts:
        lines.append(",".join(f'"How good is\n{name}?"' for name in names))
    if ids:
        lines.append(",".join('"{""ImportId"":""' + name + '""}"' for name in names))
    for number, kind in enumerate(("IP Address", status)):
        lines.append(f"2026-01-01,2026-01-01,{kind},,100,True,2026-01-01,R_{number},anonymous,2,5 - Excellent,1,4")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    path.with_name("key.csv").write_text(
        "group_id,slot,clip_id,system\nG01,1,c1,A\nG01,2,c1,B\nG02,1,c2,A\nG02,2,c2,B\n"
    )
    return path


def test_an_export_of_qualtrics(tmp_path: Path) -> None:
    key = ("--codes", tmp_path / "key.csv", "--out", tmp_path / "out")
    result = run("--ratings", qualtrics(tmp_path / "q.csv"), *key)
    assert result.exit_code == 0, result.exception
    for note in ("8 votes", "Qualtrics' header rows left out, from line 2 to 16", "raters are qualtrics's ResponseId",
                 "columns not used: StartDate, EndDate, Status", "2 rating(s) with a label"):  # fmt: skip
        assert note in result.stderr
    study = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]
    assert (study["report"]["raters"], study["report"]["clips"]) == (2, 2)
    told = refused("--ratings", qualtrics(tmp_path / "q.csv", status="Survey Preview"), *key)
    assert 'q.csv:18: the response is no rater\'s: its Status is "Survey Preview"' in told
    told = refused("--ratings", qualtrics(tmp_path / "q.csv", ids=False), *key)
    assert "No rating of line 2 is a number, and those below are: it is a second header row" in told
    assert run("--ratings", qualtrics(tmp_path / "q.csv", texts=False), *key).exit_code == 0


def test_codes_that_lost_their_zeros_are_named(tmp_path: Path) -> None:
    key = write(tmp_path / "key.csv", ["007,A", "008,B"], "code,system")
    lines = [row.replace("ViSAudio", "7").replace("AudioX", "8") for row in rows()]
    told = refused("--ratings", write(tmp_path / "v.csv", lines), "--codes", key, "--out", tmp_path / "out")
    assert 'The key has "007" where the responses have "7": they differ in zeros' in told


@pytest.mark.parametrize(
    ("form", "name", "text", "said"),
    [
        ("pymushra", "a.json", '{"x": {"1": {"id": "c", "questionaire": {}, "responses": [{"stimulus": "A"}]}}}',
         "is not built as a file of pymushra is: there is no 'uuid'"),
        ("beaqlejs", "a.json", '[{"rating": {"A": 3}}]', "there is no 'TestID'"),
        ("beaqlejs", "a.json", "[3]", "is not built as a file of beaqlejs is"),
        ("sureal", "a.json", '{"dis_videos": [{"os": [1]}]}', "there is no 'path'"),
        ("sureal", "a.json", "[1]", "is not built as a file of sureal is"),
        ("waet", "c-SI-ratings.csv", "file_keys,A\nr1,nan\n", "votes are missing"),
        ("waet", "c-SI-ratings.csv", "file_keys,A\nr1,loud\n", 'c-SI-ratings.csv:2: rating "loud" is not a number'),
        ("reseval", "a.csv", "Stem,Participant,Response\nc1,p1,02-Jan\n", 'rating "Jan" is not a number'),
        ("webmushra", "a.csv", "test,rater,trial_id,rating_stimulus,rating_score\nt,ann,c,A,3\nt,Ann,c,A,3\n",
         'rater "Ann" is written "ann" before'),
        ("golisten", "a.csv", "tag\nName,c__A rating,c__B rating\nAnn,3,x\n", 'a.csv:3: rating "x" is not a number'),
        ("p808", "a.csv", "workerid,file,vote\nw1,c__A.wav,3\nw1,\"c__B.wav\n", "a.csv:3: the quotes of the row"),
    ],
)  # fmt: skip
def test_files_of_other_tools(tmp_path: Path, form: str, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    assert said in refused("--ratings", tmp_path / name, "--form", form, "--out", tmp_path / "out")


def test_decimal_commas_and_marks_in_files_of_other_tools(tmp_path: Path) -> None:
    file = tmp_path / "c-SI-ratings.csv"
    file.write_text("sep=;\nfile_keys;A;B\nr1;0,25;1\nr2;0,75;0\n", encoding="utf-8-sig")
    result = run("--ratings", file, "--form", "waet", "--show", "votes", "--format", "csv", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    clips = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]["clips"]
    assert {row["system"]: row["mean"] for row in clips} == {"A": 3.0, "B": 3.0}


def test_labels_and_missing_votes_are_exported_as_numbers(tmp_path: Path) -> None:
    lines = [*rows(rating="{} - x")[:3], rows()[3][:-1] + "NA"]
    file = write(tmp_path / "votes.csv", lines)
    result = run("export", file, "--to", "p808", "--dimension", "SC")
    assert result.exit_code == 0, result.exception
    assert "1 votes exported" in result.stderr
    assert [line.split(",")[4] for line in result.stdout.splitlines()[1:]] == [lines[1].split(",")[4][0]]
