"""From a questionnaire's folder to a table without naming another file, and what is said where something lacks."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from visaudio_bench.bench.mos.server import connect, store
from visaudio_bench.bench.mos.session import check_session
from visaudio_bench.lock import hold

from .command import refused, run

ROOT = Path(__file__).resolve().parents[3]
SYSTEMS = ["ThinkSound", "AudioX", "ViSAGe", "See2Sound", "ViSAudio"]


@pytest.fixture
def answered(survey, session, tmp_path):
    """A questionnaire beside its key and three answers."""
    folder = tmp_path / "survey"
    shutil.copytree(survey.folder, folder)
    shutil.copy(survey.key, tmp_path / "survey.key.csv")
    data = json.loads((folder / "survey.json").read_text())
    connection = connect(tmp_path / "survey.sqlite")
    for rater in ("R01", "R02", "R03"):
        store(connection, check_session(json.dumps(session(folder, rater)).encode(), data))
    connection.close()
    return folder


@pytest.mark.parametrize("given", ["survey", "survey.sqlite"])
def test_answers_and_key_are_found_by_the_folder(answered, tmp_path, given):
    result = run("--ratings", tmp_path / given, "--out", tmp_path / "out", "--show", "all")
    assert result.exit_code == 0, result.exception
    assert f"key {tmp_path / 'survey.key.csv'}" in result.stderr
    study = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]
    assert study["systems"] == SYSTEMS, "the order in which the study was given its systems"
    assert [line.split()[0] for line in result.stdout.splitlines() if " ± " in line][:5] == SYSTEMS
    assert "3 raters, 2 clips, 6 votes a cell, 150 in all" in result.stdout


def test_what_lacks_is_asked_for(answered, tmp_path):
    out = ("--out", tmp_path / "out")
    file = tmp_path / "responses.csv"
    assert run("export", tmp_path / "survey.sqlite", "--out", file).exit_code == 0
    said = refused("--ratings", file, *out)
    assert re.search(r"the systems are codes \(s[0-9a-f]{6}, .*--codes KEY\.csv$", said)
    (tmp_path / "survey.key.csv").rename(tmp_path / "trial.key.csv")
    assert refused("--ratings", file, *out).endswith(f"--codes {tmp_path / 'trial.key.csv'}")
    assert "survey.key.csv does not exist, and the answers name systems by codes" in refused(
        "--ratings", answered, *out
    )
    assert run("--ratings", answered, "--codes", tmp_path / "trial.key.csv", *out).exit_code == 0
    (tmp_path / "survey.sqlite").unlink()
    assert f"Collect them with: bench mos serve {answered}" in refused("--ratings", answered, *out)
    connect(tmp_path / "survey.sqlite").close()
    assert "holds no responses yet" in refused("--ratings", answered, *out)
    run("simulate", "--form", "wide-rater", "--out", tmp_path / "wide.csv")
    assert "has places (G01_V1, ...) and no names of systems" in refused("--ratings", tmp_path / "wide.csv", *out)


@pytest.mark.parametrize(
    ("page", "start"), [("README.md", "bench mos page"), ("docs/listening-tests.md", "bench mos page")]
)
def test_the_lines_of_the_manual_work_as_printed(page, start, tmp_path, monkeypatch, material, session):
    """As many lines as the block has, in an empty folder that holds the run they speak of."""
    from visaudio_bench.bench.mos import server
    from visaudio_bench.suites import Clip, Suite
    from visaudio_bench.suites.catalogue import SUITES

    block = next(
        text for text in re.findall(r"```\n(.*?)```", (ROOT / page).read_text(), re.S) if "bench mos page" in text
    )
    lines = [shlex.split(line, comments=True) for line in block.splitlines() if line.startswith("bench mos")]
    assert [line[2] for line in lines] == ["page", "serve", "--ratings"]
    options = dict(zip(lines[0][3::2], lines[0][4::2], strict=True))
    _, videos = material(tmp_path, 11)
    run_folder = tmp_path / options["--run"] / "audio" / options["--suite"]
    run_folder.mkdir(parents=True)
    for system, made in zip(options["--systems"].split(","), (tmp_path / "sounds").iterdir(), strict=False):
        made.rename(run_folder / system)

    class Small(Suite):
        name, title = options["--suite"], "a few clips"

        def clips(self):
            return tuple(Clip(path.stem, path, None, 0.0, 1.2) for path in sorted(videos.iterdir()))

    def two_raters(uvicorn, app, host, port, database):
        connection = connect(database)
        data = json.loads(Path("survey/survey.json").read_text())
        for rater in ("R01", "R02"):
            store(connection, check_session(json.dumps(session(Path("survey"), rater)).encode(), data))
        connection.close()

    monkeypatch.setattr(SUITES, "get", lambda name: lambda argument: Small())
    monkeypatch.setattr(server, "_serve", two_raters)
    monkeypatch.chdir(tmp_path)
    for line in lines:
        result = run(*line[2:])
        assert result.exit_code == 0, (line, result.output, result.exception)
    assert "2 raters, 10 clips" in result.stdout
    with Path("runs/mos/mos.csv").open() as file:
        assert {row["system"] for row in csv.DictReader(file)} == set(options["--systems"].split(","))


def test_two_commands_do_not_write_one_folder(tmp_path, material):
    run("simulate", "--out", tmp_path / "r.csv")
    with hold(tmp_path / "out", "another command"):
        assert "is in use: another command" in refused("--ratings", tmp_path / "r.csv", "--out", tmp_path / "out")
    folders, videos = material(tmp_path, 1)
    page = ("page", "--system", folders[0], "--videos", videos, "--clips", "1", "--out", tmp_path / "survey")
    with hold(tmp_path, "another page", name=".survey.in-use"):
        assert "is in use: another page" in refused(*page)
    assert run(*page).exit_code == 0
    assert not list(tmp_path.glob(".*")), "nothing is left behind"


def test_one_of_each_is_said_in_the_singular(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("rater_id,clip_id,system,dimension,rating\nr1,c1,A,SI,3\nr1,c1,B,SI,4\n")
    result = run("--ratings", file, "--out", tmp_path / "out", "--study-id", "s")
    assert result.exit_code == 0, result.exception
    assert "1 rater, 1 clip, 1 vote a cell, 2 in all" in result.stdout


def test_decimals_are_two_and_three_on_request(tmp_path):
    run("simulate", "--out", tmp_path / "r.csv")
    shown = {}
    for digits in (None, 2, 3):
        extra = () if digits is None else ("--digits", digits)
        result = run("--ratings", tmp_path / "r.csv", "--out", tmp_path / "out", *extra)
        shown[digits] = set(re.findall(r"\d\.(\d+) ± 0\.(\d+)", result.stdout))
        assert {len(text) for pair in shown[digits] for text in pair} == {digits or 2}
    assert shown[None] == shown[2]
