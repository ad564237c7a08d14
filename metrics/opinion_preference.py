"""Paired preferences: which of two systems' sounds people would rather have for a video, and by how much.

A vote says of two sounds of one clip that the first is better (1), the second (-1), or that there is no difference (0).
Two summaries are made of such votes:

- for each pair of systems the share of votes for A, no difference counting half: 0.5 is even. Its interval and p treat
  raters and clips both as drawn at random (`crossed`, `crossed_p`), and Holm corrects p over the pairs;
- one strength for each system by the model of Bradley and Terry (1952): A is preferred to B with the odds exp(a - b).
  Strengths are log-odds, higher is better, and their mean over the systems is 0; no difference counts as half a vote
  for each. They use indirect comparisons too: who beats a strong system is strong. The interval is a percentile
  interval of a bootstrap that resamples raters and clips independently (Owen 2007, "The pigeonhole bootstrap").

A system that never lost (or never won) has no finite strength; half a vote each way is added to every pair that was
asked, which draws strengths a little towards 0 and keeps them finite.

Sources: Bradley and Terry (1952); Hunter (2004), "MM algorithms for generalized Bradley-Terry models", for the
iteration.

Functions: `bradley_terry`, `strengths`, `compare_pairs`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.opinion import Codes, Floats, OpinionInterval, crossed, with_votes
from visaudio_bench.metrics.opinion_comparison import crossed_p
from visaudio_bench.metrics.uncertainty import holm

RESAMPLES = 1000
PRIOR = 0.5  # votes each way that are added to a pair that was asked
ITERATIONS = 500
_CLOSE = 1e-7


@dataclass(frozen=True)
class Preferences:
    """N votes on pairs: codes, and the names that the codes stand for.

    Attributes:
        rater: (N,) codes into `raters`.
        clip: (N,) codes into `clips`.
        first: (N,) codes into `systems`, of the sound that was shown first.
        second: (N,) codes into `systems`, of the other.
        choice: (N,) 1 where the first is better, -1 where the second is, 0 for no difference.
        raters: names of the raters.
        clips: names of the clips.
        systems: names of the systems.
    """

    rater: Codes
    clip: Codes
    first: Codes
    second: Codes
    choice: Codes
    raters: tuple[str, ...]
    clips: tuple[str, ...]
    systems: tuple[str, ...]

    def cell(self, a: str, b: str) -> Floats:
        """Arrange the votes on one pair as a matrix.

        Args:
            a: name of a system.
            b: name of another.

        Returns:
            The cell (R, I), raters by clips: 1 where A is better, -1 where B is, 0 for no difference, NaN for no vote.

        Raises:
            ValueError: an unknown system.
        """
        one, other = self.systems.index(a), self.systems.index(b)
        out = np.full((len(self.raters), len(self.clips)), np.nan)
        for sign, x, y in ((1, one, other), (-1, other, one)):
            mine = (self.first == x) & (self.second == y)
            out[self.rater[mine], self.clip[mine]] = sign * self.choice[mine]
        return out


class PairPreference(NamedTuple):
    """System A against system B.

    Attributes:
        a: name of system A.
        b: name of system B.
        share: of votes for A with its interval, no difference counting half.
        ties: share of votes that say no difference.
        p: of an even share, for other raters and clips.
        p_holm: corrected over the pairs.
        n_votes: number of votes on the pair.
    """

    a: str
    b: str
    share: OpinionInterval
    ties: float
    p: float
    p_holm: float
    n_votes: int


class Strength(NamedTuple):
    """A system's strength in log-odds.

    Attributes:
        system: name of the system.
        strength: log-odds against an average system.
        low: lower end of the interval, NaN with fewer than 2 raters or clips.
        high: upper end of the interval, NaN with fewer than 2 raters or clips.
        n_votes: number of votes in which the system was one of the two.
    """

    system: str
    strength: float
    low: float
    high: float
    n_votes: int


def bradley_terry(wins: npt.ArrayLike) -> Floats:
    """Fit strengths to counts of preferences.

    Args:
        wins: (..., S, S) counts, how often row was preferred to column; halves for no difference.

    Returns:
        Strengths (..., S) in log-odds with mean 0.

    Example:
        Preferred three times out of four, with half a vote each way added: 3.5 to 1.5.

        >>> a, b = bradley_terry([[0, 3], [1, 0]])
        >>> round(float(np.exp(a - b)), 3)
        2.333
    """
    counts = np.asarray(wins, dtype=np.float64)
    asked = (counts + np.swapaxes(counts, -1, -2)) > 0
    counts = counts + PRIOR * asked
    games = counts + np.swapaxes(counts, -1, -2)
    won = counts.sum(-1)
    worth = np.ones(counts.shape[:-1])
    for _ in range(ITERATIONS):
        together = worth[..., :, None] + worth[..., None, :]
        below = (games / together).sum(-1)
        new = np.where(below > 0, won / np.where(below > 0, below, 1), 1.0)
        new = new / np.exp(np.log(new).mean(-1, keepdims=True))
        done = np.abs(np.log(new) - np.log(worth)).max(initial=0) < _CLOSE
        worth = new
        if done:
            break
    strength: Floats = np.log(worth)
    strength -= strength.mean(-1, keepdims=True)
    return strength


def strengths(votes: Preferences, confidence: float = 0.95, seed: int = 0) -> list[Strength]:
    """Fit a strength to every system, with an interval over raters and clips.

    Args:
        votes: of a study.
        confidence: coverage of the intervals.
        seed: of the resamples.

    Returns:
        The strengths in the order of `votes.systems`.

    Example:
        >>> codes = lambda *values: np.array(values)
        >>> votes = Preferences(
        ...     codes(0, 0, 1, 1), codes(0, 1, 0, 1), codes(0, 0, 0, 0), codes(1, 1, 1, 1), codes(1, 1, 1, 0),
        ...     ("r0", "r1"), ("c0", "c1"), ("ours", "theirs"),
        ... )
        >>> [(one.system, round(one.strength, 2)) for one in strengths(votes)]
        [('ours', 0.69), ('theirs', -0.69)]
    """
    size, rng = len(votes.systems), np.random.default_rng(seed)
    scores = (1 + votes.choice) / 2
    found = bradley_terry(_wins(votes, scores, np.ones((1, len(scores)))))[0]
    low = high = np.full(size, np.nan)
    if len(votes.raters) >= 2 and len(votes.clips) >= 2:
        raters = rng.multinomial(len(votes.raters), np.full(len(votes.raters), 1 / len(votes.raters)), RESAMPLES)
        clips = rng.multinomial(len(votes.clips), np.full(len(votes.clips), 1 / len(votes.clips)), RESAMPLES)
        draws = bradley_terry(_wins(votes, scores, (raters[:, votes.rater] * clips[:, votes.clip]).astype(np.float64)))
        low, high = np.quantile(draws, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    counts = np.bincount(votes.first, minlength=size) + np.bincount(votes.second, minlength=size)
    return [
        Strength(name, float(found[k]), float(low[k]), float(high[k]), int(counts[k]))
        for k, name in enumerate(votes.systems)
    ]


def _wins(votes: Preferences, scores: Floats, weights: Floats) -> Floats:
    """How often row was preferred to column, (K, S, S), with K rows of weights of the votes."""
    size = len(votes.systems)
    out = np.zeros((len(weights), size * size))
    for place, value in ((votes.first * size + votes.second, scores), (votes.second * size + votes.first, 1 - scores)):
        for cell in np.unique(place):
            mine = place == cell
            out[:, cell] += weights[:, mine] @ value[mine]
    return out.reshape(-1, size, size)


def compare_pairs(votes: Preferences, confidence: float = 0.95) -> list[PairPreference]:
    """Compare every pair of systems that was asked.

    Args:
        votes: of a study.
        confidence: coverage of the intervals.

    Returns:
        One comparison for each pair in the order of `votes.systems`, with Holm's correction over the pairs.

    Example:
        >>> codes = lambda *values: np.array(values)
        >>> votes = Preferences(
        ...     codes(0, 0, 1, 1), codes(0, 1, 0, 1), codes(0, 0, 1, 1), codes(1, 1, 0, 0), codes(1, 1, -1, 0),
        ...     ("r0", "r1"), ("c0", "c1"), ("ours", "theirs"),
        ... )
        >>> (pair,) = compare_pairs(votes)
        >>> pair.share.mean, pair.ties
        (0.875, 0.25)
    """
    pairs = []
    for a, b in combinations(votes.systems, 2):
        kept = with_votes(votes.cell(a, b))
        if not kept.size:
            continue
        choices = kept[~np.isnan(kept)]
        share, ties = crossed((1 + kept) / 2, confidence), float((choices == 0).mean())
        pairs.append(PairPreference(a, b, share, ties, crossed_p(kept), math.nan, len(choices)))
    corrected = holm([pair.p for pair in pairs])
    return [pair._replace(p_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)]
