"""Whether LaTeX takes our tables: a strict parser of what they are made of, and LaTeX itself where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

COMMANDS = {
    "textbackslash", "textbar", "textasciitilde", "textasciicircum", "textbf", "underline", "begin", "end", "toprule",
    "midrule", "bottomrule", "uparrow", "downarrow", "rightarrow", "Delta", "pm", "mu", "geq", "leq", "circ", "times",
    "dagger", "alpha", "beta", "gamma", "delta", "varepsilon", "theta", "kappa", "lambda", "rho", "sigma", "tau",
    "varphi", "chi", "infty", "approx", "surd", "Omega", "ddagger",
}  # fmt: skip
TOKEN = re.compile(r"\\([A-Za-z]+|.)|([{}$&%#_^~<>\"|])|([^\\{}$&%#_^~<>\"|]+)", re.S)


def check_latex(text: str) -> list[list[list[str]]]:
    """The cells of each row of each tabular, as LaTeX would part them; whatever stops it or shows amiss is an error."""
    tables: list[list[list[str]]] = []
    elsewhere = "XeLaTeX" in text.splitlines()[0]  # the file says that it needs it
    body = [line for line in text.splitlines() if not line.startswith("%")]
    for environment in re.split(r"\\begin\{tabular\}", "\n".join(body))[1:]:
        columns, _, inside = environment.partition("}\n")
        rows = []
        for row in re.sub(r"\\(top|mid|bottom)rule\n", "", inside.partition(r"\end{tabular}")[0]).split("\\\\\n")[:-1]:
            depth, math, cells = 0, False, [""]
            for command, special, plain in (match.groups() for match in TOKEN.finditer(row)):
                assert not command or command in COMMANDS or command in "&%_#${}", command
                assert elsewhere or all(letter.isascii() or letter.isalpha() for letter in plain or ""), plain
                depth += {"{": 1, "}": -1}.get(special, 0)
                math ^= special == "$"
                assert depth >= 0
                assert special not in ("%", "#", "_", "~", '"', "|")
                assert math or special not in ("^", "<", ">")
                if special == "&":
                    assert depth == 0
                    assert not math
                    cells.append("")
                else:
                    cells[-1] += f"\\{command}" if command else special or plain
            assert (depth, math) == (0, False), row
            assert not cells[0].lstrip().startswith(("[", "*")), "belongs to the line end before it"
            assert len(cells) == len(columns.strip("{")), row
            rows.append(cells)
        tables.append(rows)
    return tables


ENGINES = {"pdflatex": ["-halt-on-error", "-interaction=nonstopmode"], "tectonic": ["--only-cached"]}


def compile_latex(text: str, folder: Path) -> None:
    """Typeset tables with what is installed and what their first lines say they need; skip where nothing is."""
    engine = next((name for name in ENGINES if shutil.which(name)), None)
    if engine is None:
        pytest.skip("LATEX NOT RUN: neither pdflatex nor tectonic is installed")
    needed = sorted(set(re.findall(r"\\usepackage(?:\[\w+\])?\{\w+\}", "".join(re.findall("^% needs.*", text, re.M)))))
    whole = ["\\documentclass{article}", *needed, "\\begin{document}\\tiny", text, "\\end{document}"]
    (folder / "whole.tex").write_text("\n".join(whole), encoding="utf-8")
    made = subprocess.run([engine, *ENGINES[engine], "whole.tex"], cwd=folder, capture_output=True, check=False)
    said = made.stdout.decode(errors="replace") + made.stderr.decode(errors="replace")
    assert made.returncode == 0, said[-2000:]
    assert "Missing character" not in said
