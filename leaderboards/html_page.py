"""The leaderboard as one HTML file that needs no server and no other file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from visaudio_bench.escapes import visible
from visaudio_bench.leaderboards.tables import Table


def page(tables: Sequence[Table], title: str) -> str:
    """Lay tables out as a page; every cell tells its exact value, or why it is empty, when it is pointed at.

    Args:
        tables: in their order.
        title: of the page.

    Returns:
        HTML that loads nothing.
    """
    import jinja2

    template = (files("visaudio_bench.leaderboards") / "page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, keep_trailing_newline=True, finalize=_shown)
    return environment.from_string(template).render(tables=tables, title=title)


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) else value
