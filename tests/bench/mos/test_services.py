"""Form and crowd services: what is written for them to paste, and exports by hand in the forms that are known."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.bench.mos.questions import KEYS
from visaudio_bench.bench.mos.reading import read_responses
from visaudio_bench.bench.mos.responses import ResponseRules
from visaudio_bench.bench.mos.services import tagged, written_time
from visaudio_bench.errors import UsageError

from .command import run

HERE = Path(__file__).parent / "fixtures" / "services"
EXPORTS = {
    "google_forms": ("1", "2026-01-30T12:05:09Z"),
    "microsoft_forms": ("1", ""),
    "qualtrics": ("1", "2026-01-30T12:30:00"),
    "limesurvey": ("1", "2026-01-30T12:30:00"),
    "mturk": ("A1WORKER", "2026-01-30T20:30:00Z"),
}


@pytest.mark.parametrize("service", EXPORTS)
def test_an_export_is_read_with_the_pages_own_key(service, tmp_path):
    read = read_responses(HERE / f"{service}.csv", "auto", ResponseRules(), "AR", HERE / "key.csv")
    rater, time = EXPORTS[service]
    assert len(read) == 3 * (4 * 5 + 1)
    assert (read.get("rater_id")[0], read.get("timestamp_utc")[0]) == (rater, time)
    rows = list(zip(*(read.get(name) for name in ("clip_id", "system", "dimension", "rating")), strict=True))
    assert rows[0] == ("clip01", "ViSAudio", "SI", "4")
    assert rows[5] == ("clip01", "AudioX", "SI", "2")
    assert read.get("role")[20] == "trap"
    assert read.get("expected")[20] == "4"
    out = tmp_path / "out"
    result = run(
        "--ratings", HERE / f"{service}.csv", "--codes", HERE / "key.csv", "--screen", "trap", "--out", out
    )  # fmt: skip
    assert result.exit_code == 0, result.exception
    study = json.loads((out / "mos.json").read_text())["studies"][0]
    assert study["systems"] == ["ViSAudio", "AudioX"]
    assert len(study["screening"]["excluded"]["trap"]) == 1, "the third rater did not read the question"
    assert {row["mean"] for row in study["opinions"] if row["system"] == "ViSAudio" and row["dimension"] == "SI"} == {
        4.5
    }


def test_rows_are_raters_where_nothing_else_tells_them(tmp_path):
    text = (HERE / "google_forms.csv").read_text()
    anonymous = re.sub(r'("2026[^"]*"),"\d"', r"\1", text).replace(
        ',"Participant number (rater_id), as it was given to you"', ""
    )
    file = tmp_path / "g.csv"
    file.write_text(anonymous)
    read = read_responses(file, "auto", ResponseRules(), "AR", HERE / "key.csv")
    assert sorted(set(read.get("rater_id"))) == ["row 2", "row 3", "row 4"]
    assert any("every row is one" in note for note in read.notes)


def rewritten(service: str, path: Path, heading: Callable[[str], str]) -> Path:
    """An export with other headings."""
    text = (HERE / f"{service}.csv").read_text(encoding="utf-8-sig")
    delimiter = ";" if service == "microsoft_forms" else ","
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([[heading(name) for name in header], *rows])
    return path


LIMESURVEY = {"id": "Response ID", "submitdate": "Date submitted", "lastpage": "Last page"}


def code_and_text(name: str) -> str:
    """A heading of LimeSurvey as it is with question code & question text."""
    code, _, part = name.strip("]").partition("[")
    return f"{name}. " + LIMESURVEY.get(name, f"Group 1 of 2, video 2 ({code}) [{part}: what it means]")


@pytest.mark.parametrize(
    ("service", "heading"),
    [
        ("limesurvey", code_and_text),
        ("microsoft_forms", lambda name: name.replace("ID", "Id").replace("Email", "Last modified time")),
        ("microsoft_forms", lambda name: f"Group 1, video 1 ({name[:7]}).{name}" if " SI" in name else name),
    ],
    ids=["codes and texts", "another version", "question and statement"],
)
def test_other_headings_of_a_service_give_the_same_votes(service, heading, tmp_path):
    key = HERE / "key.csv"
    plain = read_responses(HERE / f"{service}.csv", "auto", ResponseRules(), "AR", key)
    other = read_responses(rewritten(service, tmp_path / "export.csv", heading), "auto", ResponseRules(), "AR", key)
    for column in ("rater_id", "timestamp_utc", "clip_id", "system", "dimension", "rating"):
        assert other.get(column) == plain.get(column)


@pytest.mark.parametrize(
    ("heading", "found"),
    [
        ("Group 1, video 2 (s4d67f2) [SI: Spatial Impression]", ("s4d67f2", "SI")),
        ("s4d67f2 AR: Audio Realism. Naturalness", ("s4d67f2", "AR")),
        ("s4d67f2[TA]", ("s4d67f2", "TA")),
        ("s4d67f2_SC", ("s4d67f2", "SC")),
        ("Answer.s4d67f2_SA", ("s4d67f2", "SA")),
        ("Points - s4d67f2 SI: Spatial Impression", None),
        ("Feedback - s4d67f2 SI: Spatial Impression", None),
        ("s4d67f2", None),
        ("s4d67f2 SI and SC", None),
        ("xs4d67f2 SI", None),
        ("s4d67f2a SI", None),
        ("SI of s4d67f2", None),
    ],
)
def test_a_tag_is_found_in_a_heading(heading, found):
    assert tagged(heading, KEYS) == found


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026/01/31 12:05:09 AM GMT+1", "2026-01-30T23:05:09Z"),
        ("2026/01/31 1:05:09 PM GMT-8", "2026-01-31T21:05:09Z"),
        ("2026/01/31 1:05:09 PM GMT+5:30", "2026-01-31T07:35:09Z"),
        ("2026-01-31 12:00:00", "2026-01-31T12:00:00"),
        ("2026-01-31T12:00:00.123Z", "2026-01-31T12:00:00Z"),
        ("Fri Jan 30 12:30:00 PST 2026", "2026-01-30T20:30:00Z"),
        ("1/2/26 12:00:00", ""),
        ("2026-02-31 12:00:00", ""),
        ("today", ""),
    ],
)
def test_times_are_read_where_they_are_not_ambiguous(text, written):
    assert written_time(text) == written


def long_rows(path: Path, raters: dict[str, str]) -> Path:
    """Votes of raters, by name and session."""
    rows = [
        f"{rater},{session},{clip},{system},SI,{1 + (k + len(clip + system)) % 5}"
        for k, (rater, session) in enumerate(raters.items())
        for clip in ("c1", "c2")
        for system in ("A", "BB")
    ]
    path.write_text("\n".join(["rater_id,session_id,clip_id,system,dimension,rating", *rows]) + "\n")
    return path


def test_prolific_says_who_has_completed(tmp_path):
    people = {f"5f000000000000000000000{k}": f"s{k}" for k in (1, 2, 3, 4, 5)}
    file = long_rows(tmp_path / "r.csv", people)
    command = ("--ratings", file, "--screen", "completion", "--out", tmp_path / "out")
    result = run(*command, "--recruited", HERE / "prolific.csv")
    assert result.exit_code == 0, result.exception
    assert "4 participants in prolific.csv, 1 rater(s) not among them" in result.stderr
    study = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]
    assert study["screening"]["excluded"] == {"completion": [f"5f000000000000000000000{k}" for k in (3, 4, 5)]}
    assert "completion check: 2 passed, 3 failed, 0 without" in result.stdout
    assert "needs the results of that check" in str(run(*command).exception)
    other = long_rows(tmp_path / "other.csv", {"R1": "s1", "R2": "s2"})
    said = run("--ratings", other, "--recruited", HERE / "prolific.csv", "--out", tmp_path / "out").exception
    assert isinstance(said, UsageError)
    assert "none of them is a rater_id" in str(said)
    assert "was expected" in str(run(*command, "--recruited", HERE / "key.csv").exception)


def test_mturk_is_matched_by_the_code_that_the_page_showed(tmp_path):
    file = long_rows(tmp_path / "r.csv", {f"x{k}": f"00000000000000a{k}" for k in (1, 2, 3)})
    command = ("--ratings", file, "--screen", "completion", "--out", tmp_path / "out")
    result = run(*command, "--recruited", HERE / "mturk_codes.csv")
    assert result.exit_code == 0, result.exception
    study = json.loads((tmp_path / "out" / "mos.json").read_text())["studies"][0]
    assert study["screening"]["excluded"] == {"completion": ["x3"]}
    assert "A1" not in (tmp_path / "out" / "mos.json").read_text(), "workers' own ids stay outside"


def headings(service: str, text: str, key: set[str]) -> list[str]:
    """The headings under which a service exports the questions of the file that was written for it."""
    if service == "google-forms":
        pairs = re.findall(r'setTitle\("([^"]*\(s[0-9a-f]{6}\))"\).*?setRows\((\[.*?\])\)', text)
        return [f"{title} [{row}]" for title, rows in pairs for row in json.loads(rows)]
    if service == "microsoft-forms":
        return re.findall(r"^  statement: (.*)", text, re.M)
    if service == "qualtrics":
        return re.findall(r"\[\[ID:(s.*?)\]\]", text)
    question, found = "", []
    for line in text.splitlines():
        _, kind, _, name, *_ = line.split("\t")
        question = name if kind == "Q" else question
        if kind == "SQ":
            found.append(f"{question}[{name}]")
    return found


@pytest.mark.parametrize("service", ["google-forms", "microsoft-forms", "qualtrics", "limesurvey", "prolific", "mturk"])
def test_what_is_written_for_a_service_comes_back(service, tmp_path, material):
    folders, videos = material(tmp_path, 2)
    out, address = tmp_path / "survey", "https://example.org/survey/"
    systems = [argument for folder in folders[:2] for argument in ("--system", folder)]
    base = ["page", *systems, "--videos", videos, "--clips", "2", "--out", out, "--title", 'A "test" & more']
    assert "--for SERVICE and --address URL go together" in str(run(*base, "--for", service).exception)
    consent = tmp_path / "consent.txt"
    consent.write_text("We record nothing but votes.\n\nAsk us.\n")
    told = ("--for", service, "--address", address)
    assert f"people of {service} are asked for their consent in your words" in str(run(*base, *told).exception)
    result = run(*base, *told, "--consent", consent)
    assert result.exit_code == 0, result.exception
    (paste,) = tmp_path.glob(f"survey.{service}.*")
    text = paste.read_text()
    with (tmp_path / "survey.key.csv").open() as file:
        key = {row["code"]: row for row in csv.DictReader(file)}
    data = json.loads((out / "survey.json").read_text())
    if service in ("prolific", "mturk"):
        assert "https://example.org/survey/index.html" in text
        assert data["crowd"]["service"] == service
        assert data["attention"] is None
        assert data["consent"] == "We record nothing but votes.\n\nAsk us."
        assert {row["role"] for row in key.values()} == {"test"}
        return
    found = [tagged(heading, KEYS) for heading in headings(service, text, set(key))]
    check = data["attention"]["code"]
    assert sorted(found) == sorted([(c, k) for c in key if c != check for k in KEYS] + [(check, "SI")])
    assert text.count("https://example.org/survey/media/s") == 4
    assert (key[check]["role"], key[check]["expected"]) == ("trap", str(data["attention"]["expected"]))
    assert not any(name in text for name in ("ThinkSound", "AudioX", "clip00"))
    assert "rater_id" in text
    assert "We record nothing but votes." in text and "Ask us." in text
