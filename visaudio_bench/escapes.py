r"""How a text of somebody else's is written into each format, one function a format.

Titles, names, remarks and reasons come from run folders, cards and lists of strangers. In every format a text stays a
text: it ends no comment, opens no tag, starts no formula, and moves no terminal's cursor.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

# Control characters (C0, DEL, C1), marks that change the direction of what follows, halves of characters. A terminal
# acts on the first, a reader is misled by the second, and the third cannot be written at all.
HIDDEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_HIDDEN = re.compile(f"[{HIDDEN}]")
# What spreadsheets take for a formula: these signs at the beginning, in full width too; after a sign of a number only
# where something is called, because ids begin with hyphens and numbers with both.
_FORMULA = re.compile(r"[=@\t\r\n\uff1d\uff20]|[+\-\uff0b\uff0d].*[(|!]", re.DOTALL)
_NUMBERED = re.compile(r"'+(?=[=@\t\r\n\uff1d\uff20+\-\uff0b\uff0d])")

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "−": r"$-$",
    "µ": r"$\mu$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "°": r"$^\circ$",
    "×": r"$\times$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "–": "--",
    # OT1 fonts have other characters in the places of these
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    '"': "''",
    # at the beginning of a row these would belong to the line end before it
    "[": "{[}",
    "*": "{*}",
}
_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "varphi",
    "χ": "chi",
}
_TEX |= {letter: f"$\\{name}$" for letter, name in _GREEK.items()}
_TEX |= {"∞": r"$\infty$", "≈": r"$\approx$", "√": r"$\surd$", "∆": r"$\Delta$", "Ω": r"$\Omega$"}
# What pdfLaTeX sets without further packages (found by setting each), and of it what it sets in T1 fonts alone.
_PDFLATEX = re.compile(
    "[\x00-\x7f\xa0-\u0125\u0128-\u0137\u0139-\u013e\u0141-\u0148\u014a-\u0165\u0168-\u017e\u0218-\u021b\u2010-\u2016"
    "\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2116\u2122\u2190-\u2193]"
)
_T1 = frozenset("«»ÐÞðþĄąĐđĘęĮįŊŋŲų‚„‹›")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_MARKDOWN = re.compile(r"[\\`*_\[\]|~]")


def visible(text: str, keep: str = "\n\t") -> str:
    r"""A text for a terminal: `\x1b` stands where an escape was.

    Args:
        text: of whatever origin.
        keep: characters that stay as they are; notes have several lines.

    Returns:
        The text with escapes spelt out.
    """
    return _HIDDEN.sub(lambda match: match[0] if match[0] in keep else _spelt(match[0]), text)


def say(line: str) -> None:
    """Print a line on the error stream, at once."""
    print(visible(line), file=sys.stderr, flush=True)


def _spelt(character: str) -> str:
    return ascii(character)[1:-1]


def one_line(text: str) -> str:
    """A text without line breaks, for a cell, a title or a comment; all else as `visible` shows it."""
    return visible(" ".join(text.split()), keep="")


def tex(text: str) -> str:
    """A text as LaTeX sets it: no command, no comment, one line."""
    return "".join(_TEX.get(character, character) for character in one_line(text))


def tex_needs(body: str) -> str:
    """The comment that says what tables need: packages, and for letters that pdfLaTeX does not set another engine.

    Args:
        body: of the LaTeX, without comments.

    Returns:
        One line.
    """
    packages = [r"\usepackage{booktabs}", *([r"\usepackage[T1]{fontenc}"] if _T1 & set(body) else [])]
    others = sorted({character for character in body if not _PDFLATEX.match(character)})
    engine = f", XeLaTeX or LuaLaTeX, and a font with {' '.join(others[:8])}" if others else ""
    return f"% needs {' and '.join(packages)}{engine}"


def tex_comment(text: str) -> str:
    """A comment of LaTeX: it ends with its line."""
    return f"% {one_line(text)}"


def markdown(text: str) -> str:
    """A text in a line or a cell of Markdown: no markup, no HTML."""
    plain = _ENTITY.sub("&amp;", one_line(text)).replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\g<0>", plain)


def csv_cell(text: str) -> str:
    """A text in a table that a spreadsheet may open: one that it would take for a formula begins with an apostrophe."""
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) or _NUMBERED.match(shown) else shown


def csv_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of such a table: its texts as `csv_cell` writes them, all else as it is."""
    return {name: csv_cell(value) if isinstance(value, str) else value for name, value in row.items()}


def csv_meaning(cell: str) -> str:
    """The text that `csv_cell` wrote."""
    return cell[1:] if _NUMBERED.match(cell) else cell


def json_text(value: Any) -> str:
    """JSON for people and terminals: as `json.dumps`, every control character and half of one written as an escape.

    Raises:
        ValueError: a number that is not finite; missing values are null here.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _HIDDEN.sub(lambda match: match[0] if match[0] == "\n" else _escape(match[0]), text)


def script_json(value: Any) -> str:
    """JSON as part of a script of a page: as `json_text`, in one line, and nothing in it ends or begins an element.

    Raises:
        ValueError: a number that is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _HIDDEN.sub(lambda match: _escape(match[0]), text).replace("<", _escape("<"))


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"
