"""Raters that do not exist, with known biases: for tests, for documentation, for planning a study.

A vote is round(quality + rater bias + clip effect + noise), kept within 1 to 5. Biases, clip effects and noise are
normal with given standard deviations, so the expected vote over all possible raters and clips is known in closed
form (`expected_vote`): the truth that an interval should cover.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from visaudio_bench.bench.mos.questions import COLUMNS, KEYS, SCALE
from visaudio_bench.bench.mos.sample_order import slots
from visaudio_bench.errors import UsageError
from visaudio_bench.files import csv_text
from visaudio_bench.metrics.opinion import Codes, Floats

FORMS = ("long", "wide-sample", "wide-rater")


class Panel(NamedTuple):
    """Who rates and what: counts, the spread of raters, clips and noise in scale points, and how many misbehave.

    The last `careless` raters vote the same number everywhere; the `miswired` ones before them hear left and right
    exchanged: they fail the orientation check and give 1 or 2 for spatial consistency.
    """

    raters: int = 12
    clips: int = 10
    rater_spread: float = 0.45
    clip_spread: float = 0.45
    noise: float = 0.8
    careless: int = 0
    miswired: int = 0


def expected_vote(quality: float, panel: Panel) -> float:
    """Compute the mean vote over all raters, clips and noise.

    It is a sum over steps of the chance that the latent value rounds to at least the step.

    Args:
        quality: latent value of a system, in steps of the scale.
        panel: spreads of raters and clips, and noise.

    Returns:
        The mean, within the scale.
    """
    spread = math.sqrt(panel.rater_spread**2 + panel.clip_spread**2 + panel.noise**2)
    steps = np.arange(SCALE[0], SCALE[1]) + 0.5
    if spread == 0:
        return float(np.clip(np.rint(quality), *SCALE))
    return SCALE[0] + float(stats.norm.sf(steps, quality, spread).sum())


def qualities(systems: Sequence[str]) -> Floats:
    """Latent quality `(systems, dimensions)`: from 1.6 for the first to 4.2 for the last, a little uneven."""
    rising = np.linspace(1.6, 4.2, len(systems)) if len(systems) > 1 else np.array([3.0])
    uneven = 0.15 * np.cos(2.0 * np.arange(len(KEYS))[None, :] + np.arange(len(systems))[:, None])
    return np.asarray(rising[:, None] + uneven)


def require_panel(panel: Panel, systems: Sequence[str]) -> None:
    """Refuse a panel that nobody could ask.

    Args:
        panel: how many raters and clips, and who misbehaves.
        systems: names.

    Raises:
        UsageError: no raters, clips or systems, or more misbehaving raters than raters.
    """
    if min(panel.raters, panel.clips, len(systems)) < 1 or panel.careless + panel.miswired > panel.raters:
        raise UsageError(
            f"{panel.raters} raters ({panel.careless} careless, {panel.miswired} miswired), {panel.clips} clips, "
            f"{len(systems)} systems: at least one of each is needed, and no more misbehaving raters than raters."
        )


class Simulated(NamedTuple):
    """Votes `(raters, clips, systems, dimensions)`, the raters' biases, and the truth `(systems, dimensions)`."""

    votes: Codes
    biases: Floats
    truth: Floats


def simulate(panel: Panel, systems: Sequence[str], seed: int) -> Simulated:
    """Draw the votes of a panel; the same seed gives the same votes.

    Args:
        panel: how many raters and clips, how they differ, and who misbehaves.
        systems: names, whose qualities are spread over the scale.
        seed: of the draw.

    Returns:
        Votes (raters, clips, systems, dimensions), each rater's bias, and the expected votes (systems, dimensions).

    Raises:
        UsageError: a panel without raters, clips or systems, or with more misbehaving raters than raters.
    """
    require_panel(panel, systems)
    rng = np.random.default_rng(seed)
    quality = qualities(systems)
    biases = panel.rater_spread * rng.standard_normal(panel.raters)
    clip = panel.clip_spread * rng.standard_normal((1, panel.clips, *quality.shape))
    noise = panel.noise * rng.standard_normal((panel.raters, panel.clips, *quality.shape))
    votes = np.clip(np.rint(quality + biases[:, None, None, None] + clip + noise), *SCALE).astype(np.int64)
    honest = panel.raters - panel.careless - panel.miswired
    votes[honest : panel.raters - panel.careless, :, :, KEYS.index("SC")] = rng.integers(
        1, 3, (panel.miswired, panel.clips, len(systems))
    )
    votes[panel.raters - panel.careless :] = rng.integers(SCALE[0], SCALE[1] + 1, panel.careless)[:, None, None, None]
    truth = np.array([[expected_vote(value, panel) for value in row] for row in quality])
    return Simulated(votes, biases, truth)


def truth_document(simulated: Simulated, systems: Sequence[str], panel: Panel, seed: int) -> dict[str, Any]:
    """Write down what the simulation knows and an analysis should find.

    Args:
        simulated: votes and truth.
        systems: their names.
        panel: which was simulated.
        seed: it was drawn with.

    Returns:
        Seed, panel, biases by rater and expected votes by system and dimension, JSON-able.
    """
    return {
        "seed": seed,
        "panel": panel._asdict(),
        "biases": {f"R{k + 1:02d}": float(bias) for k, bias in enumerate(simulated.biases)},
        "expected_votes": {
            system: dict(zip(KEYS, map(float, row), strict=True))
            for system, row in zip(systems, simulated.truth, strict=True)
        },
    }


def long_rows(simulated: Simulated, systems: Sequence[str], panel: Panel, study_id: str) -> list[dict[str, str]]:
    """Turn simulated votes into rows of responses.csv.

    Args:
        simulated: votes and truth.
        systems: their names.
        panel: which was simulated.
        study_id: name of the study.

    Returns:
        One row a vote, in the order in which each rater would have given them.
    """
    rows = []
    for rater in range(panel.raters):
        for clip in range(panel.clips):
            same = common_columns(panel, rater, clip, study_id)
            for slot, system in enumerate(slots(len(systems), rater, clip), 1):
                for dimension, key in enumerate(KEYS):
                    rows.append(
                        same
                        | {
                            "group_id": f"G{clip + 1:02d}",
                            "system": systems[system],
                            "slot": str(slot),
                            "group_order": str(clip + 1),
                            "dimension": key,
                            "rating": str(simulated.votes[rater, clip, system, dimension]),
                            "role": "test",
                        }
                    )
    return rows


def common_columns(panel: Panel, rater: int, clip: int, study_id: str) -> dict[str, str]:
    """Write what the votes of a rater on a clip have in common.

    Args:
        panel: which was simulated; it tells who fails the orientation check.
        rater: number of the rater, from 0.
        clip: number of the clip, from 0.
        study_id: name of the study.

    Returns:
        Columns of responses.csv.
    """
    miswired = 0 <= rater - (panel.raters - panel.careless - panel.miswired) < panel.miswired
    return {
        "study_id": study_id,
        "session_id": f"S{rater + 1:02d}",
        "rater_id": f"R{rater + 1:02d}",
        "clip_id": f"clip{clip + 1:02d}",
        "headphone_check": "pass",
        "lr_check": "fail" if miswired else "pass",
        "listening_device": "simulated",
        "tool": "bench mos simulate",
    }


def to_csv(rows: Sequence[dict[str, str]], form: str) -> tuple[str, str | None]:
    """Write rows of responses in one of our forms.

    Args:
        rows: as `long_rows` makes them.
        form: `long`, `wide-sample` or `wide-rater`.

    Returns:
        The responses, and the key that `wide-rater` needs, else None; both CSV as text.
    """
    if form == "long":
        return csv_text(COLUMNS, rows), None
    if form == "wide-sample":
        samples: dict[tuple[str, ...], dict[str, str]] = {}
        same = [name for name in COLUMNS if name not in ("dimension", "rating")]
        for row in rows:
            sample = samples.setdefault((row["rater_id"], row["clip_id"], row["system"]), {})
            sample |= {name: row.get(name, "") for name in same} | {row["dimension"]: row["rating"]}
        return csv_text([*same, *KEYS], list(samples.values())), None
    raters: dict[str, dict[str, str]] = {}
    key: dict[tuple[str, ...], dict[str, str]] = {}
    names = ("rater_id", "group_id", "slot", "clip_id", "system")
    for row in rows:
        record = raters.setdefault(row["rater_id"], {"study_id": row["study_id"], "rater_id": row["rater_id"]})
        record[f"{row['group_id']}_V{row['slot']}_{row['dimension']}"] = row["rating"]
        key[tuple(row[name] for name in names)] = {name: row[name] for name in names}
    columns = sorted({name for record in raters.values() for name in record} - {"study_id", "rater_id"})
    return csv_text(["study_id", "rater_id", *columns], list(raters.values())), csv_text(names, list(key.values()))
