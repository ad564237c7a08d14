"""The papers' numbers as data: the right ones, complete, and refused where a row is broken."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.beside_published import published_tables
from visaudio_bench.leaderboards.published_tables import FILES, HEADER, contradictions, read_published
from visaudio_bench.leaderboards.tables import EMPTY

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("VISAUDIO_BENCH_TEST_REFERENCE", ROOT.parent / "shared" / "reference"))
PAPERS = {
    "visaudio_arxiv2512.03036": "ViSAudio, arXiv:2512.03036",
    "garg_arxiv2111.10882": "Garg et al., arXiv:2111.10882",
}
# ViSAudio, Table 2, typed from the paper: FD-VGG mix and avg, FD-PANN, KL-PANN, DeSync, IB-Score
TABLE_2 = {
    ("BiAudio", "visaudio"): "2.516 2.479 13.917 12.684 1.355 1.360 0.788 0.299",
    ("MUSIC", "audiox"): "24.299 24.173 21.602 20.992 0.689 0.695 1.322 0.350",
    ("FAIR-Play", "see2sound"): "25.611 24.079 87.577 82.750 3.672 3.474 1.140 -0.004",
}
GOOD = ["A paper", "Table 1", "BiAudio", "test", "12", "ours", "Ours", "fd_vgg", "mix", "1.5", "", ""]


@pytest.mark.parametrize(("where", "printed"), TABLE_2.items())
def test_rows_are_those_of_the_paper_in_its_order(where: tuple[str, str], printed: str) -> None:
    found = [r.printed for r in read_published() if (r.dataset, r.system) == where and r.table == "Table 2"]
    assert found == printed.split()


def test_every_number_of_the_collected_tables_is_here() -> None:
    collected = REFERENCE / "published_results.csv"
    if not collected.is_file():
        pytest.skip(f"no collected tables in {REFERENCE}")
    with collected.open(encoding="utf-8", newline="") as file:
        expected = Counter(
            (PAPERS[row["source"]], f"Table {row['table']}", row["dataset"], row["value"], row["ci"])
            for row in csv.DictReader(file)
            if row["source"] in PAPERS
        )
    assert Counter((r.source, r.table, r.dataset, r.printed, r.half) for r in read_published()) == expected


def test_no_number_stands_twice() -> None:
    keys = Counter((r.source, r.table, r.dataset, r.split, r.system, r.place) for r in read_published())
    assert max(keys.values()) == 1


def test_the_only_contradictions_are_those_of_the_kl_divergence() -> None:
    told = contradictions(read_published())
    assert [("mix" in one, "avg" in one) for one in told] == [(True, False), (False, True)]
    assert "1.355 in Table 2; 1.638 in Table S1 and Table S2" in told[0]
    assert "1.360 in Table 2; 1.573 in Table S1 and Table S2" in told[1]


def test_tables_mark_the_best_as_the_paper_does() -> None:
    tables = {table.title: table for table in published_tables(read_published())}
    biaudio = tables["BiAudio · test · published"]
    assert [column.key for column in biaudio.columns[2:]] == [
        "fd_vgg_mix", "fd_vgg_avg", "fd_pann_mix", "fd_pann_avg", "kl_pann_mix", "kl_pann_avg", "desync", "ib_score"
    ]  # fmt: skip
    rows = {row.label: row.cells for row in biaudio.rows}
    assert {cell.mark for cell in rows["ViSAudio"][2:]} == {"best"}
    assert [cell.mark for cell in rows["AudioX"][2:]] == ["second"] * 6 + ["", "second"]
    assert [cell.text for cell in rows["ThinkSound"][:2]] == ["published", "2695"]
    opinions = tables["BiAudio+MUSIC+FAIR-Play · user study · published"].rows[-1].cells[2]
    assert (opinions.text, opinions.low, opinions.high) == ("4.133 ±0.294", 4.133 - 0.294, 4.133 + 0.294)


def test_what_a_paper_left_out_is_empty_with_a_reason() -> None:
    rows = read_published([FILES[1]])
    assert not any(r.title == "Backbone+IR Pred" and r.dataset == "FAIR-Play" for r in rows)
    ablation = next(table for table in published_tables(read_published()) if "ablation" in table.title)
    assert {(row.cells[1].text, row.cells[1].reason) for row in ablation.rows} == {(EMPTY, "not stated")}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("value", "", "could not convert"),
        ("value", "nan", "finite"),
        ("half", "inf", "finite"),
        ("clips", "many", "many"),
        ("metric", "fd_vg", 'metric "fd_vg"'),
        ("view", "both", 'view "both"'),
        ("system", "", "system is empty"),
    ],
)
def test_a_broken_row_names_file_and_line(tmp_path: Path, column: str, value: str, says: str) -> None:
    bad = GOOD.copy()
    bad[HEADER.index(column)] = value
    path = _written(tmp_path, GOOD, bad)
    with pytest.raises(UsageError, match=r"paper\.csv, line 3, .*") as raised:
        read_published([path])
    assert says in str(raised.value)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    (good,) = read_published([_written(tmp_path, GOOD)])
    assert (good.value, good.clips, good.place) == (1.5, 12, ("fd_vgg", "mix"))
    with pytest.raises(UsageError, match=r"line 2, .* 3 fields, 12 expected"):
        read_published([_written(tmp_path, GOOD[:3])])
    (tmp_path / "other.csv").write_text("system,value\n", encoding="utf-8")
    with pytest.raises(UsageError, match="does not start with the columns source,table"):
        read_published([tmp_path / "other.csv"])


def _written(folder: Path, *rows: list[str]) -> Path:
    path = folder / "paper.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path
