"""Texts of strangers in questionnaires, in what form services are given, in tables and lists of listening tests."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.bench.mos.forms import read_own_form
from visaudio_bench.bench.mos.page_data import RATING, Wording, page_data
from visaudio_bench.bench.mos.questionnaire import write_page
from visaudio_bench.bench.mos.questions import COLUMNS, KEYS
from visaudio_bench.bench.mos.service_forms import WRITERS
from visaudio_bench.escapes import visible
from visaudio_bench.files import csv_text
from visaudio_bench.leaderboards.tables import FORMATS

from ...nasty import NASTY, Tags, harmless, no_formulas
from .command import run


def study(text: str) -> dict[str, Any]:
    """What a page is told, with the text wherever a text can be."""
    groups = [{"id": "G01", "clip": text, "caption": text, "samples": ["s000001", "s000002"], "reference": None}]
    wording = Wording(text, text, "", "prolific", "https://example.org", text)
    data = page_data(groups, None, wording, text, RATING, 2, text)
    check = {"group": "G01", "code": "s000003", "dimension": "SI", "expected": 2}
    return data | {"attention": check, "crowd": {"service": "prolific", "code": "X", "link": ""}, "minutes": 1}


@pytest.mark.parametrize("text", NASTY)
def test_a_page_has_our_tags_alone_and_its_data_are_data(text: str, tmp_path: Path) -> None:
    for folder, said in (("theirs", text), ("ours", "harmless")):
        write_page(tmp_path / folder, study(said))
    shown = (tmp_path / "theirs" / "index.html").read_text(encoding="utf-8")
    harmless("html", shown)
    assert Tags(shown).found == Tags((tmp_path / "ours" / "index.html").read_text(encoding="utf-8")).found
    script = (tmp_path / "theirs" / "data.js").read_text(encoding="utf-8")
    assert "<" not in script
    told = script.removeprefix("window.SURVEY = ").removesuffix(";\n")
    assert json.loads(told) == json.loads((tmp_path / "theirs" / "survey.json").read_text())
    assert json.loads(told) == json.loads(json.dumps(study(text)))


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("service", WRITERS)
def test_a_form_service_is_given_texts(text: str, service: str) -> None:
    theirs, ours = (visible(WRITERS[service][1](study(said), "https://example.org")) for said in (text, "harmless"))
    harmless("text", theirs)
    assert len(theirs.splitlines()) == len(ours.splitlines())
    assert [line.count("\t") for line in theirs.splitlines()] == [line.count("\t") for line in ours.splitlines()]
    if service in ("qualtrics", "limesurvey"):
        assert Tags(theirs).found == Tags(ours).found
    if service == "google-forms":
        (created,) = (line for line in theirs.splitlines() if "FormApp.create" in line)
        assert json.loads(created.partition("create(")[2].removesuffix(");")) == text


def test_lists_of_votes_and_keys_are_never_calculated_and_come_back(tmp_path: Path) -> None:
    names = ("=1+1", "@home", "-dash", "'=1", "+a(b)", "\uff1d1+1", "-2+3+cmd|' /C calc'!A0", "<b>", "\\input{x}")
    vote = {"rater_id": "R1", "dimension": "SI", "rating": "3", "clip_id": "c"}
    text = csv_text(COLUMNS, [{**vote, "system": name} for name in names])
    no_formulas(text)
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    assert read_own_form(tmp_path / "r.csv", "auto", KEYS).columns["system"] == list(names)


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Votes on systems with such names, in a study with such a name."""
    path = tmp_path_factory.mktemp("rated") / "r.csv"
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["study_id", "rater_id", "clip_id", "system", "dimension", "rating", "listening_device"])
    # What begins so is refused as what a spreadsheet made of a text.
    systems = [text for text in NASTY if text.isprintable() and text.strip() == text and text[0] not in "='\uff1d"]
    for rater in range(3):
        for clip, name in enumerate(systems[:3]):
            table.writerows(
                [systems[-1], f"{systems[0]}{rater}", name, system, "SI", 1 + (rater + clip + place) % 5, systems[1]]
                for place, system in enumerate(systems)
            )
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_tables_of_a_listening_test_show_texts(rated: Path, tmp_path: Path, form: str) -> None:
    result = run("--ratings", rated, "--show", "all", "--format", form, "--out", tmp_path)
    assert result.exit_code == 0, result.exception
    harmless(form, result.stdout)
    assert "cmd" in result.stdout
    for path in tmp_path.iterdir():
        harmless(path.suffix[1:], path.read_text(encoding="utf-8"))
