"""Texts of strangers in every place of every format: they stay texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from visaudio_bench.bench.console import note
from visaudio_bench.escapes import csv_cell, csv_meaning
from visaudio_bench.leaderboards.html_page import page
from visaudio_bench.leaderboards.schema import ClipRow, read_clip_rows, write_clip_rows
from visaudio_bench.leaderboards.tables import FORMATS, Cell, Column, Table, TableRow, render
from visaudio_bench.suites.construction.dataset import BuiltDataset
from visaudio_bench.suites.construction.statistics import write_statistics
from visaudio_bench.suites.datasets import Reject

from ..nasty import NASTY, Tags, harmless, no_formulas


def table(text: str) -> Table:
    """With the text wherever a text can be."""
    cell = Cell(text, 1.0, 0.5, 1.5, "best", text)
    columns = (Column("key", text, text, "higher"), Column(text, "title", left=True))
    rows = (TableRow(text, (cell, Cell("–", reason=text)), text), TableRow("other", (cell, cell), "group"))
    return Table(text, columns, rows, text, (text, f"note {text}"))


HARMLESS = table("harmless")


@pytest.mark.parametrize("text", NASTY)
def test_no_format_acts_on_a_text(text: str) -> None:
    for form in FORMATS:
        harmless(form, render([table(text)], form))
    assert "\x1b" not in render([table(text)], "text")


@pytest.mark.parametrize("text", NASTY)
def test_latex_holds_no_command_of_a_stranger(text: str) -> None:
    ours = set(re.findall(r"\\[A-Za-z]+", render([HARMLESS], "tex"))) | {r"\textbackslash", r"\textasciicircum"}
    ours |= {r"\textasciitilde", r"\textbar"}
    shown = render([table(text)], "tex")
    body = [line for line in shown.splitlines() if not line.startswith("%")]
    assert len(shown.splitlines()) == len(render([HARMLESS], "tex").splitlines())
    assert {word for line in body for word in re.findall(r"\\[A-Za-z]+", line)} <= ours
    assert "^^" not in "\n".join(body)


@pytest.mark.parametrize("text", NASTY)
def test_markdown_holds_no_tag_and_no_link(text: str) -> None:
    shown = render([table(text)], "md")
    assert not re.sub(r"</?u>", "", shown).count("<")
    assert len(shown.splitlines()) == len(render([HARMLESS], "md").splitlines())
    assert not re.search(r"(?<!\\)[\[\]`]", shown)
    rows = [re.sub(r"\\.", "", line) for line in shown.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {4}


@pytest.mark.parametrize("text", NASTY)
def test_no_spreadsheet_calculates_a_text(text: str) -> None:
    no_formulas(render([table(text)], "csv"))
    assert csv_meaning(csv_cell(text)) == csv_meaning(csv_cell(csv_meaning(csv_cell(text))))
    assert [csv_cell(one) for one in ("-dash", "-3.1 ±0.2", "+0.5", "a=b", "it's")] == [
        "-dash", "-3.1 ±0.2", "+0.5", "a=b", "it's",
    ]  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_json_says_what_the_text_was(text: str) -> None:
    (told,) = json.loads(render([table(text)], "json"))
    assert (told["title"], told["rows"][0]["cells"]["key"]["reason"]) == (text, text)


@pytest.mark.parametrize("text", NASTY)
def test_pages_have_our_tags_alone(text: str, tmp_path: Path) -> None:
    shown = page([table(text)], text)
    shown.encode()
    assert Tags(shown).found == Tags(page([HARMLESS], "harmless")).found
    pages = []
    for folder, said in (("theirs", text), ("ours", "harmless")):
        write_statistics(tmp_path / folder, BuiltDataset([], [Reject("clip", said, said)], {}))
        pages.append((tmp_path / folder / "index.html").read_text(encoding="utf-8"))
    assert Tags(pages[0]).found == Tags(pages[1]).found


@pytest.mark.parametrize("text", NASTY)
def test_notes_move_no_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    note(f"left out: {text}")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e]", capsys.readouterr().err)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    reasons = [text for text in NASTY if text == csv_meaning(csv_cell(text))]
    names = ("=1+1", "@home", "-dash", "'=1", "+a(b)")
    rows = [ClipRow("s", "x", name, f"m{n}", "v", None, "missing", why)
            for name in names for n, why in enumerate(reasons)]  # fmt: skip
    write_clip_rows(tmp_path, rows)
    no_formulas((tmp_path / "clips.csv").read_text(encoding="utf-8"))
    read = read_clip_rows(tmp_path / "clips.csv")
    assert read.column("clip").tolist() == [row.clip for row in rows]
    assert read.column("reason").tolist() == [row.reason for row in rows]
    assert [row["clip"] for row in pq.read_table(tmp_path / "clips.parquet").to_pylist()] == [row.clip for row in rows]
