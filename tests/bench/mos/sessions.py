"""What the page posts when a rater has finished, and a server without a socket to post it to."""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

from visaudio_bench.bench.mos.questions import COLUMNS, COMPARED


def whole_session(folder: Path, rater: str, **changes: object) -> dict[str, Any]:
    """A session as the page posts it; `changes` stand in every row."""
    data = json.loads((folder / "survey.json").read_text())
    compared = data["design"] in COMPARED
    rows = []
    for order, group in enumerate(data["groups"][: data["per_rater"] or None], 1):
        for slot, code in enumerate(group["samples"][:1] if compared else group["samples"], 1):
            for dimension in data["dimensions"]:
                row = dict.fromkeys(COLUMNS, "") | {
                    "study_id": data["study_id"],
                    "session_id": f"s{rater}",
                    "rater_id": rater,
                    "group_id": group["id"],
                    "clip_id": group["clip"],
                    "suite": data["suite"],
                    "system": code,
                    "compared_with": group["samples"][1] if compared else "",
                    "slot": slot,
                    "group_order": order,
                    "dimension": dimension["key"],
                    "rating": _rating(data["design"], order, slot),
                    "played_ratio": "0.983",
                    "listening_device": "over-ear headphones",
                    "timestamp_utc": "2026-01-31T12:00:00.123Z",
                }
                rows.append([(row | changes)[name] for name in COLUMNS])
    return {"columns": list(COLUMNS), "rows": rows}


def _rating(design: str, order: int, slot: int) -> int:
    own = {"localisation": -30, "preference": 1 - order % 3, "matching": 1 - 2 * (order % 2)}
    return own.get(design, 1 + slot % 5)


class Answer(NamedTuple):
    """What an application answers."""

    status: int
    text: str
    headers: dict[str, str]


def ask(
    app: Any, path: str, body: bytes = b"", method: str = "POST", address: str = "127.0.0.1", **headers: str
) -> Answer:
    """One request to an application, from an address."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    told = {"host": "127.0.0.1", "content-type": "application/json", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(app({**scope, "headers": raw, "root_path": "", "client": (address, 1)}, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode(), told)
