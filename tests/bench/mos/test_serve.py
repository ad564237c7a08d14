"""The collecting server: what it keeps through kill -9, what it refuses, what comes out again."""

import csv
import json
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos

pytest.importorskip("uvicorn", reason="SERVER TEST NOT RUN: pip install 'visaudio-bench[mos]'")
pytest.importorskip("starlette")


class Server:
    """A running `bench mos serve`, and requests to it."""

    def __init__(self, process: subprocess.Popen, base: str):
        self.process, self.base = process, base

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        request = urllib.request.Request(self.base + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


@pytest.fixture
def server(survey, tmp_path, start_server):
    running = Server(*start_server(survey.folder, tmp_path / "r.sqlite"))
    yield running
    running.stop()


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_what_was_received_survives_kill_9(survey, tmp_path, start_server, session):
    database = tmp_path / "r.sqlite"
    server = Server(*start_server(survey.folder, database))
    assert server.ask("/responses", encoded(session(survey.folder, "R01"))) == (201, b"received")
    server.stop(signal.SIGKILL)
    server = Server(*start_server(survey.folder, database))
    assert server.ask("/responses", encoded(session(survey.folder, "R02")))[0] == 201
    server.stop(signal.SIGKILL)
    out = tmp_path / "responses.csv"
    assert CliRunner().invoke(mos, ["export", str(database), "--out", str(out)]).exit_code == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 50
    assert {row["rater_id"] for row in rows} == {"R01", "R02"}
    result = CliRunner().invoke(
        mos, ["--ratings", str(out), "--codes", str(survey.key), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.exception
    assert "2 raters, 2 clips, 4 votes a cell, 100 in all" in result.stdout


def test_twenty_raters_at_once_lose_nothing_over_kill_9(survey, tmp_path, start_server, session):
    """Each posts until told that it arrived, as the page does; the server is killed meanwhile, and started again."""
    database, answered = tmp_path / "r.sqlite", []
    servers = [Server(*start_server(survey.folder, database))]

    def rate(number: int) -> None:
        body = encoded(session(survey.folder, f"R{number:02d}"))
        for _ in range(6000):  # until a server that starts on a busy machine listens
            try:
                status, said = servers[-1].ask("/responses", body)
            except OSError:  # killed: nobody listens, or the answer was lost
                time.sleep(0.05)
                continue
            assert status == 201 or said == b"this session has answered already"
            answered.append(number)
            return
        raise AssertionError("nobody listens")

    with ThreadPoolExecutor(20) as raters:
        jobs = [raters.submit(rate, number) for number in range(20)]
        while len(answered) < 3:
            time.sleep(0.005)
        servers[-1].stop(signal.SIGKILL)
        servers.append(Server(*start_server(survey.folder, database)))
        for job in jobs:
            job.result()
    servers[-1].stop()
    assert sorted(answered) == list(range(20))
    result = CliRunner().invoke(mos, ["export", str(database)])
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert len(rows) == 20 * 50
    assert {row["rater_id"] for row in rows} == {f"R{number:02d}" for number in range(20)}


def test_responses_are_never_changed(server, survey, tmp_path, session):
    server.ask("/responses", encoded(session(survey.folder, "R01")))
    connection = sqlite3.connect(tmp_path / "r.sqlite")
    for statement in ("DELETE FROM responses", "UPDATE responses SET rater_id = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
            connection.execute(statement)
    connection.close()


def test_a_post_is_refused_with_a_status_and_a_second_one_is_known(server, survey, session):
    good = session(survey.folder, "R01")
    assert server.ask("/responses", b"[" * 100_000)[0] == 400
    assert server.ask("/responses", b" " * 1_100_000)[0] == 413
    for media_type in ("text/plain", "application/jsonfoo", "application/json-seq", ""):
        assert server.ask("/responses", encoded(good), Content_Type=media_type)[0] == 415, media_type
    for origin in ("http://elsewhere.example", "null", server.base.replace("http", "ftp")):
        assert server.ask("/responses", encoded(good), Origin=origin)[0] == 403
        assert server.ask("/rater", b"", Origin=origin)[0] == 403
    assert server.ask("/responses", encoded(good), Host="elsewhere.example")[0] == 400
    accepted = {"Content_Type": "Application/JSON; charset=utf-8", "Origin": server.base}
    assert server.ask("/responses", encoded(good), **accepted)[0] == 201
    assert server.ask("/responses", encoded(good)) == (409, b"this session has answered already")
    again = session(survey.folder, "R01", session_id="another")
    assert server.ask("/responses", encoded(again)) == (409, b"this rater has answered already")
    assert json.loads(server.ask("/rater", b"", Origin=server.base)[1])["rater"] == 1, "refused posts use up no number"


def test_the_page_is_served_with_parts_of_videos_and_numbers_for_raters(server, survey):
    status, page = server.ask("/")
    assert (status, b"survey.js" in page) == (200, True)
    assert b'"post": "responses"' in server.ask("/server.js")[1]
    media = next((survey.folder / "media").iterdir())
    status, part = server.ask(f"/media/{media.name}", Range="bytes=10-19")
    assert (status, part) == (206, media.read_bytes()[10:20])
    assert [json.loads(server.ask("/rater", b"")[1])["rater"] for _ in range(3)] == [1, 2, 3]
    assert server.ask("/../survey.key.csv")[0] == 404
    assert server.ask("/%2e%2e/survey.key.csv")[0] == 404


def test_every_answer_says_what_the_page_may_load(server, survey):
    media = next((survey.folder / "media").iterdir())
    for path in ("/", "/survey.js", f"/media/{media.name}", "/none", "/%00", "/a" * 3000):
        with suppress(urllib.error.HTTPError):
            answer = urllib.request.urlopen(server.base + path, timeout=120)
            headers = answer.headers
            answer.close()
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert server.ask("/%00")[0] == server.ask("/a" * 3000)[0] == 404


def test_files_of_the_server_are_their_owners_alone_and_one_server_writes_them(server, survey, tmp_path, start_server):
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("r.sqlite*")} == {0o600}
    assert survey.key.stat().st_mode & 0o777 == 0o600
    result = CliRunner().invoke(mos, ["serve", str(survey.folder), "--database", str(tmp_path / "r.sqlite")])
    assert "is in use: bench mos serve is at work there" in str(result.exception)
    inside = survey.folder / "media" / "r.sqlite"
    result = CliRunner().invoke(mos, ["serve", str(survey.folder), "--database", str(inside)])
    assert "lies in the folder that everybody is shown" in str(result.exception)
    assert not inside.exists()


def test_only_this_machine_can_reach_it(server):
    port = server.base.rsplit(":", 1)[1]
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("no table of sockets on this system")
    lines = [line.split()[1] for line in listening.read_text().splitlines()[1:]]
    own = [address for address in lines if address.endswith(f":{int(port):04X}")]
    assert own
    assert all(address.startswith("0100007F:") for address in own)


def test_folders_and_databases_that_are_none(tmp_path, survey):
    result = CliRunner().invoke(mos, ["serve", str(tmp_path)])
    assert "is not a questionnaire" in str(result.exception)
    (tmp_path / "x.sqlite").write_text("no database at all, just text")
    result = CliRunner().invoke(mos, ["serve", str(survey.folder), "--database", str(tmp_path / "x.sqlite")])
    assert "cannot be used as a database" in str(result.exception)
    result = CliRunner().invoke(mos, ["export", str(tmp_path / "none.sqlite")])
    assert "does not exist" in str(result.exception)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_leaves_its_database_alone(survey, tmp_path, start_server, session, how):
    server = Server(*start_server(survey.folder, tmp_path / "r.sqlite"))
    assert server.ask("/responses", encoded(session(survey.folder, "R01")))[0] == 201
    where = ("127.0.0.1", int(server.base.rsplit(":", 1)[1]))
    part = (
        b"POST /responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    with socket.create_connection(where) as gone:
        gone.sendall(part)
    with socket.create_connection(where) as slow:
        slow.sendall(part)
        assert server.ask("/")[0] == 200  # by now it has read that
        server.stop(how)
    assert server.process.returncode == {signal.SIGTERM: 0, signal.SIGINT: 130}[how]
    assert {path.name for path in tmp_path.iterdir()} == {"r.sqlite", "r.log"}
    assert "Traceback" not in (tmp_path / "r.log").read_text()


@pytest.mark.parametrize("target", ["sureal", "p808"])
def test_exported_to_another_tool_and_read_again(tmp_path, target):
    file, out = tmp_path / "r.csv", tmp_path / f"other.{'json' if target == 'sureal' else 'csv'}"
    CliRunner().invoke(mos, ["simulate", "--out", str(file), "--raters", "4", "--clips", "3"])
    result = CliRunner().invoke(mos, ["export", str(file), "--to", target])
    assert "--dimension" in str(result.exception)
    command = ["export", str(file), "--to", target, "--dimension", "SI", "--out", str(out)]
    assert CliRunner().invoke(mos, command).exit_code == 0
    for ratings, extra, folder in ((file, [], "a"), (out, ["--form", target, "--dimension", "SI"], "b")):
        result = CliRunner().invoke(mos, ["--ratings", str(ratings), *extra, "--out", str(tmp_path / folder)])
        assert result.exit_code == 0, result.exception

    def si(folder: str) -> dict[str, str]:
        with (tmp_path / folder / "mos.csv").open() as handle:
            return {r["system"]: (r["mean"], r["half"]) for r in csv.DictReader(handle) if r["dimension"] == "SI"}

    assert si("a") == si("b")
