"""What a questionnaire needs before strangers answer it: minutes, consent, limits, a password, no addresses kept."""

import base64
import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from visaudio_bench.errors import UsageError

from .command import refused, run
from .sessions import ask

pytest.importorskip("starlette")
from visaudio_bench.bench.mos import server
from visaudio_bench.bench.mos.page_data import minutes_needed

PASSWORD = "correct horse battery"
ELSEWHERE = "https://example.org"


@pytest.fixture
def agreed(survey, tmp_path) -> Path:
    """The questionnaire as it is with a consent text."""
    folder = tmp_path / "survey"
    shutil.copytree(survey.folder, folder)
    data = json.loads((folder / "survey.json").read_text())
    (folder / "survey.json").write_text(json.dumps(data | {"consent": "Our words."}))
    return folder


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


def test_one_address_may_post_120_times_a_minute_and_is_then_forgotten(survey, session, tmp_path, monkeypatch, capsys):
    now = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(server, "time", now)
    app = server.application(survey.folder, tmp_path / "r.sqlite", "127.0.0.1")
    stranger, other = "203.0.113.77", "203.0.113.78"
    assert {ask(app, "/responses", b"{}", address=stranger).status for _ in range(120)} == {400}
    body = json.dumps(session(survey.folder, "R01")).encode()
    full = ask(app, "/responses", body, address=stranger)
    assert full.status == 429
    assert "send the answers again" in full.text
    assert ask(app, "/rater", address=stranger).status == 429
    assert ask(app, "/responses", body, address=other).status == 201
    now.monotonic = lambda: 1061.0
    body = json.dumps(session(survey.folder, "R02")).encode()
    assert ask(app, "/responses", body, address=stranger).status == 201
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("r.sqlite*"))
    assert b"R02" in kept
    assert b"203.0.113" not in kept, "addresses are not kept"
    assert "203.0.113" not in capsys.readouterr().err, "nor told"


def test_a_page_elsewhere_may_post_where_it_is_named(agreed, session, tmp_path):
    body = json.dumps(session(agreed, "R01")).encode()
    alone = server.application(agreed, tmp_path / "alone.sqlite", "127.0.0.1")
    assert ask(alone, "/responses", body, origin=ELSEWHERE).status == 403
    app = server.application(agreed, tmp_path / "r.sqlite", "127.0.0.1", [ELSEWHERE])
    asked = {"origin": ELSEWHERE, "access_control_request_method": "POST"}
    may = ask(app, "/responses", method="OPTIONS", access_control_request_headers="content-type", **asked)
    assert (may.status, may.headers["access-control-allow-origin"]) == (200, ELSEWHERE)
    assert ask(app, "/responses", body, origin=ELSEWHERE, host="example.org").status == 201
    assert ask(app, "/responses", body, origin="https://other.example").status == 403
    with pytest.raises(UsageError, match="is not the origin of a page"):
        server.application(agreed, tmp_path / "x.sqlite", "127.0.0.1", ["example.org"])


def test_people_elsewhere_are_asked_for_their_consent(survey, agreed, tmp_path):
    for host, origins in (("0.0.0.0", ()), ("127.0.0.1", (ELSEWHERE,))):
        with pytest.raises(UsageError, match=r"consent in your words. Make it with: bench mos page ... --consent FILE"):
            server.application(survey.folder, tmp_path / "r.sqlite", host, origins)
        server.application(agreed, tmp_path / "r.sqlite", host, origins)
    page = ("page", "--system", "a=b", "--videos", "c", "--out", tmp_path / "page")
    assert "people of a crowd are asked for their consent" in refused(*page, "--post", "https://example.org/responses")


def test_answers_are_taken_away_with_the_password_alone(survey, session, tmp_path, capsys):
    database = tmp_path / "r.sqlite"
    for password in ("", PASSWORD):
        app = server.application(survey.folder, database, "127.0.0.1", (), password)
        assert ask(app, "/responses.csv", method="GET", authorization=basic("")).status == (401 if password else 404)
    right = basic(PASSWORD)
    assert ask(app, "/responses.csv", method="GET", authorization=right).text == "no responses yet"
    assert ask(app, "/responses", json.dumps(session(survey.folder, "R01")).encode()).status == 201
    for wrong in ("", "Basic", "Basic !!", f"Bearer {right[6:]}", basic("correct horse"), basic(PASSWORD + "x")):
        answer = ask(app, "/responses.csv", method="GET", authorization=wrong)
        assert answer.status == 401, wrong
        assert "R01" not in answer.text
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert ask(app, "/responses.csv", authorization=right).status == 405, "answers are read, not written there"
    answer = ask(app, "/responses.csv", method="GET", authorization=right)
    assert answer.status == 200
    assert len(list(csv.DictReader(answer.text.splitlines()))) == 50
    assert "attachment" in answer.headers["content-disposition"]
    exported = run("export", database)
    assert exported.stdout.splitlines() == answer.text.splitlines()
    guesses = [ask(app, "/responses.csv", method="GET", authorization=basic(str(k))).status for k in range(130)]
    assert guesses[-1] == 429
    assert PASSWORD not in capsys.readouterr().err


def test_a_password_comes_from_a_file_and_is_long(survey, tmp_path):
    file = tmp_path / "password"
    for text, said in (("short\n", "12 characters or more was expected, this one has 5"), ("\n", "is empty")):
        file.write_text(text)
        serve = ("serve", survey.folder, "--database", tmp_path / "r.sqlite", "--password-file", file)
        assert said in refused(*serve)


def test_minutes_grow_with_what_is_asked():
    group = {"samples": ["a", "b"]}
    data = {"groups": [group] * 10, "per_rater": 0, "dimensions": [{}] * 5, "design": "rating", "training": None}
    whole = minutes_needed(data, 8.0)
    assert whole == 15  # 240 s, and ten times 1.5 * 2 * 8 + 4 * 10 s
    assert minutes_needed(data | {"per_rater": 5}, 8.0) == 10
    assert minutes_needed(data | {"training": group}, 8.0) == 16
