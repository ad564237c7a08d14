"""What the page posts when a rater has finished."""

import json
from pathlib import Path
from typing import Any

from visaudio_bench.bench.mos.questions import COLUMNS


def whole_session(folder: Path, rater: str, **changes: object) -> dict[str, Any]:
    """A session as the page posts it; `changes` stand in every row."""
    data = json.loads((folder / "survey.json").read_text())
    compared = data["design"] == "preference"
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
                    "rating": -30 if data["design"] == "localisation" else 1 - order % 3 if compared else 1 + slot % 5,
                    "played_ratio": "0.983",
                    "listening_device": "over-ear headphones",
                    "timestamp_utc": "2026-01-31T12:00:00.123Z",
                }
                rows.append([(row | changes)[name] for name in COLUMNS])
    return {"columns": list(COLUMNS), "rows": rows}
