"""The README's picture and the manual's tables are what the program shows now; `make tables` makes them anew."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from visaudio_bench.bench.evaluation.recomputation import recompute
from visaudio_bench.leaderboards.schema import read_results
from visaudio_bench.leaderboards.tables import render
from visaudio_bench.suites import open_suite

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "golden" / "simroom"


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The default run, as it was when the picture was drawn: what was measured of each clip."""
    shutil.copy(KEPT / "results.json", tmp_path)
    (tmp_path / "clips.csv").write_bytes(gzip.decompress((KEPT / "clips.csv.gz").read_bytes()))
    return tmp_path


def test_the_readme_shows_the_table_of_the_default_run(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = load(ROOT / "scripts" / "make_picture.py", monkeypatch)
    assert drawing.picture(kept) == drawing.PICTURE.read_text(encoding="utf-8")
    (suite,) = read_results(kept).body["suites"]
    assert suite["info"]["name"] == "simroom" and suite["manifest"] == open_suite("simroom").manifest_hash()


def test_tables_of_the_manual_are_put_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    making = load(ROOT / "scripts" / "make_tables.py", monkeypatch)
    page = "a\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\nb\n\n| z |\n|---|\n| 3 |\n"
    assert making.replaced(page, "| z |\n|---|\n| 4 |\n| 5 |\n") == page.replace("| 3 |", "| 4 |\n| 5 |")
    with pytest.raises(ValueError, match="no table"):
        making.replaced(page, "| w |\n|---|\n")
    for page in set(making.PAGES.values()):
        own = [name for name, its in making.PAGES.items() if its == page]
        printed = "".join((ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8") for name in own)
        tables = making.tables(page.read_text(encoding="utf-8"))
        if page == making.STATISTICS:  # all of it is printed
            for first, *_ in tables:
                assert first.partition("| ours")[0].rstrip("| ")[:30] in printed, first
        else:
            assert any(first in printed for first, *_ in tables), page


@pytest.mark.slow
def test_the_statistics_of_the_manual_are_those_that_are_printed_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some rows: each row of coverage draws from a generator of its own, and these of listening tests are the first."""
    coverage, opinions = (
        load(ROOT / "benchmarks" / f"{name}.py", monkeypatch) for name in ("statistics_coverage", "opinions")
    )
    monkeypatch.setattr(coverage, "SCORES", {name: coverage.SCORES[name] for name in ("normal", "70 % zeros")})
    monkeypatch.setattr(coverage, "DISTANCES", {name: coverage.DISTANCES[name] for name in ("FCD",)})
    monkeypatch.setattr(coverage, "CLIPS", (40,))
    coverage.means()
    coverage.sets()
    monkeypatch.setattr(opinions, "SIZES", opinions.SIZES[:1])
    opinions.main()
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").splitlines()
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(printed) == 14 and [line for line in printed if line not in page] == []


@pytest.mark.parametrize("width", [80, 120, 200])
def test_nothing_of_the_default_run_is_cut_in_a_terminal(kept: Path, width: int) -> None:
    tables, _ = recompute(kept)
    shown = render(tables, "text", width=width)
    assert max(map(len, shown.splitlines())) <= width and "…" not in shown
    words = shown.split()
    for table in tables:
        cells = [cell.text for row in table.rows for cell in row.cells]
        assert all(set(text.split()) <= set(words) for text in (*cells, *table.notes, table.title))
    if width < 100:
        assert shown.count(" Motion pan†") > len(tables)  # the columns stand in several tables
