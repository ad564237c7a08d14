"""Show a questionnaire on a lab machine and collect its responses.

The folder is served as it is; only `server.js` differs, which tells the page where to send responses and to ask for a
rater number, so that orders rotate. Responses go into SQLite, one row a session, written to the disk before the page
is told that they arrived, and never changed: triggers refuse updates and deletions. What does not fit the
questionnaire is refused with a reason, and so is a second post of the same session or rater.

Only this machine can reach it unless `host` says otherwise. There is no password: on an open network anybody could
answer.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import re
import socket
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LIMIT = 1_000_000  # bytes of one post; a session of the paper's design has 40 kB
LONGEST = 200
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    id INTEGER PRIMARY KEY,
    received TEXT NOT NULL,
    study_id TEXT NOT NULL,
    session_id TEXT NOT NULL UNIQUE,
    rater_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS raters (number INTEGER PRIMARY KEY AUTOINCREMENT, given TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS responses_stay BEFORE UPDATE ON responses
    BEGIN SELECT RAISE(ABORT, 'responses are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS responses_last BEFORE DELETE ON responses
    BEGIN SELECT RAISE(ABORT, 'responses are only ever added'); END;
"""


class RefusedError(Exception):
    """A post that is not kept, with its HTTP status."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


def connect(database: Path) -> sqlite3.Connection:
    """Open or make the database; a commit is on the disk when it returns.

    Raises:
        BenchError: the file is not such a database.
    """
    try:
        connection = sqlite3.connect(database, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(TABLES)
    except sqlite3.Error as error:
        raise BenchError(f"{database} cannot be used as a database of responses: {error}.") from error
    return connection


def check_post(body: bytes, survey: Mapping[str, Any]) -> list[dict[str, str]]:
    """The votes of a post, one a row, if they are exactly one session of this questionnaire.

    Raises:
        RefusedError: anything else, with what is wrong.
    """
    try:
        value = json.loads(body)
        columns, rows = value["columns"], value["rows"]
        if columns != list(COLUMNS) or not isinstance(rows, list):
            raise TypeError
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, RecursionError):
        raise RefusedError(400, "not a session: an object with columns and rows was expected") from None
    votes = [_vote(row, survey) for row in rows]
    expected = {
        (code, dimension["key"])
        for group in survey["groups"]
        for code in group["samples"]
        for dimension in survey["dimensions"]
    }
    given = [(vote["system"], vote["dimension"]) for vote in votes]
    if len(given) != len(set(given)) or set(given) != expected:
        raise RefusedError(400, f"{len(set(given))} different votes, the questionnaire has {len(expected)}")
    for name in ("session_id", "rater_id"):
        names = {vote[name] for vote in votes}
        if len(names) != 1 or not NAME.fullmatch(names.pop()):
            raise RefusedError(400, f"{name}: one name of letters, digits, - and _ was expected")
    return votes


def _vote(row: Any, survey: Mapping[str, Any]) -> dict[str, str]:
    if not isinstance(row, list) or len(row) != len(COLUMNS):
        raise RefusedError(400, f"a row of {len(COLUMNS)} values was expected")
    if not all(isinstance(value, str | int | float) and len(str(value)) <= LONGEST for value in row):
        raise RefusedError(400, f"values are numbers or texts of up to {LONGEST} characters")
    vote = {name: str(value) for name, value in zip(COLUMNS, row, strict=True)}
    low, high = survey["scale"]
    if not vote["rating"].isdecimal() or not low <= int(vote["rating"]) <= high:
        raise RefusedError(400, f"a rating is an integer from {low} to {high}")
    if vote["study_id"] != survey["study_id"]:
        raise RefusedError(400, "this is another study")
    return vote


def store(connection: sqlite3.Connection, votes: list[dict[str, str]]) -> None:
    """Add one session, for good.

    Raises:
        RefusedError: the session or the rater is there already.
    """
    first = votes[0]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        with connection:
            connection.execute(
                "INSERT INTO responses (received, study_id, session_id, rater_id, body) VALUES (?, ?, ?, ?, ?)",
                (now, first["study_id"], first["session_id"], first["rater_id"], json.dumps(votes)),
            )
    except sqlite3.IntegrityError as error:
        # A page that did not hear our answer posts again, and must learn that the first post is safe.
        same = connection.execute("SELECT 1 FROM responses WHERE session_id = ?", (first["session_id"],)).fetchone()
        raise RefusedError(409, f"this {'session' if same else 'rater'} has answered already") from error


def application(survey_folder: Path, database: Path, host: str) -> Starlette:
    """The server as a Starlette application.

    Raises:
        UsageError: the folder is not a questionnaire.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    survey = _survey(survey_folder)
    connection = connect(database)
    lock = asyncio.Lock()

    async def responses(request: Request) -> Response:
        try:
            body = await _body(request)
            votes = check_post(body, survey)
            async with lock:
                store(connection, votes)
        except RefusedError as refused:
            print(f"refused: {refused}", file=sys.stderr, flush=True)
            return PlainTextResponse(str(refused), refused.status)
        print(f"received: rater {votes[0]['rater_id']}, {len(votes)} votes", file=sys.stderr, flush=True)
        return PlainTextResponse("received", 201)

    async def rater(request: Request) -> Response:
        del request
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        async with lock:
            with connection:
                number = connection.execute("INSERT INTO raters (given) VALUES (?)", (now,)).lastrowid
        return JSONResponse({"rater": number})

    async def server_js(request: Request) -> Response:
        del request
        text = 'window.SERVER = {"post": "responses", "rater": "rater"};\n'
        return PlainTextResponse(text, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    allowed = [*LOOPBACK, f"[{LOOPBACK[-1]}]"] if host in LOOPBACK else ["*"]
    return Starlette(
        routes=[
            Route("/responses", responses, methods=["POST"]),
            Route("/rater", rater, methods=["POST"]),
            Route("/server.js", server_js),
            Mount("/", StaticFiles(directory=survey_folder, html=True)),
        ],
        # A page of another site that resolves its own name to this machine would otherwise reach the server.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed)],
    )


async def _body(request: Request) -> bytes:
    """The body of a post from our own page, up to the limit."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise RefusedError(403, "posts come from the questionnaire itself")
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise RefusedError(415, "JSON was expected")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LIMIT:
            raise RefusedError(413, f"more than {LIMIT} bytes")
    return body


def _survey(folder: Path) -> dict[str, Any]:
    try:
        survey: dict[str, Any] = json.loads((folder / "survey.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{folder} is not a questionnaire: {error}. Make one with: bench mos page") from error
    return survey


def serve_survey(folder: Path, host: str, port: int, database: Path) -> None:
    """Serve until interrupted.

    Raises:
        UsageError: not a questionnaire, or the extra `mos` is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UsageError('the server needs two more packages: pip install "visaudio-bench[mos]"') from error
    app = application(folder, database, host)
    if host not in LOOPBACK:
        print(f"warning: everybody who reaches this machine at {host}:{port} can answer", file=sys.stderr)
    with _listen(host, port) as listener:
        where = f"http://{host}:{listener.getsockname()[1]}/"
        print(f"{where}  responses go to {database}; stop with Ctrl-C", file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False)).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        BenchError: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BenchError(f"cannot listen at {host}:{port}: {error.strerror}. Try another --port.") from error
    return listener
