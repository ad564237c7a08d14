"""The drawings of the statistics report, as SVG in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from visaudio_bench.suites.simulator.hrtf import Array

BLUE, RED = "#2b6cb0", "#c0392b"
LIGHT, DARK = np.array([190, 214, 236]), np.array([8, 48, 107])
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#222;max-width:1060px;margin:2em auto;padding:0 1em}
h2{margin-top:1.8em}table{border-collapse:collapse}td{padding:.15em 1.2em .15em 0;border-bottom:1px solid #e3e3e3}
.number{text-align:right;font-variant-numeric:tabular-nums;padding-right:0}
.note{color:#666;max-width:46em}.row{display:flex;flex-wrap:wrap;gap:2em}
.cloud{line-height:1.25;max-width:60em}.cloud span{margin-right:.5em;white-space:nowrap}
svg text{font:11px system-ui,sans-serif;fill:#333}
"""


def bars(counts: Sequence[tuple[str, int]], colour: str, title: str) -> str:
    """Draw horizontal bars with their words and numbers.

    Args:
        counts: word and number of each bar, from above.
        colour: of the bars, as CSS writes it.
        title: what the picture shows, for those who cannot see it.

    Returns:
        An `<svg>` element.
    """
    most = max((count for _, count in counts), default=1)
    rows = []
    for index, (word, count) in enumerate(counts):
        y, length = 24 + 14 * index, 300 * count / most
        rows.append(
            f"{_text(115, y + 10, word, 'end')}"
            f'<rect x="121" y="{y + 1}" width="{length:.1f}" height="11" fill="{colour}"/>'
            f"{_text(125 + length, y + 10, f'{count:,}')}"
        )
    return _svg(490, 30 + 14 * len(counts), f"{_text(0, 12, title)}{''.join(rows)}")


def cloud(counts: Sequence[tuple[str, int]]) -> str:
    """Words in alphabetic order, each as large as the root of its number."""
    most = max((count for _, count in counts), default=1)
    spans = (
        f'<span style="font-size:{0.7 + 1.9 * (n / most) ** 0.5:.2f}em">{escape(w)}</span>' for w, n in sorted(counts)
    )
    return f"<p class=cloud>{' '.join(spans)}</p>"


def heat_map(counts: Array, yaw_bin: int, pitch_bin: int) -> str:
    """Draw how often each direction occurs.

    Args:
        counts: `(pitch, yaw)`, rows from below upwards and columns from the right (-180 degrees) to the left.
        yaw_bin: width of a column, degrees.
        pitch_bin: height of a row, degrees.

    Returns:
        An `<svg>` element.
    """
    size, left, top = 24, 40, 10
    rows, columns = counts.shape
    most = max(int(counts.max(initial=0)), 1)
    cells = []
    for row, column in np.argwhere(counts > 0).tolist():
        x, y = left + size * (columns - 1 - column), top + size * (rows - 1 - row)
        number = int(counts[row, column])
        cells.append(
            f'<rect x="{x}" y="{y}" width="{size}" height="{size}" fill="{_shade(number / most)}">'
            f"<title>{number:,}</title></rect>"
        )
    bottom, right = top + size * rows, left + size * columns
    frame = f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none" stroke="#999"/>'
    yaws = "".join(
        _text(left + size * (columns / 2 - yaw / yaw_bin), bottom + 15, f"{yaw}°", "middle")
        for yaw in range(180, -181, -60)
    )
    pitches = "".join(
        _text(left - 5, top + size * (rows / 2 - pitch / pitch_bin) + 4, f"{pitch}°", "end") for pitch in (30, 0, -30)
    )
    return _svg(right + 20, bottom + 40, f"{''.join(cells)}{frame}{yaws}{pitches}{_legend(left, bottom + 22, most)}")


def _legend(x: int, y: int, most: int) -> str:
    steps = "".join(
        f'<rect x="{x + 50 + 10 * index}" y="{y}" width="10" height="10" fill="{_shade((index + 1) / 12)}"/>'
        for index in range(12)
    )
    return f"{_text(x + 45, y + 9, 'clips: 1', 'end')}{steps}{_text(x + 175, y + 9, f'{most:,}')}"


def sphere(looks: Array) -> str:
    """Trajectories `(clips, steps, 3)` on the front and the back half of the unit sphere."""
    radius, margin = 230, 26
    discs = []
    for half, title in enumerate(("front", "back")):
        towards = 1 - 2 * half  # from behind, left and right change places
        centre = margin + radius + half * 2 * (radius + margin)
        lines = []
        for look in looks:
            across, up = centre - towards * radius * look[:, 1], margin + radius - radius * look[:, 2]
            for step in range(len(look) - 1):
                if min(towards * look[step, 0], towards * look[step + 1, 0]) < 0:
                    continue
                lines.append(
                    f'<path d="M{across[step]:.1f} {up[step]:.1f}L{across[step + 1]:.1f} {up[step + 1]:.1f}" '
                    f'stroke="{_shade((step + 1) / (len(look) - 1))}"/>'
                )
        outline = f'<circle cx="{centre}" cy="{margin + radius}" r="{radius}" fill="#fafafa" stroke="#999"/>'
        horizon = f'<path d="M{centre - radius} {margin + radius}h{2 * radius}" stroke="#ddd"/>'
        label = _text(centre, 16, title, "middle")
        discs.append(
            f'{outline}{horizon}{label}<g fill="none" stroke-width="1.6" stroke-linecap="round">{"".join(lines)}</g>'
        )
    return _svg(4 * (radius + margin), 2 * (radius + margin), "".join(discs))


def _shade(part: float) -> str:
    """A colour from light to dark blue, as `part` goes from 0 to 1."""
    red, green, blue = np.rint(LIGHT + (DARK - LIGHT) * part).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(width: float, height: float, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">{content}</svg>'
    )
