"""One small file of each tool, written by hand from its documented format."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.bench.mos.reading import read_responses
from visaudio_bench.bench.mos.responses import ResponseRules
from visaudio_bench.errors import UsageError

HERE = Path(__file__).parent / "fixtures"


def votes(form: str, name: str, scale: tuple[int, int] = (1, 5)) -> list[tuple[str, ...]]:
    found = read_responses(HERE / name, form, ResponseRules(scale=scale), "AR", None)
    names = ("rater_id", "clip_id", "system", "dimension", "rating", "role")
    return list(zip(*(found.get(column) for column in names), strict=True))


def test_webmushra_pages():
    found = votes("webmushra", "webmushra_mushra.csv", (0, 100))
    assert len(found) == 8
    assert found[0] == ("u1", "clip01", "reference", "SI", "100", "hidden_reference")
    assert found[1] == ("u1", "clip01", "ViSAudio", "SI", "82", "")
    assert found[7] == ("u2", "clip01", "anchor35", "SI", "22", "low_anchor")
    assert votes("webmushra", "webmushra_lms.csv")[0] == ("r1", "clip01", "ViSAudio", "AR", "4", "")


def test_pymushra_database():
    found = votes("pymushra", "pymushra.json", (0, 100))
    assert found[2] == ("u2", "clip01", "ViSAudio", "AR", "60", "")
    assert found[3][5] == "hidden_reference"


def test_beaqlejs_folder_and_mushrajs_file():
    found = votes("beaqlejs", "beaqlejs", (0, 100))
    assert found[0] == ("r1", "clip01", "ViSAudio", "AR", "80", "")
    assert found[4] == ("two", "clip01", "ViSAudio", "AR", "60", "")
    assert {row[5] for row in found if row[2] == "reference"} == {"hidden_reference"}
    assert votes("beaqlejs", "mushrajs.json", (0, 100))[0] == ("r7", "0", "ViSAudio", "AR", "56", "")


def test_waet_spreads_its_values_over_the_scale():
    found = votes("waet", "waet/clip01-SI-ratings.csv")
    assert found[0] == ("r1", "clip01", "ThinkSound", "SI", "2", "")
    assert found[3] == ("r2", "clip01", "ViSAudio", "SI", "4", "")
    assert votes("waet", "waet/clip01-SI-ratings.csv", (0, 100))[3][4] == "75"


def test_golisten_reads_ratings_and_no_other_question():
    assert votes("golisten", "golisten.csv") == [
        ("Ann", "clip01", "ThinkSound", "AR", "2", ""),
        ("Ann", "clip01", "ViSAudio", "AR", "5", ""),
        ("Ben", "clip01", "ThinkSound", "AR", "3", ""),
        ("Ben", "clip01", "ViSAudio", "AR", "4", ""),
    ]


def test_p808_by_worker_and_by_clip():
    assert votes("p808", "p808_votes_per_worker.csv")[1] == ("w1", "clip01", "ThinkSound", "AR", "3", "")
    found = read_responses(HERE / "p808_votes_per_clip.csv", "p808", ResponseRules(), "AR", None)
    assert len(found) == 5
    assert not found.raters_known


def test_reseval_takes_the_score_after_the_last_dash():
    assert votes("reseval", "reseval.csv")[1] == ("p1", "clip02", "Think-Sound", "AR", "2", "")


def test_sureal_names_raters_or_counts_them():
    found = votes("sureal", "sureal.json")
    assert found[0] == ("Ann", "clip01", "ViSAudio", "AR", "5", "")
    assert found[2] == ("S1", "clip01", "ThinkSound", "AR", "2", "")


@pytest.mark.parametrize(
    ("form", "name", "extra"),
    [
        ("webmushra", "webmushra_mushra.csv", ["--scale", "0-100"]),
        ("webmushra", "webmushra_lms.csv", []),
        ("pymushra", "pymushra.json", ["--scale", "0-100"]),
        ("beaqlejs", "beaqlejs", ["--scale", "0-100"]),
        ("waet", "waet/clip01-SI-ratings.csv", []),
        ("golisten", "golisten.csv", []),
        ("p808", "p808_votes_per_worker.csv", []),
        ("reseval", "reseval.csv", ["--allow-missing", "4"]),
    ],
)
def test_every_tool_reaches_the_table(form, name, extra, tmp_path):
    result = CliRunner().invoke(
        mos, ["--ratings", str(HERE / name), "--form", form, "--ci", "normal", "--out", str(tmp_path), *extra]
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert "ViSAudio" in result.stdout
    assert f"form {form}" in result.stderr


def test_unknown_raters_allow_no_interval_that_needs_them(tmp_path):
    command = ["--ratings", str(HERE / "p808_votes_per_clip.csv"), "--form", "p808", "--allow-missing", "1"]
    result = CliRunner().invoke(mos, [*command, "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "--ci clips-t" in str(result.exception)
    result = CliRunner().invoke(mos, [*command, "--ci", "clips-t,normal", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.exception
    assert "unknown raters" in result.stdout


@pytest.mark.parametrize(
    ("form", "name", "text", "told"),
    [
        (
            "sureal",
            "x.json",
            '{"dis_videos": [{"path": "a__\\ud800", "content_id": 0, "os": [3]}]}',
            "half a character",
        ),
        ("pymushra", "x.json", f'{{"a": {"9" * 5000}}}', "cannot be read"),
        ("beaqlejs", "x.json", "[" * 5000, "nested too deeply"),
        ("waet", "c-SI-ratings.csv", "file_keys,ours\nr1,1e308\n", 'rating "1e308" is outside the scale'),
    ],
)
def test_what_no_table_can_hold_is_refused(tmp_path, form, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=told):
        read_responses(tmp_path / name, form, ResponseRules(), "SI", None)


def test_a_file_of_another_tool_is_refused_with_a_reason():
    with pytest.raises(UsageError, match='no column "file_url"'):
        votes("p808", "reseval.csv")
    with pytest.raises(UsageError, match="not JSON"):
        votes("sureal", "reseval.csv")
