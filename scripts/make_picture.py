"""Draws the first table of a run as the terminal shows it, for the README: docs/images/leaderboard.svg.

`make tables` does it, of the default run, and keeps what the table was computed from in tests/golden/simroom, so that a
test sees when the picture is no longer what the program shows.

python -m visaudio_bench run --out runs/simroom
python scripts/make_picture.py runs/simroom
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from visaudio_bench.bench.evaluation.recomputation import recompute
from visaudio_bench.leaderboards.tables import render

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "leaderboard.svg"
KEPT = ROOT / "tests" / "golden" / "simroom"
# rich would have viewers fetch a font from elsewhere; theirs does as well, because every word is given its width
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code", "monospace")


def picture(run: Path) -> str:
    """The picture of `run`'s first table, as SVG."""
    shown = Text.from_ansi(render(recompute(run)[0][:1], "text", colour=True).rstrip())
    lines = shown.split()
    console = Console(file=io.StringIO(), record=True, width=max(line.cell_len for line in lines) + 1)
    console.print(shown, "\n", soft_wrap=True)
    svg = console.export_svg(title="bench run", code_format=FORMAT, unique_id="leaderboard")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main(run: Path) -> None:
    """Write the picture, and keep what it was computed from."""
    body = json.loads((run / "results.json").read_text(encoding="utf-8"))
    origin = {key: body["provenance"][key] for key in ("seed", "protocol")}  # nothing of the machine
    kept = {**body, "provenance": origin, "results": [], "comparisons": []}
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "results.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (KEPT / "clips.csv.gz").write_bytes(gzip.compress((run / "clips.csv").read_bytes(), mtime=0))
    PICTURE.write_text(picture(run), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
