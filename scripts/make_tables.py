"""Prints the tables of statistics anew and puts them into the manual; `make tables` does it, and draws the picture.

A table is known by its first line. Benchmarks take minutes, all at once; what they print while they work is shown.
Names behind the command choose some of them: `python scripts/make_tables.py opinions`.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATISTICS = ROOT / "docs" / "statistics.md"
# Benchmark -> the page that holds its tables.
PAGES = {
    "statistics_coverage": STATISTICS,
    "statistics_separation": STATISTICS,
    "opinions": STATISTICS,
    "designs": ROOT / "docs" / "listening-tests.md",
}


def tables(text: str) -> list[list[str]]:
    """The Markdown tables of a text, their lines."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def replaced(page: str, printed: str) -> str:
    """The page with each of its tables that was printed anew.

    Raises:
        ValueError: the page has no table that begins as a printed one does.
    """
    places = {table[0]: "\n".join(table) for table in tables(page)}
    for table in tables(printed):
        if table[0] not in places:
            raise ValueError(f"the page has no table {table[0]}")
        page = page.replace(places[table[0]], "\n".join(table))
    return page


def printed_by(name: str) -> str:
    """Everything that a benchmark prints, which is shown as it comes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    lines = []
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(lines)


def main() -> None:
    """Run the benchmarks, and write the pages."""
    names = sys.argv[1:] or list(PAGES)
    with ThreadPoolExecutor() as threads:
        told = list(threads.map(printed_by, names))
    for page, printed in zip((PAGES[name] for name in names), told, strict=True):
        page.write_text(replaced(page.read_text(encoding="utf-8"), printed), encoding="utf-8")


if __name__ == "__main__":
    main()
