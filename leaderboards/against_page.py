"""Plots of metrics against listeners, one for each dimension and metric, in one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from visaudio_bench.escapes import visible
from visaudio_bench.leaderboards.opinion_tables import DIGITS, Study

WIDTH, HEIGHT, MARGIN = 340, 240, 46  # of a plot, in pixels of its drawing
ROOM = 0.12  # beyond the points, as a share of their range
ARROWS = {"higher": "→ better", "lower": "← better"}


class Point(NamedTuple):
    """A system: its name, its two values, and where it is drawn."""

    system: str
    metric: float
    opinion: float
    x: float
    y: float


class Plot(NamedTuple):
    """What one drawing shows: its title with the coefficients, the axes' names and ends, and the systems."""

    title: str
    coefficients: str
    across: str
    up: str
    ends: tuple[tuple[float, float], tuple[float, float]]
    points: tuple[Point, ...]


def against_page(studies: Sequence[Study]) -> str:
    """Draw every metric of a run against every dimension.

    Args:
        studies: as analysed, with what `against` found.

    Returns:
        HTML with drawings inside.
    """
    import jinja2

    shown = [(study["study_id"], [_plot(study, row) for row in study["against"]]) for study in studies]
    template = (files("visaudio_bench.leaderboards") / "against.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, keep_trailing_newline=True, finalize=_shown)
    sizes = {"width": WIDTH, "height": HEIGHT, "margin": MARGIN}
    return environment.from_string(template).render(studies=shown, **sizes)


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


def _plot(study: Study, row: dict[str, Any]) -> Plot:
    titles = {dimension["key"]: dimension["title"] for dimension in study["dimensions"]}
    drawn = [point for point in row["points"] if point["metric"] is not None and point["opinion"] is not None]
    across, up = (_ends([point[name] for point in drawn]) for name in ("metric", "opinion"))
    points = tuple(
        Point(
            point["system"],
            point["metric"],
            point["opinion"],
            MARGIN + (WIDTH - 2 * MARGIN) * (point["metric"] - across[0]) / (across[1] - across[0]),
            HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (point["opinion"] - up[0]) / (up[1] - up[0]),
        )
        for point in drawn
    )
    direction = ARROWS.get(row["better"], "")
    return Plot(
        title=f"{row['metric']} {row['view']} and {titles[row['dimension']]}",
        coefficients=f"{_told(row, 'spearman', 'ρ')}; {_told(row, 'pearson', 'r')}",
        across=f"{row['metric']} {row['view']} {direction}".strip(),
        up=f"MOS {row['dimension']}",
        ends=(across, up),
        points=points,
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that holds the values with some room."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = ROOM * (high - low) or max(abs(high), 1.0) * ROOM
    return low - room, high + room


def _told(row: dict[str, Any], coefficient: str, sign: str) -> str:
    """A coefficient over systems with its interval, or why there is none."""
    estimate = row["systems"][coefficient]
    if estimate["value"] is None:
        return f"{sign}: {estimate['reason']}"
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.{DIGITS}f}, {estimate['high']:.{DIGITS}f}]"
    return f"{sign} = {estimate['value']:.{DIGITS}f}{interval}"
