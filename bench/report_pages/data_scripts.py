"""Data for pages that are opened from disk, where a browser reads no JSON: scripts that hand it over when loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visaudio_bench.escapes import script_json
from visaudio_bench.files import write_text


def write_data(path: Path, name: str, value: Any) -> None:
    """Write a script that gives the pages a value.

    Args:
        path: of the script.
        name: by which the pages wait for it.
        value: JSON-able; a NaN is an error, because missing values are null here.
    """
    write_text(path, f"REPORT.add({script_json(name)}, {script_json(value)});\n")
