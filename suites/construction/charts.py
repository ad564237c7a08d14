"""The figures of the statistics report, as plotly takes them: `data` and `layout`.

Plotly takes tags in texts for markup: what enters a figure as text is words of letters, and titles of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array

BLUE, RED = "#2b6cb0", "#c0392b"
SHADES = ((0, "#bed6ec"), (1, "#08306b"))  # from few to many, and from early to late
Figure = dict[str, Any]


def bars(counts: Sequence[tuple[str, int]], colour: str, title: str) -> Figure:
    """Horizontal bars with their words and numbers.

    Args:
        counts: word and number of each bar, from above.
        colour: of the bars, as CSS writes it.
        title: above them.

    Returns:
        The figure.
    """
    words, numbers = [word for word, _ in counts], [count for _, count in counts]
    bar = {"type": "bar", "orientation": "h", "x": numbers, "y": words, "text": numbers, "marker": {"color": colour}}
    axes = {"yaxis": {"type": "category", "autorange": "reversed", "dtick": 1}, "xaxis": {"visible": False}}
    margin = {"l": 130, "r": 10, "t": 30, "b": 10}
    return {
        "data": [bar | {"hoverinfo": "none", "texttemplate": "%{text:,}", "textposition": "outside"}],
        "layout": {"title": {"text": title}, "height": 50 + 14 * len(counts), "width": 490, "margin": margin} | axes,
    }


def heat_map(counts: Array, yaw_bin: int, pitch_bin: int) -> Figure:
    """How often each direction occurs; bins that are empty are left blank.

    Args:
        counts: `(pitch, yaw)`, rows from below upwards and columns from the right (-180 degrees) to the left.
        yaw_bin: width of a column, degrees.
        pitch_bin: height of a row, degrees.

    Returns:
        The figure.
    """
    rows, columns = counts.shape
    cells = [[int(count) or None for count in row] for row in counts]
    directions = {
        "y0": pitch_bin * (1 - rows) / 2, "dy": pitch_bin, "x0": yaw_bin * (1 - columns) / 2, "dx": yaw_bin,
    }  # fmt: skip
    told = "yaw %{x}°, pitch %{y}°: %{z:,} clips<extra></extra>"
    shades = {"colorscale": SHADES, "zmin": 0, "colorbar": {"title": {"text": "clips"}}}
    half = yaw_bin * columns / 2
    yaw = {"range": [half, -half], "dtick": 60, "tick0": 0, "ticksuffix": "°", "title": {"text": "yaw"}}
    pitch = {"dtick": 30, "tick0": 0, "ticksuffix": "°", "title": {"text": "pitch"}}
    return {
        "data": [{"type": "heatmap", "z": cells, "hovertemplate": told} | directions | shades],
        "layout": {"height": 400, "margin": {"l": 60, "r": 10, "t": 10, "b": 50}, "xaxis": yaw, "yaxis": pitch},
    }


def sphere(looks: Array) -> Figure:
    """Trajectories `(clips, steps, 3)` on the front and the back half of the unit sphere, from light to dark."""
    steps = max(looks.shape[1] - 1, 1)
    data: list[Figure] = []
    layout: Figure = {"height": 560, "margin": {"l": 10, "r": 10, "t": 30, "b": 10}, "shapes": [], "annotations": []}
    for half, title in enumerate(("front", "back")):
        towards = 1 - 2 * half  # from behind, left and right change places
        for step in range(looks.shape[1] - 1):
            ends = looks[:, step : step + 2]
            seen = ends[(towards * ends[:, :, 0] >= 0).all(axis=1)]
            data.append(
                {
                    "mode": "lines", "x": _apart(-towards * seen[:, :, 1]), "y": _apart(seen[:, :, 2]),
                    "xaxis": f"x{half + 1}", "yaxis": f"y{half + 1}", "hoverinfo": "none",
                    "line": {"width": 1.6, "color": _shade((step + 1) / steps)},
                }
            )  # fmt: skip
        number = half + 1 if half else ""
        plain = {"visible": False, "range": [-1.05, 1.05]}
        layout[f"xaxis{number}"] = plain | {"domain": [0.52 * half, 0.48 + 0.52 * half]}
        layout[f"yaxis{number}"] = plain | {"scaleanchor": f"x{half + 1}", "anchor": f"x{half + 1}"}
        axes = {"xref": f"x{half + 1}", "yref": f"y{half + 1}"}
        outline = {"type": "circle", "x0": -1, "x1": 1, "y0": -1, "y1": 1, "line": {"color": "#999", "width": 1}}
        horizon = {"type": "line", "x0": -1, "x1": 1, "y0": 0, "y1": 0, "line": {"color": "#ddd", "width": 1}}
        layout["shapes"] += [axes | {"layer": "below"} | shape for shape in (outline, horizon)]
        layout["annotations"].append(axes | {"x": 0, "y": 1.05, "text": title, "showarrow": False, "yanchor": "bottom"})
    return {"data": data, "layout": layout | {"showlegend": False}}


def _apart(ends: Array) -> list[float | None]:
    """Both ends of each line, and a gap."""
    return [value for start, end in ends.round(4).tolist() for value in (start, end, None)]


def _shade(part: float) -> str:
    """A colour from light to dark, as `part` goes from 0 to 1."""
    light, dark = (np.array([int(shade[at : at + 2], 16) for at in (1, 3, 5)]) for _, shade in SHADES)
    red, green, blue = np.rint(light + (dark - light) * part).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
