"""One table in five formats."""

import csv
import io
import json

from visaudio_bench.leaderboards.html_page import page
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow, render

TABLE = Table(
    "suite · 2 clips",
    (Column("a", "LR-Acc", "%", "higher"), Column("b", "ΔILD", "dB", "lower")),
    (
        TableRow("Reference", (Cell("100.0", 100.0), Cell("0.00", 0.0)), "anchors"),
        TableRow("my_model & co", (Cell("80.0 ±5.0", 80.0, 75.0, 85.0, "best"), Cell("–", reason="silent")), "systems"),
        TableRow("other", (Cell("70.5", 70.5, mark="second"), Cell("1.25", 1.25)), "systems"),
    ),
    notes=("50 % is chance | here.",),
)


def test_text_shows_every_cell_and_note() -> None:
    text = render([TABLE], "text")
    assert text.splitlines()[0].strip() == "suite · 2 clips"
    for word in ("LR-Acc ↑", "ΔILD ↓", "my_model & co", "80.0 ±5.0", "50 % is chance | here."):
        assert word in text
    assert "\x1b" not in text
    assert "\x1b[1m80.0 ±5.0" in render([TABLE], "text", colour=True)


def test_markdown_escapes_and_marks() -> None:
    lines = render([TABLE], "md").splitlines()
    assert lines[2] == "| system | LR-Acc ↑ % | ΔILD ↓ dB |"
    assert "| my\\_model & co | **80.0 ±5.0** | – |" in lines
    assert "| other | <u>70.5</u> | 1.25 |" in lines
    assert all(line.replace("\\|", "").count("|") == 4 for line in lines if line.startswith("|"))


def test_latex_is_booktabs_with_a_rule_between_groups() -> None:
    text = render([TABLE], "tex")
    assert r"my\_model \& co & \textbf{80.0 $\pm$5.0} & -- \\" in text
    assert r"other & \underline{70.5} & 1.25 \\" in text
    assert text.count(r"\midrule") == 2
    assert r"LR-Acc $\uparrow$ & $\Delta$ILD $\downarrow$ \\" in text
    assert r"50 \% is chance" not in text.replace("% 50", "")  # notes are comments


def test_csv_and_json_carry_exact_values_marks_and_reasons() -> None:
    rows = list(csv.DictReader(io.StringIO(render([TABLE], "csv"))))
    assert [row["row"] for row in rows].count("") == 1, "the note"
    assert len(rows) == 6 + 1
    empty = next(row for row in rows if row["row"] == "my_model & co" and row["column"] == "b")
    assert (empty["value"], empty["reason"]) == ("", "silent")
    (table,) = json.loads(render([TABLE], "json"))
    cell = table["rows"][1]["cells"]["a"]
    assert cell == {"text": "80.0 ±5.0", "value": 80.0, "low": 75.0, "high": 85.0, "mark": "best", "reason": "",
                    "optimised": False}  # fmt: skip
    assert table["rows"][1]["cells"]["b"]["value"] is None


def test_the_page_is_one_file_with_every_cell_and_its_reason() -> None:
    from html.parser import HTMLParser

    seen: list[str] = []
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            seen.append(data.strip())

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(f"{tag} {dict(attrs)}")

    Reader().feed(page([TABLE], "a <run>"))
    assert {"a <run>", "my_model & co", "80.0 ±5.0", "50 % is chance | here.", "LR-Acc ↑", "dB"} <= set(seen)
    assert any("silent" in tag for tag in tags)
    assert any("'class': 'best'" in tag for tag in tags)
    assert not any("src" in tag or "href" in tag for tag in tags)
