"""What the page posts when a rater has finished."""

import json
from pathlib import Path
from typing import Any

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
