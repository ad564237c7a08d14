"""What a built data set is like, as the paper's appendix A.3 shows it: words, first views, trajectories.

The report is a folder with `index.html`, the scripts of its figures, and `statistics.json` with the same numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.escapes import script_json
from visaudio_bench.files import write_json, write_text
from visaudio_bench.plotly_script import SCRIPT, copy_plotly
from visaudio_bench.suites.construction import charts
from visaudio_bench.suites.construction.build import trajectory_of
from visaudio_bench.suites.construction.dataset import BuiltDataset
from visaudio_bench.suites.simulator.hrtf import Array, unit_vector, wrap
from visaudio_bench.suites.visibility_captions import SoundCaption

TOP, CLOUD = 50, 200
DRAWN = 500  # trajectories
STEPS = 9  # points of each
YAW_BIN, PITCH_BIN = 10, 5  # degrees
# What holds captions together; the rest are nouns for the most part, with what describes them.
STOP_WORDS = frozenset(
    """a about above across after again against all along also among an and another any are around as at away back
    background be being below beside between both but by can close coming distant down during each either
    environment environmental faint few for from further
    has have he her his in including indicating inside into is it its kind like likely loud low many may mild more most
    much near nearby no not of off on one onto or other out over own part people perhaps possibly quiet rather scene she
    slight slightly so soft softly some someone something sound sounds soundscape such suggesting than that the their
    them there these they this those through to together toward towards two under up various very was were what when
    where which while who with within without""".split()  # noqa: SIM905
)


def words(texts: Iterable[str]) -> Counter[str]:
    """How many texts each word is in: lower case, without `STOP_WORDS`."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(re.findall(r"[^\W\d_][\w'’-]+", text.lower())) - STOP_WORDS)
    return counts


def vocabulary(captions: Iterable[SoundCaption]) -> dict[str, Counter[str]]:
    """Words of what is seen and of what is not."""
    kept = list(captions)
    return {
        "visible": words(caption.visible for caption in kept),
        "invisible": words(caption.invisible for caption in kept if caption.invisible),
    }


def first_views(records: Iterable[dict[str, Any]]) -> Array:
    """Counts `(pitch, yaw)` of the first poses, every 5 and 10 degrees: pitch from -30 to 30, yaw from -180 to 180."""
    starts = np.array([record["trajectory"]["start"] for record in records]).reshape(-1, 3)
    yaw, pitch = np.degrees(wrap(starts[:, 0])), np.degrees(starts[:, 1])
    edges = np.arange(-30, 30 + PITCH_BIN, PITCH_BIN), np.arange(-180, 180 + YAW_BIN, YAW_BIN)
    return np.asarray(np.histogram2d(np.clip(pitch, -30, 29.99), yaw, bins=edges)[0])


def paths(records: list[dict[str, Any]]) -> Array:
    """Where up to 500 cameras look, `(clips, 9, 3)` unit vectors, evenly picked from all of them."""
    picked = [
        records[index] for index in np.unique(np.linspace(0, len(records) - 1, min(DRAWN, len(records))).astype(int))
    ]
    made = []
    for record in picked:
        pose = trajectory_of(record).at(np.linspace(0, record["duration"], STEPS))
        made.append(unit_vector(pose.yaw, pose.pitch))
    return np.array(made).reshape(-1, STEPS, 3)


def quantiles(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """Count, and the 5 %, 50 % and 95 % points of what is there."""
    known = [value for value in values if value is not None]
    points = np.quantile(known, (0.05, 0.5, 0.95)).round(4).tolist() if known else [None] * 3
    return {"n": len(known), **dict(zip(("p05", "p50", "p95"), points, strict=True))}


def statistics(made: BuiltDataset) -> dict[str, Any]:
    """Everything that the report shows, as JSON-able values."""
    words = vocabulary(made.captions.values())
    records = made.records
    return {
        "clips": dict(Counter(record["split"] for record in records)),
        "hours": round(sum(record["duration"] for record in records) / 3600, 4),
        "source_videos": len({record["group"] for record in records}),
        "left_out": dict(Counter(reject.reason for reject in made.rejects)),
        "captions": len(made.captions),
        "vocabulary": {side: {"unique": len(count), "top": count.most_common(CLOUD)} for side, count in words.items()},
        "first_views": first_views(records).astype(int).tolist(),
        "still": float(np.mean([not any(r["trajectory"]["rate"]) for r in records])) if records else None,
        "difference": quantiles(record["difference"] for record in records),
        "ild_db": quantiles(record["width"]["ild"] for record in records),
        "iacc": quantiles(record["width"]["iacc"] for record in records),
        "contrast": quantiles(record["loudest"]["contrast"] for record in records),
    }


def write_statistics(folder: Path, made: BuiltDataset) -> None:
    """Write the report of a finished data set.

    Args:
        folder: where the report goes, `statistics.json`, `index.html` and its scripts.
        made: the finished data set.

    Raises:
        UsageError: plotly is not installed; `statistics.json` is written.
    """
    numbers = statistics(made)
    write_json(folder / "statistics.json", numbers)
    copy_plotly(folder)
    figures = figures_of(numbers, paths(made.records))
    write_text(folder / "figures.js", f"const FIGURES = {script_json(figures)};\n{DRAW}")
    write_text(folder / "index.html", page(numbers, figures))


WORDS_NOTE = """In how many captions a word is, stop words left out. The paper counts nouns and does not say how it
finds them: its 2,360 (visible) and 1,265 (invisible) do not compare with the numbers here."""
VIEWS_NOTE = "Where cameras look when clips begin: yaw, with left on the left as in the panorama, and pitch."
PATHS_NOTE = "Where cameras look while clips last, from light to dark; each disc is one half of the sphere."


DRAW = """const FONT = { family: "system-ui, sans-serif", size: 12 };
for (const [id, { data, layout }] of Object.entries(FIGURES)) {
  Plotly.newPlot(id, data, { font: FONT, ...layout }, { displayModeBar: false, responsive: true });
}
"""
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#222;background:#fff;max-width:1060px;margin:2em auto;padding:0 1em}
h2{margin-top:1.8em}table{border-collapse:collapse}td{padding:.15em 1.2em .15em 0;border-bottom:1px solid #e3e3e3}
.number{text-align:right;font-variant-numeric:tabular-nums;padding-right:0}
.note{color:#666;max-width:46em}.row{display:flex;flex-wrap:wrap;gap:2em}
.cloud{line-height:1.25;max-width:60em}.cloud span{margin-right:.5em;white-space:nowrap}
"""
POLICY = "default-src 'none'; script-src 'self' file:; style-src 'unsafe-inline'; img-src data:"
COLOURS = {"visible": charts.BLUE, "invisible": charts.RED}


def figures_of(numbers: dict[str, Any], looks: Array) -> dict[str, charts.Figure]:
    """The figures of the report.

    Args:
        numbers: the numbers, as they go into its JSON file too.
        looks: the trajectories that are drawn, as `paths` gives them.

    Returns:
        By the name of its place on the page; there are none of words where there are no captions.
    """
    told = {side: words for side, words in numbers["vocabulary"].items() if words["unique"]}
    return {
        **{
            side: charts.bars(words["top"][:TOP], COLOURS[side], f"{side}: {words['unique']:,} words")
            for side, words in told.items()
        },
        "views": charts.heat_map(np.array(numbers["first_views"]), YAW_BIN, PITCH_BIN),
        "paths": charts.sphere(looks),
    }


def page(numbers: dict[str, Any], figures: Collection[str]) -> str:
    """Lay out the report.

    Args:
        numbers: the numbers, as they go into its JSON file too.
        figures: the names of those that `figures.js` has.

    Returns:
        One HTML page that loads the two scripts beside it.
    """
    picked = min(DRAWN, sum(numbers["clips"].values()))
    sections = (
        ("Clips", _table(_facts(numbers)), ""),
        ("Words of the captions", _words(numbers["vocabulary"], figures), WORDS_NOTE),
        ("First views", _place("views", VIEWS_NOTE), VIEWS_NOTE),
        (f"{picked} trajectories", _place("paths", PATHS_NOTE), PATHS_NOTE),
    )
    body = "".join(
        f"<h2>{escape(title)}</h2>{content}<p class=note>{escape(note)}</p>" for title, content, note in sections
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Statistics</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style><h1>Statistics of the built data set</h1>{body}"
        f'<script src="{SCRIPT}"></script><script src="figures.js"></script></html>\n'
    )


def _place(figure: str, words: str) -> str:
    """Where a figure is drawn, with what it shows for those who cannot see it."""
    return f'<div id="{figure}" role="img" aria-label="{escape(words)}"></div>'


def _words(sides: dict[str, Any], figures: Collection[str]) -> str:
    drawn = [side for side in sides if side in figures]
    if not drawn:
        return "<p>There are no captions.</p>"
    both = "".join(_place(side, f"The most frequent words of what is {side}") for side in drawn)
    total = sum((Counter(dict(side["top"])) for side in sides.values()), Counter[str]())
    return f'<div class="row">{both}</div>{_cloud(total.most_common(CLOUD))}'


def _cloud(counts: Sequence[tuple[str, int]]) -> str:
    """Words in alphabetic order, each as large as the root of its number."""
    most = max(count for _, count in counts)
    spans = (
        f'<span style="font-size:{0.7 + 1.9 * (n / most) ** 0.5:.2f}em">{escape(w)}</span>' for w, n in sorted(counts)
    )
    return f"<p class=cloud>{' '.join(spans)}</p>"


def _facts(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(f"{split} clips", f"{count:,}") for split, count in sorted(numbers["clips"].items())]
    rows += [("hours", f"{numbers['hours']:.2f}"), ("source videos", f"{numbers['source_videos']:,}")]
    rows += [(f"left out: {reason}", f"{count:,}") for reason, count in sorted(numbers["left_out"].items())]
    rows.append(("clips with a caption", f"{numbers['captions']:,}"))
    names = {
        "difference": "D (Eq. 40)",
        "ild_db": "ILD of a clip, dB",
        "iacc": "IACC",
        "contrast": "contrast of the loudest direction",
    }
    for key, name in names.items():
        q = numbers[key]
        if q["n"]:
            rows.append((f"{name}: 5 %, 50 %, 95 %", f"{q['p05']:.3g}, {q['p50']:.3g}, {q['p95']:.3g}"))
    return rows


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{escape(name)}<td class=number>{escape(value)}" for name, value in rows)
    return f"<table>{cells}</table>"
