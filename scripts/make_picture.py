"""Draws the first table of a run as the terminal shows it, for the README: docs/images/leaderboard.svg.

python -m visaudio_bench run --out runs/simroom
python scripts/make_picture.py runs/simroom
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

from visaudio_bench.bench.evaluation.recomputation import recompute
from visaudio_bench.leaderboards.tables import render

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "leaderboard.svg"
# rich would have viewers fetch a font from elsewhere; theirs does as well, because every word is given its width
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code", "monospace")


def main(run: Path) -> None:
    """Write the picture of `run`'s first table."""
    shown = Text.from_ansi(render(recompute(run)[0][:1], "text", colour=True).rstrip())
    lines = shown.split()
    console = Console(file=io.StringIO(), record=True, width=max(line.cell_len for line in lines) + 1)
    console.print(shown, "\n", soft_wrap=True)
    svg = console.export_svg(title="bench run", code_format=FORMAT, unique_id="leaderboard")
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
