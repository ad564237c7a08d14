"""Terminals of 80 and of 200 columns: no line is wider, and no word or number that is printed elsewhere is cut."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ...conftest import Bench, Told

KEPT = Path(__file__).resolve().parents[2] / "golden" / "simroom"
RULES = set("─━")
OTHER = "another-system-with-a-long-name"


@pytest.fixture
def folder(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the embedded suite as it was kept, and the votes of a listening test."""
    (tmp_path / "run").mkdir()
    shutil.copy(KEPT / "results.json", tmp_path / "run")
    (tmp_path / "run" / "clips.csv").write_bytes(gzip.decompress((KEPT / "clips.csv.gz").read_bytes()))
    monkeypatch.chdir(tmp_path)
    systems = f"audiox,thinksound,visage,{OTHER},visaudio"
    assert bench("mos", "simulate", "--systems", systems, "--clips", 3, "--raters", 5, "--out", "votes.csv").code == 0
    return tmp_path


@pytest.fixture
def terminal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """`bench` in a terminal of so many columns, without its colours; of none, where a file takes its place."""

    def run(columns: int | None, *arguments: object) -> Told:
        with monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(columns or 80))
            for stream in (sys.stdout, sys.stderr):
                patched.setattr(stream, "isatty", lambda: columns is not None)
            told = bench(*arguments)
        return told._replace(out=click.unstyle(told.out), err=click.unstyle(told.err))

    return run


def _words(text: str) -> set[str]:
    return {word for word in text.split() if set(word) - RULES}


@pytest.mark.parametrize(
    "arguments",
    [
        ("mos", "--ratings", "votes.csv", "--show", "all", "--ci", "crossed,paper", "--out", "mos"),
        ("mos", "--ratings", "votes.csv", "--test", "fixed-clips", "--out", "mos"),
        ("compare", "motion-pan", "visaudio-tiny", "--run", "run"),
        ("leaderboard", "run"),
        ("leaderboard",),
        ("report", "run"),
        ("report", "run", "--summary"),
        ("run", "--dry-run", "--suite", "simroom-mini,biaudio", "--metric", "all"),
        ("list", "systems"),
        ("list", "metrics", "-v"),
        ("weights", "list"),
        ("systems", "list"),
        ("data", "list"),
    ],
    ids=" ".join,
)
def test_nothing_is_cut_in_a_terminal(folder: Path, terminal: Callable[..., Told], arguments: tuple[str, ...]) -> None:
    plain = terminal(None, *arguments)
    assert plain.code == 0, plain.err
    for columns in (80, 200):
        shown = terminal(columns, *arguments)
        if keep := os.environ.get("SHOW_TERMINALS"):
            path = Path(keep) / f"{'_'.join(arguments).replace('/', '_')[:60]}-{columns}.txt"
            path.write_text(shown.out + "\n--- stderr\n" + shown.err)
        assert shown.code == 0
        assert max(map(len, shown.out.splitlines()), default=0) <= columns
        assert "…" not in shown.out
        assert _words(plain.out) <= _words(shown.out)
        assert _words(plain.err) <= _words(shown.err)
        if "--dry-run" in arguments:  # a command is to be copied, and stays on one line, however long
            assert all(len(line) <= columns or " bench " in line for line in shown.err.splitlines())
