"""What a post may hold: every field within its bounds, so that what is taken can be exported and read again."""

import csv
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.session import RefusedError, check_session
from visaudio_bench.errors import UsageError

from .sessions import ask

HUGE = "1" + "0" * 5000


@pytest.fixture
def data(survey) -> dict[str, Any]:
    return json.loads((survey.folder / "survey.json").read_text())


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, "\ud800") for column in COLUMNS),
        *((column, "=cmd|' /C calc'!A0") for column in COLUMNS),
        *(
            (column, value)
            for column in COLUMNS
            for value in ("a\x00b", "\x1b[31m", True, None, [], 10**15, 1e300, "x" * 256)
        ),
        *(("rating", value) for value in (0, 6, 2.5, 3.0, "0003", "\u0663", "\uff13", " 3", "3 ", "+3", "", -1)),
        *(("slot", value) for value in (0, 6, "", "\u0661")),
        *(("group_order", value) for value in (0, 3)),
        *(("played_ratio", value) for value in ("1.1", "-0.1", "0.", ".5", 1e-7, "0,5")),
        *(("rating_ms", value) for value in (-1, 10**10, "1e3")),
        *(("timestamp_utc", value) for value in ("today", "2026-01-31", "2026-01-31T12:00:00+01:00")),
        *(("rater_id", value) for value in ("", "../../x", "-x", "R 1")),
        ("study_id", "other"),
        ("suite", "other"),
        ("suite", ""),
        ("clip_id", "clip77"),
        ("group_id", "G77"),
        ("system", "s0"),
        ("dimension", "XX"),
        ("role", "gold"),
        ("expected", "3"),
        ("compared_with", "s0"),
        ("headphone_check", "maybe"),
        ("listening_device", "loudspeakers"),
    ],
)
def test_a_field_out_of_its_bounds_is_refused(survey, data, session, column, value):
    good = session(survey.folder, "R01")
    check_session(encoded(good), data)
    good["rows"][7][COLUMNS.index(column)] = value
    with pytest.raises(RefusedError) as refused:
        check_session(encoded(good), data)
    assert refused.value.status == 400
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_what_is_no_session_is_refused(survey, data, session):
    good = session(survey.folder, "R01")
    text = encoded(good).decode()
    for body in (
        b"not json",
        b"[]",
        b"3",
        b"\xff\xfe",
        b"[" * 100_000,
        encoded({"columns": ["a"], "rows": []}),
        encoded({**good, "rows": {}}),
        encoded({**good, "rows": [*good["rows"], 3]}),
        encoded({**good, "rows": good["rows"][:-1]}),
        encoded({**good, "rows": [*good["rows"][:-1], good["rows"][0]]}),
        text.replace('"0.983"', HUGE).encode(),
        text.replace('"0.983"', "NaN").encode(),
        text.replace('"0.983"', "Infinity").encode(),
        text.replace('"0.983"', "1e999").encode(),
    ):
        with pytest.raises(RefusedError):
            check_session(body, data)


def swapped(rows: list[list[Any]], column: str, one: object, other: object) -> list[list[Any]]:
    """The rows with two values of a column exchanged."""
    place = COLUMNS.index(column)
    exchange = {one: other, other: one}
    return [[exchange.get(v, v) if k == place else v for k, v in enumerate(row)] for row in rows]


def test_samples_are_of_their_own_clip_and_have_one_slot(survey, data, session):
    good = session(survey.folder, "R01")
    codes = [group["samples"][0] for group in data["groups"]]
    for column, one, other in (("system", *codes), ("clip_id", *(group["clip"] for group in data["groups"]))):
        with pytest.raises(RefusedError, match="is of group G0"):
            check_session(encoded({**good, "rows": swapped(good["rows"], column, one, other)}), data)
    for changes, said in (({"slot": 1}, "two samples of group G01 are in slot 1"), ({"group_order": 1}, "two groups")):
        with pytest.raises(RefusedError, match=said):
            check_session(encoded(session(survey.folder, "R01", **changes)), data)
    rows = [list(row) for row in good["rows"]]
    rows[0][COLUMNS.index("rater_id")] = "R02"
    with pytest.raises(RefusedError, match="one name for the whole session"):
        check_session(encoded({**good, "rows": rows}), data)


def mutate(rng: random.Random, body: bytes) -> bytes:
    """Bytes exchanged, left out or repeated, or one value of a row replaced."""
    if rng.random() < 0.5:
        start = rng.randrange(len(body))
        end = min(len(body), start + rng.randrange(1, 20))
        piece = rng.choice((b"", bytes(rng.randrange(256) for _ in range(4)), body[start:end] * 2))
        return body[:start] + piece + body[end:]
    try:
        value = json.loads(body)
    except ValueError:
        return body
    row = rng.choice(value["rows"])
    nasty = (
        "\ud800",
        "\x00",
        "\u202e",
        "<script>",
        "a,b\n",
        '"',
        "-1",
        "0",
        0,
        1,
        3,
        4,
        -3,
        1e9,
        "R02",
        "",
        {},
        "\u0663",
    )
    row[rng.randrange(len(row))] = rng.choice(nasty)
    return json.dumps(value).encode()


@pytest.mark.parametrize("count", [300, pytest.param(8000, marks=pytest.mark.slow)])
def test_whatever_is_taken_can_be_exported_and_read_again(survey, data, session, tmp_path, count):
    """A server's whole way without its sockets: refused, or stored, exported, and read to a table with its key."""
    from visaudio_bench.bench.mos.server import connect, store

    rng = random.Random(0)
    connection = connect(tmp_path / "r.sqlite")
    connection.execute("PRAGMA synchronous=OFF")
    taken = 0
    for number in range(count):
        body = encoded(session(survey.folder, f"R{number}"))
        for _ in range(rng.choice((0, 1, 1, 2))):
            body = mutate(rng, body)
        try:
            store(connection, check_session(body, data))
            taken += 1
        except RefusedError as refused:
            assert refused.status in (400, 409)
    assert count // 10 < taken < count
    connection.close()
    result = CliRunner().invoke(mos, ["export", str(tmp_path / "r.sqlite"), "--out", str(tmp_path / "r.csv")])
    assert (result.exit_code, "session" in result.stderr) == (0, False), result.output
    command = ["--ratings", str(tmp_path / "r.csv"), "--codes", str(survey.key), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(mos, command)
    assert result.exit_code == 0, result.exception
    assert f"{taken} raters" in result.stdout


def test_rows_that_older_servers_took_are_exported_and_listed(survey, data, session, tmp_path):
    from visaudio_bench.bench.mos.server import connect

    connection = connect(tmp_path / "r.sqlite")
    bodies = {}
    for rater, changes in (
        ("R01", {"timestamp_utc": "\ud800"}),
        ("R02", {"rating": "0003"}),
        ("R03", {"rating": "\u0663"}),
    ):
        rows = session(survey.folder, rater, **changes)["rows"]
        bodies[rater] = json.dumps([{name: str(v) for name, v in zip(COLUMNS, row, strict=True)} for row in rows])
    bodies |= {"R04": "[3]", "R05": "no", "R06": "[{}]"}
    for rater, body in bodies.items():
        row = ("2026", data["study_id"], f"s{rater}", rater, body)
        connection.execute(
            "INSERT INTO responses (received, study_id, session_id, rater_id, body) VALUES (?, ?, ?, ?, ?)", row
        )
    connection.commit()
    connection.close()
    out = tmp_path / "r.csv"
    result = CliRunner().invoke(mos, ["export", str(tmp_path / "r.sqlite"), "--out", str(out)])
    assert result.exit_code == 0, result.exception
    for note in (
        "session 1: 'timestamp_utc' '\\ud800' written as '\\\\ud800'",
        "session 2: 'rating' '0003' written as '3'",
        "session 3: 'rating' '\\u0663' written as '3'",
        "session 4 left out",
        "session 5 left out",
        "session 6 left out",
        "150 votes exported",
    ):
        assert note in result.stderr
    with out.open(newline="") as file:
        assert {row["rating"] for row in csv.DictReader(file) if row["rater_id"] != "R01"} == {"3"}


def test_a_full_disk_is_said_in_one_sentence(survey, session, tmp_path, monkeypatch, capsys):
    from visaudio_bench.bench.mos import server

    def full(database: Path) -> sqlite3.Connection:
        connection = connect(database)
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}")
        return connection

    connect = server.connect
    monkeypatch.setattr(server, "connect", full)
    app = server.application(survey.folder, tmp_path / "r.sqlite", "127.0.0.1")
    answer = ask(app, "/responses", encoded(session(survey.folder, "R01")))
    assert answer.status == 507
    assert answer.text.startswith("the server could not keep this (database or disk is full); nothing was stored")
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x1b[2J", "", "x" * 101])
def test_a_studys_name_can_be_kept(material, tmp_path, name):
    from visaudio_bench.bench.mos.page_data import Wording
    from visaudio_bench.bench.mos.questionnaire import build
    from visaudio_bench.bench.mos.study_material import StudyMaterial

    chosen = StudyMaterial("s", (), None, {}, {})
    with pytest.raises(UsageError, match="a study's name is 1 to 100 printable characters"):
        build(chosen, tmp_path / "x", wording=Wording("t"), study_id=name, progress=lambda line: None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda survey: survey.pop("groups"), r"groups is missing"),
        (lambda survey: survey.update(groups=[]), r"groups is empty"),
        (lambda survey: survey["groups"][1]["samples"].pop(), r"groups\[1\].samples are 4, 5 were expected"),
        (lambda survey: survey["groups"][0].update(samples=[]), r"groups\[0\].samples are 0, 1 were expected"),
        (lambda survey: survey["dimensions"][0].pop("key"), r"dimensions\[0\].key is missing"),
        (lambda survey: survey.update(scale=[1]), r"scale is \[1\], its two ends were expected"),
        (lambda survey: survey["columns"].append("shoe_size"), r"columns\[\d+\] is 'shoe_size'"),
        (lambda survey: survey.update(design="x"), r"design is 'x'"),
        (lambda survey: (survey.update(design="preference"), survey.pop("per_rater")), r"per_rater is missing"),
    ],
)
def test_a_damaged_questionnaire_is_not_served(data, tmp_path, change, said):
    from visaudio_bench.bench.mos.server import application

    change(data)
    (tmp_path / "survey.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match=said):
        application(tmp_path, tmp_path / "r.sqlite", "127.0.0.1")
    assert not (tmp_path / "r.sqlite").exists()


@pytest.mark.timeout(60)
def test_a_database_of_strangers_runs_no_program(tmp_path):
    from visaudio_bench.bench.mos.response_export import database_rows, export_text

    endless = "WITH RECURSIVE n(id, body) AS (SELECT 1, '[]' UNION ALL SELECT id + 1, '[]' FROM n) SELECT * FROM n"
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE VIEW responses AS {endless}")
    with pytest.raises(UsageError, match="it has no table of responses"):
        database_rows(path)
    vote = {"rater_id": "r", "clip_id": "c", "system": "s", "dimension": "SI", "rating": "3.5"}
    with sqlite3.connect(path) as connection:
        connection.execute("DROP VIEW responses")
        connection.execute("CREATE TABLE responses (id, body)")
        connection.execute("INSERT INTO responses VALUES (1, ?)", (json.dumps([vote]),))
    with pytest.raises(UsageError, match=r"sureal takes whole numbers, and a rating is '3\.5'"):
        export_text(path, "sureal")


def test_a_damaged_byte_costs_no_other_session(survey, session, data, tmp_path):
    from visaudio_bench.bench.mos import server
    from visaudio_bench.bench.mos.response_export import database_rows

    connection = server.connect(tmp_path / "r.sqlite")
    for rater in ("R01", "R02"):
        server.store(connection, check_session(encoded(session(survey.folder, rater)), data))
    connection.execute("INSERT INTO responses SELECT 9, received, study_id, 's', 'R03', body FROM responses LIMIT 1")
    connection.commit()
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    whole = (tmp_path / "r.sqlite").read_bytes()
    place = whole.index(b"over-ear headphones")
    (tmp_path / "r.sqlite").write_bytes(whole[:place] + b"\x84" + whole[place + 1 :])
    rows, notes = database_rows(tmp_path / "r.sqlite")
    assert len(rows) == 3 * 50
    assert len(notes) == 1
    assert "'listening_device' '\\udc84ver-ear headphones' written as" in notes[0]
