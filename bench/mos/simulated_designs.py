"""Raters that do not exist, in the designs beside rating: what they prefer, match, point at and compare.

A sound has a latent value: the quality of its system, from 1 to 5, with the bias that a rater has in all sounds and the
one that this rater has for the system (both with the spread of raters), and what the clip does to the system (with the
spread of clips). Of it come

design         answer
preference     the sound with the higher value, with the odds of a logistic; none within half a step
matching       the right sound with log-odds of the value less 1: quality 1 is guessing
localisation   the true azimuth, shifted by 11 degrees for each step of biases and clip, and off by a normal error of
               11 degrees for each step of noise, times 5.5 less the quality
mushra         25 points a step, from 0 at 1 to 100 at 5, with noise. The hidden reference has 100, and now and then
               less; the low anchor has quality 1.4

Careless raters answer anything, the hidden reference included. Miswired ones point to the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from visaudio_bench.bench.mos.questions import AZIMUTH, DESIGNS, MATCHING, PREFERENCE, QUALITY
from visaudio_bench.bench.mos.simulate import Panel, common_columns, qualities, require_panel
from visaudio_bench.bench.mos.study_material import ANCHOR, REFERENCE
from visaudio_bench.metrics.opinion import ROLES, Floats, Votes
from visaudio_bench.metrics.opinion_preference import Preferences

DEGREES = 11.0
FARTHEST = 60  # degrees to either side, of the true azimuths
POINTS = 25.0
ANCHOR_QUALITY = 1.4
SLIPS = 0.03  # of the votes on the hidden reference are below 100

Rng = np.random.Generator


def latent_values(rng: Rng, panel: Panel, quality: Mapping[str, float]) -> dict[str, Floats]:
    """Draw what the sounds are worth to raters, before the noise of each vote.

    Args:
        rng: draws.
        panel: how many raters and clips, and how they differ.
        quality: of each system, from 1 to 5.

    Returns:
        Values (R, I) of each system, raters by clips.
    """
    shared = panel.rater_spread * rng.standard_normal((panel.raters, 1))
    return {
        system: value
        + shared
        + panel.rater_spread * rng.standard_normal((panel.raters, 1))
        + panel.clip_spread * rng.standard_normal((1, panel.clips))
        for system, value in quality.items()
    }


def simulated_preferences(rng: Rng, panel: Panel, quality: Mapping[str, float]) -> Preferences:
    """Draw a study of paired preferences: every rater on every pair of every clip.

    Args:
        rng: draws.
        panel: how many raters and clips, and how they differ.
        quality: of each system.

    Returns:
        The votes; which sound was first changes from rater to rater.
    """
    values = np.stack(list(latent_values(rng, panel, quality).values()), axis=-1)
    rater, clip, a, b = np.indices((panel.raters, panel.clips, len(quality), len(quality))).reshape(4, -1)
    turned = (rater + clip) % 2 == 1
    keep = np.where(turned, a > b, a < b)
    rater, clip, a, b = rater[keep], clip[keep], a[keep], b[keep]
    gap = values[rater, clip, a] - values[rater, clip, b] + rng.logistic(size=len(a))
    choice = np.where(np.abs(gap) < 0.5, 0, np.sign(gap)).astype(np.int64)
    careless = _careless(panel)[rater]
    choice[careless] = rng.integers(-1, 2, int(careless.sum()))
    return Preferences(rater, clip, a, b, choice, *_names(panel), tuple(quality))


def simulated_matches(rng: Rng, panel: Panel, quality: Mapping[str, float]) -> Votes:
    """Draw a study of matching.

    Args:
        rng: draws.
        panel: how many raters and clips, and how they differ.
        quality: of each system, 1 for guessing.

    Returns:
        Votes, 1 or -1, with the right answers.
    """
    expected = rng.choice([-1, 1], (panel.raters, panel.clips))
    cells = {}
    for system, value in latent_values(rng, panel, quality).items():
        chance = np.where(_careless(panel)[:, None], 0.5, 1 / (1 + np.exp(1 - value)))
        cells[system] = np.where(rng.random(value.shape) < chance, expected, -expected)
    return _votes(panel, cells, MATCHING.key, expected.astype(np.float64))


def simulated_azimuths(rng: Rng, panel: Panel, quality: Mapping[str, float]) -> Votes:
    """Draw a study of localisation.

    Args:
        rng: draws.
        panel: how many raters and clips, and how they differ.
        quality: of each system.

    Returns:
        Votes in degrees, positive to the left, with the true azimuths.
    """
    low, high = DESIGNS["localisation"][1]
    clips = rng.integers(-FARTHEST, FARTHEST + 1, panel.clips).astype(np.float64)
    truth = np.broadcast_to(clips, (panel.raters, panel.clips))
    side = np.where(_miswired(panel), -1, 1)[:, None]
    cells = {}
    for system, value in latent_values(rng, panel, quality).items():
        shift = DEGREES * (value - quality[system])
        error = DEGREES * panel.noise * max(5.5 - quality[system], 0.0) * rng.standard_normal(value.shape)
        pointed = np.clip(np.rint(side * (truth + shift + error)), low, high)
        anywhere = rng.integers(low, high + 1, value.shape)
        cells[system] = np.where(_careless(panel)[:, None], anywhere, pointed)
    return _votes(panel, cells, AZIMUTH.key, truth)


def simulated_mushra(rng: Rng, panel: Panel, quality: Mapping[str, float]) -> Votes:
    """Draw a study of the kind of MUSHRA, with its hidden reference and low anchor.

    Args:
        rng: draws.
        panel: how many raters and clips, and how they differ.
        quality: of each system.

    Returns:
        Votes from 0 to 100 with their roles.
    """
    low, high = DESIGNS["mushra"][1]
    cells = {}
    for system, value in latent_values(rng, panel, {**quality, ANCHOR: ANCHOR_QUALITY}).items():
        points = POINTS * (value - 1 + panel.noise * rng.standard_normal(value.shape))
        cells[system] = np.clip(np.rint(points), low, high)
    shape = (panel.raters, panel.clips)
    cells[REFERENCE] = np.where(rng.random(shape) < SLIPS, rng.integers(80, high, shape), high)
    for system, points in cells.items():
        cells[system] = np.where(_careless(panel)[:, None], rng.integers(low, high + 1, shape), points)
    votes = _votes(panel, cells, QUALITY.key)
    roles = [{REFERENCE: "hidden_reference", ANCHOR: "low_anchor"}.get(system, "test") for system in votes.systems]
    return replace(votes, role=np.array([ROLES.index(role) for role in roles])[votes.system])


Simulated = Callable[[Rng, Panel, Mapping[str, float]], Preferences | Votes]
SIMULATED: dict[str, Simulated] = {
    "preference": simulated_preferences,
    "matching": simulated_matches,
    "localisation": simulated_azimuths,
    "mushra": simulated_mushra,
}


def design_rows(design: str, panel: Panel, systems: Sequence[str], study_id: str, seed: int) -> list[dict[str, str]]:
    """Draw a study and write it down as rows of responses.csv.

    Args:
        design: a key of `SIMULATED`.
        panel: how many raters and clips, how they differ, and who misbehaves.
        systems: names, worst first.
        study_id: name of the study.
        seed: of the draw.

    Returns:
        One row a vote, rater by rater.

    Raises:
        UsageError: a panel without raters, clips or systems, or with more misbehaving raters than raters.
    """
    require_panel(panel, systems)
    quality = dict(zip(systems, map(float, qualities(systems).mean(1)), strict=True))
    votes = SIMULATED[design](np.random.default_rng(seed), panel, quality)
    rows = _preference_rows(votes) if isinstance(votes, Preferences) else _vote_rows(votes)
    return [common_columns(panel, rater, clip, study_id) | row for rater, clip, row in sorted(rows, key=_by_rater)]


def _by_rater(row: tuple[int, int, dict[str, str]]) -> tuple[int, int]:
    return row[:2]


def _preference_rows(votes: Preferences) -> Iterator[tuple[int, int, dict[str, str]]]:
    columns = zip(votes.rater, votes.clip, votes.first, votes.second, votes.choice, strict=True)
    for rater, clip, first, second, choice in columns:
        pair = {"system": votes.systems[first], "compared_with": votes.systems[second]}
        yield int(rater), int(clip), {**pair, "dimension": PREFERENCE.key, "rating": str(choice)}


def _vote_rows(votes: Votes) -> Iterator[tuple[int, int, dict[str, str]]]:
    columns = zip(votes.rater, votes.clip, votes.system, votes.rating, votes.role, votes.expected, strict=True)
    for rater, clip, system, rating, role, expected in columns:
        row = {"system": votes.systems[system], "dimension": votes.dimensions[0], "rating": str(rating)}
        known = "" if np.isnan(expected) else f"{expected:.6g}"
        yield int(rater), int(clip), {**row, "role": ROLES[role], "expected": known}


def _votes(panel: Panel, cells: Mapping[str, Floats], dimension: str, expected: Floats | None = None) -> Votes:
    votes = Votes.from_cells(cells, dimension)
    raters, clips = _names(panel)
    told = votes.expected if expected is None else expected[votes.rater, votes.clip]
    return replace(votes, raters=raters, clips=clips, expected=told)


def _names(panel: Panel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(f"R{k + 1:02d}" for k in range(panel.raters)), tuple(f"clip{k + 1:02d}" for k in range(panel.clips))


def _careless(panel: Panel) -> np.ndarray:
    """Which raters answer anything: the last."""
    return np.arange(panel.raters) >= panel.raters - panel.careless


def _miswired(panel: Panel) -> np.ndarray:
    """Which raters hear left and right exchanged: those before the careless ones."""
    return ~_careless(panel) & (np.arange(panel.raters) >= panel.raters - panel.careless - panel.miswired)
