"""Every LaTeX table that is written: by the parser of `latex` always, by LaTeX itself where it is installed."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from visaudio_bench.bench.evaluation.recomputation import recompute
from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow, render

from .bench.mos.command import run, write_responses
from .latex import check_latex, compile_latex
from .nasty import NASTY

ROOT = Path(__file__).resolve().parent
NAMES = ("a_b%c", "[x]", "*x", "α<β>γ", "50 %", "#1", "a&b", "x^2~{y}", r"\input{x}", '"q"|', "a\nb", "κ → ±°µ")
LATIN = ("Zażółć gęślą", "Þórður «é»", "Straße – “q” ‘a’ …", "≈ √2 ∞ Ω ∆ ‡")
STUDIES = {"PREF": "{a},{b},,{k}", "FIT": "{a},{b},1,{k}", "AZ": "{a},,30,{k}", "BAQ": "{a},,,{k}", "SI": "{a},,,{m}"}
TABLES = {"PREF": 2, "FIT": 2, "AZ": 2, "BAQ": 6, "SI": 6}


def odd(names: tuple[str, ...]) -> str:
    """A table whose names, cells, headings and notes are texts of strangers."""
    cells = (Cell("1 ± 2", 1.0), Cell(r"\write18{x}", mark="best"))
    columns = (Column("a", "Krippendorff α", "P(A > B)"), Column("b", "Δ", better="higher"))
    rows = tuple(TableRow(name, cells) for name in names)
    return render([Table("title\n\\input{x}", columns, rows, notes=("a\n\\input{y}\rb",))], "tex")


def study(folder: Path, key: str) -> str:
    """The tables of a study of a design."""
    rows = [
        f"r{r},c{c},{key},{values}"
        for r in range(3)
        for c in range(3)
        for a, b in (("a_b%c", "α<β>"), ("α<β>", "x & y"))
        for k in (1 - 2 * ((r + c) % 2) if key in ("PREF", "FIT") else 10 + r + c,)
        for values in (STUDIES[key].format(a=a, b=b, k=k, m=1 + (r + c) % 5),)
    ]
    header = "rater_id,clip_id,dimension,system,compared_with,expected,rating"
    file = write_responses(folder / f"{key}.csv", rows, header)
    told = run("--ratings", file, "--show", "all", "--format", "tex", "--out", folder / key, "--study-id", "s_1")
    assert told.exit_code == 0, told.exception
    assert (folder / key / "mos.tex").read_text() == told.stdout
    return told.stdout


def default_run(folder: Path) -> str:
    """The tables of the default run."""
    shutil.copy(ROOT / "golden" / "simroom" / "results.json", folder)
    packed = ROOT / "golden" / "simroom" / "clips.csv.gz"
    (folder / "clips.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    tables, _ = recompute(folder)
    return render(tables, "tex")


@pytest.mark.parametrize("key", STUDIES)
def test_the_tables_of_every_design_are_latex(tmp_path: Path, key: str) -> None:
    assert len(check_latex(study(tmp_path, key))) == TABLES[key]


def test_the_tables_of_a_run_are_latex(tmp_path: Path) -> None:
    assert len(check_latex(default_run(tmp_path))) > 1


def test_texts_of_strangers_are_latex() -> None:
    text = odd(NAMES)
    assert len(check_latex(text)[0]) == 2 + len(NAMES)
    assert not [line for line in text.splitlines() if "input{" in line and not line.startswith("%")]
    assert check_latex(odd(NASTY))


def test_what_letters_need_is_said_above_the_tables() -> None:
    assert odd(NAMES).splitlines()[0] == r"% needs \usepackage{booktabs}"
    assert odd(LATIN).splitlines()[0] == r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}"
    told = odd(("中文", "ёж")).splitlines()[0]
    assert told == r"% needs \usepackage{booktabs}, XeLaTeX or LuaLaTeX, and a font with ж ё 中 文"


@pytest.mark.parametrize("text", ["a_b", "α$", "x & y", "<", "{", r"\input{x}", "[x]"])
def test_the_check_of_latex_can_fail(text: str) -> None:
    with pytest.raises(AssertionError):
        check_latex(f"\\begin{{tabular}}{{l}}\n\\toprule\n{text} \\\\\n\\bottomrule\n\\end{{tabular}}\n")


def test_latex_typesets_every_table(tmp_path: Path) -> None:
    texts = [study(tmp_path, key) for key in STUDIES]
    set_by_it = tuple(name for name in NASTY if "XeLaTeX" not in odd((name,)).splitlines()[0])
    assert len(set_by_it) > 20
    texts += [default_run(tmp_path), odd(NAMES), odd(set_by_it), odd(LATIN)]
    compile_latex("\n\n".join(texts), tmp_path)
    broken = f"% needs \\usepackage{{booktabs}}\n{odd(('x',)).replace(' & ', ' & & & & ')}"
    with pytest.raises(AssertionError, match="Extra alignment tab"):
        compile_latex(broken, tmp_path)
