"""Show a questionnaire on a lab machine and collect its responses.

The folder is served as it is; only `server.js` differs, which tells the page where to send responses and to ask for a
rater number, so that orders rotate. Responses go into SQLite, one row a session, written to the disk before the page
is told that they arrived, and never changed: triggers refuse updates and deletions. What does not fit the
questionnaire is refused with a reason, and so is a second post of the same session or rater.

Only this machine can reach it unless `host` says otherwise. Answering takes no password: on an open network anybody
could answer, 120 times a minute from one address. Addresses are kept in memory for that minute, and nowhere else.
Answers leave by `bench mos export` on this machine, and at `/responses.csv` for who has the password, where one was
given.

A page that lies elsewhere (a static copy made with `--post`, or this server behind another one) may post where its
origin is named with `origins`. Where people who are elsewhere can answer, they are asked for their consent in the words
of the study.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.mos.session import RefusedError, Vote, check_session, require_survey
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import read_json
from visaudio_bench.lock import hold

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT = 1_000_000  # bytes of one post; a session of the paper's design has 40 kB
# The page's own scripts, styles, sounds and videos, and nothing else: neither in a frame nor from elsewhere.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PATIENCE = 1  # s that requests have to end when the server is told to: people wait for two
POSTS_A_MINUTE = 120  # from one address: a room of raters behind one router
SHORTEST = 12  # characters of a password
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


def connect(database: Path) -> sqlite3.Connection:
    """Open or make the database, for its owner alone; a commit is on the disk when it returns.

    Raises:
        BenchError: the file is not such a database, or cannot be written.
    """
    try:
        # SQLite gives the files that it keeps beside the database the rights of the database.
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        database.chmod(0o600)
    except OSError as error:
        raise BenchError(f"{database} cannot be written: {error.strerror}. Choose another: --database FILE") from error
    try:
        connection = sqlite3.connect(database, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(TABLES)
    except sqlite3.Error as error:
        raise BenchError(f"{database} cannot be used as a database of responses: {error}.") from error
    return connection


def store(connection: sqlite3.Connection, votes: list[Vote]) -> None:
    """Add one session, for good.

    Args:
        connection: to the database of responses.
        votes: all of one session, checked.

    Raises:
        RefusedError: the session or the rater is there already, or it cannot be kept.
    """
    first = votes[0]
    try:
        with _kept(connection):
            connection.execute(
                "INSERT INTO responses (received, study_id, session_id, rater_id, body) VALUES (?, ?, ?, ?, ?)",
                (_now(), first["study_id"], first["session_id"], first["rater_id"], json.dumps(votes)),
            )
    except sqlite3.IntegrityError as error:
        # A page that did not hear our answer posts again, and must learn that the first post is safe.
        same = connection.execute("SELECT 1 FROM responses WHERE session_id = ?", (first["session_id"],)).fetchone()
        raise RefusedError(409, f"this {'session' if same else 'rater'} has answered already") from error


def number_of_rater(connection: sqlite3.Connection) -> int:
    """A number that no other rater has.

    Raises:
        RefusedError: it cannot be kept.
    """
    with _kept(connection):
        return int(connection.execute("INSERT INTO raters (given) VALUES (?)", (_now(),)).lastrowid or 0)


@contextmanager
def _kept(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction; what the disk refuses is said to whoever asked, and the server goes on."""
    try:
        with connection:
            yield
    except sqlite3.OperationalError as error:
        raise RefusedError(
            507, f"the server could not keep this ({error}); nothing was stored. Tell whoever runs the test"
        ) from error


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def application(
    survey_folder: Path, database: Path, host: str, origins: Sequence[str] = (), password: str = ""
) -> Starlette:
    """Make the server as a Starlette application.

    Args:
        survey_folder: of the questionnaire.
        database: of the responses; made where it does not exist.
        host: the address that is listened at; on that of this machine, other names for it are refused.
        origins: pages elsewhere, scheme and host, that may post as its own page does.
        password: for who may take the answers away; none for nobody.

    Returns:
        The application; it closes the database when it ends.

    Raises:
        UsageError: the folder is not a questionnaire, an origin is none, the password is short, or people elsewhere can
            answer whom nobody asks for their consent.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    hosts = [_host_of(origin) for origin in origins]
    survey = read_survey(survey_folder)
    _require_consent(survey, survey_folder, host, origins)
    if password and len(password) < SHORTEST:
        raise UsageError(f"a password of {SHORTEST} characters or more was expected, this one has {len(password)}.")
    limit = _Limit()
    connection = connect(database)
    lock = asyncio.Lock()

    async def responses(request: Request) -> Response:
        _from_our_page(request, origins)
        limit.count(request)
        votes = check_session(await _json_body(request), survey)
        async with lock:
            store(connection, votes)
        print(f"received: rater {votes[0]['rater_id']}, {len(votes)} votes", file=sys.stderr, flush=True)
        return PlainTextResponse("received", 201)

    async def rater(request: Request) -> Response:
        _from_our_page(request, origins)
        limit.count(request)
        async with lock:
            return JSONResponse({"rater": number_of_rater(connection)})

    async def answers(request: Request) -> Response:
        from visaudio_bench.bench.mos.response_export import (
            export_text,  # what it needs would delay the start of every server
        )

        limit.count(request)
        if not _knows(request, password):
            return PlainTextResponse("the password, please", 401, {"WWW-Authenticate": 'Basic realm="answers"'})
        try:
            exported = await run_in_threadpool(export_text, database, "long")
        except UsageError:
            return PlainTextResponse("no responses yet", 404)
        print(f"exported: {exported.votes} votes", file=sys.stderr, flush=True)
        told = {"Content-Disposition": "attachment; filename=responses.csv", "Cache-Control": "no-store"}
        return PlainTextResponse(exported.text, media_type="text/csv", headers=told)

    async def refused(request: Request, error: Exception) -> Response:
        del request
        assert isinstance(error, RefusedError)
        print(f"refused: {error}", file=sys.stderr, flush=True)
        return PlainTextResponse(str(error), error.status)

    async def server_js(request: Request) -> Response:
        del request
        text = 'window.SERVER = {"post": "responses", "rater": "rater"};\n'
        return PlainTextResponse(text, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    @asynccontextmanager
    async def closed_at_the_end(app: Starlette) -> AsyncIterator[None]:
        """Then all answers are in the one file, which people copy, and not beside it."""
        del app
        with closing(connection):
            yield

    allowed = [*LOOPBACK, f"[{LOOPBACK[-1]}]", *hosts] if host in LOOPBACK else ["*"]
    return Starlette(
        routes=[
            Route("/responses", responses, methods=["POST"]),
            Route("/rater", rater, methods=["POST"]),
            Route("/server.js", server_js),
            *([Route("/responses.csv", answers)] if password else []),
            Mount("/", StaticFiles(directory=survey_folder, html=True)),
        ],
        exception_handlers={RefusedError: refused},
        lifespan=closed_at_the_end,
        middleware=[
            Middleware(_Headers),
            # A page of another site that resolves its own name to this machine would otherwise reach the server.
            Middleware(TrustedHostMiddleware, allowed_hosts=allowed),
            Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["POST"], allow_headers=["Content-Type"]),
        ],
    )


class _Headers:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        try:
            await self.app(scope, receive, with_headers)
        except asyncio.CancelledError:
            print("stopped while a request was under way; it has had no answer", file=sys.stderr, flush=True)


def _require_consent(survey: dict[str, Any], folder: Path, host: str, origins: Sequence[str]) -> None:
    """A lab's machine is shown by who can ask in person; people elsewhere read what they agree to.

    Raises:
        UsageError: the page has no words of the study.
    """
    if (host not in LOOPBACK or origins) and not survey.get("consent"):
        raise UsageError(
            f"people elsewhere can answer, and {folder} does not ask for their consent in your words. Make it with: "
            "bench mos page ... --consent FILE"
        )


def _knows(request: Request, password: str) -> bool:
    """Whether who asks has given the password, under any name."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        told = base64.b64decode(given, validate=True).partition(b":")[2]
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(told, password.encode())


def _host_of(origin: str) -> str:
    """The host of an origin such as https://example.org.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"https?://(?P<host>[A-Za-z0-9.-]+)(:[0-9]{1,5})?", origin)
    if match is None:
        raise UsageError(f'"{origin}" is not the origin of a page; one such as https://example.org was expected.')
    return match["host"]


class _Limit:
    """How often each address has posted in the last minute; kept in memory, and only that long."""

    def __init__(self) -> None:
        self.recent: dict[str, list[float]] = {}

    def count(self, request: Request) -> None:
        """Count a post.

        Raises:
            RefusedError: it is one too many.
        """
        now = time.monotonic()
        self.recent = {who: kept for who, when in self.recent.items() if (kept := [t for t in when if now - t < 60])}
        mine = self.recent.setdefault(request.client.host if request.client else "", [])
        if len(mine) >= POSTS_A_MINUTE:
            raise RefusedError(429, "too many posts in a minute; wait a moment, and send the answers again")
        mine.append(now)


def _from_our_page(request: Request, origins: Sequence[str]) -> None:
    """Refuse what a page of another address sends; a browser says where a post comes from.

    Raises:
        RefusedError: it comes from elsewhere.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}", *origins):
        raise RefusedError(403, "posts come from the questionnaire itself")


async def _json_body(request: Request) -> bytes:
    """The body of a post of JSON, up to the limit.

    Raises:
        RefusedError: another media type, or too long.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusedError(415, "application/json was expected")
    from starlette.requests import ClientDisconnect

    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LIMIT:
                raise RefusedError(413, f"more than {LIMIT} bytes")
    except ClientDisconnect:
        raise RefusedError(400, "the connection ended before the answers did") from None
    return body


def read_survey(folder: Path) -> dict[str, Any]:
    """What a questionnaire asks, of which answers are compared with it.

    Args:
        folder: of the questionnaire.

    Returns:
        What its `survey.json` says.

    Raises:
        UsageError: it is not a questionnaire, or damaged.
    """
    try:
        survey: dict[str, Any] = read_json(folder / "survey.json")
        require_survey(survey)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is not a questionnaire: {error}. Make one with: bench mos page") from error
    return survey


def serve_survey(
    folder: Path, host: str, port: int, database: Path, origins: Sequence[str] = (), password: str = ""
) -> None:
    """Serve until interrupted.

    Args:
        folder: of the questionnaire.
        host: address to listen at.
        port: 0 for any free one.
        database: of the responses; outside of `folder`, which everybody is shown.
        origins: pages elsewhere, scheme and host, that may post.
        password: for who may take the answers away; none for nobody.

    Raises:
        UsageError: not a questionnaire, or one that does not ask people elsewhere for their consent, a short password,
            the database lies in its folder, another server writes it, or the extra `mos` is not installed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise UsageError('the server needs two more packages: pip install "visaudio-bench[mos]"') from error
    if database.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{database} lies in the folder that everybody is shown. Choose another: --database FILE")
    with hold(database.parent, "bench mos serve", name=f".{database.name}.in-use", otherwise="--database FILE"):
        _serve(uvicorn, application(folder, database, host, origins, password), host, port, database)


def _serve(uvicorn: ModuleType, app: Starlette, host: str, port: int, database: Path) -> None:
    if host not in LOOPBACK:
        print(f"warning: everybody who reaches this machine at {host}:{port} can answer", file=sys.stderr)
    with _listen(host, port) as listener:
        where = f"http://{host}:{listener.getsockname()[1]}/"
        print(f"{where}  responses go to {database}; stop with Ctrl-C", file=sys.stderr, flush=True)
        # uvicorn ends its work on SIGTERM, and then has the signal end the process as if it had not been caught.
        signal.signal(signal.SIGTERM, _stopped)
        config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=PATIENCE)
        uvicorn.Server(config).run(sockets=[listener])


def _stopped(number: int, frame: FrameType | None) -> None:
    """Told to stop, as a server is: it gives its folder back and ends well."""
    del number, frame
    raise SystemExit(0)


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
