"""How Sphinx builds the manual: `make docs` writes it to build/site. Neither the build nor its pages fetch anything."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from visaudio_bench import __version__

project = "visaudio-bench"
author = "The visaudio-bench authors"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

myst_heading_anchors = 3

autodoc_default_options = {"members": True, "ignore-module-all": True, "member-order": "bysource"}
autodoc_preserve_defaults = True
default_role = "code"  # docstrings write `name`, as Markdown does
highlight_language = "text"
maximum_signature_line_length = 88
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"visaudio-bench {release}"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False


def as_restructured_text(app, what, name, thing, options, lines):
    """Docstrings have tables and blocks of code as Markdown writes them; Sphinx reads its own notation only."""
    lines[:] = [line for kind, part in groupby(lines, _Kind()) for line in _rewritten(kind, list(part))]


class _Kind:
    """What a line belongs to: a `table`, a block of `code` with its fences, or `text`."""

    def __init__(self):
        self.fenced = False

    def __call__(self, line: str) -> str:
        fence = line.lstrip().startswith("```")
        inside = self.fenced or fence
        self.fenced ^= fence
        return "code" if inside else "table" if line.lstrip().startswith("|") else "text"


def _rewritten(kind: str, lines: list[str]) -> Iterator[str]:
    indent = re.match(" *", lines[0])[0]
    if kind == "code":
        yield from ["", f"{indent}::", "", *(f"    {line}" for line in lines[1:-1]), ""]
    elif kind == "table":
        yield from ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
        for line in (line for number, line in enumerate(lines) if number != 1):
            for column, cell in enumerate(line.strip().strip("|").split("|")):
                yield f"{indent}   {' ' if column else '*'} - {_escaped(cell.strip())}"
        yield ""
    else:
        yield from map(_escaped, lines)


def _escaped(line: str) -> str:
    """Bars are absolute values and a trailing underscore is part of a name; Sphinx would take both for links."""
    return re.sub(r"(\||(?<=\w)_(?!\w))", r"\\\1", line)


def leave_out(app, what, name, thing, skip, options):
    """Whether a member has no page: fields of a NamedTuple, whose only text is Python's; their class explains them."""
    return skip or (getattr(thing, "__doc__", None) or "").startswith("Alias for field number")


def setup(app):
    """Let Sphinx call the two functions above."""
    app.connect("autodoc-process-docstring", as_restructured_text)
    app.connect("autodoc-skip-member", leave_out)
