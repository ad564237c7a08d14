"""Where the source is by what moves, and how far away by a network that sees depth: `foleyspace:FILE:depth=...`.

The network (`models.backbones.depth_anything`) answers with an inverse depth without a unit. It becomes metres so:

1. One picture in `LOOK_EVERY` is looked at, and of each of the cells in which motion is seen the median is taken.
2. The source's inverse depth is the median of the cells, weighted by their motion; over all cells where nothing moves.
   A source that is thinner than a cell, or that stands still while its shadow moves, is read where the motion is.
3. Over time it is smoothed as motion is (`remembered`): what one picture says is not taken for a leap.
4. Its median over the clip is `USUAL` metres away, twice that inverse depth half as far, between `NEAREST` and
   `FARTHEST`. Where the median is 0 (the sky), the network tells no distances apart and all are `USUAL`.

So nothing but the ratio of distances within a clip is told, and how far away the source is stays unknown. A network
whose inverse depths are right up to a constant, which is all that it is trained for, bends the ratios. Pictures are
looked at one by one: what the network takes for their scale may drift, which smoothing hides below half a second only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.baselines.motion import Array, remembered
from visaudio_bench.baselines.source_track import CELLS, FARTHEST, NEAREST, Track, rows_of, what_moves
from visaudio_bench.errors import ClipError
from visaudio_bench.files import digest
from visaudio_bench.models.foleyspace.config import USUAL
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.media import Frame

LOOK_EVERY = 5  # pictures: 0.4 s, below the half second over which is smoothed; a look costs seconds
_SAMPLES = 8  # of a cell, across and down


class DepthModel(Protocol):
    """Sees how near things are."""

    @property
    def name(self) -> str:
        """What it is called in the name of a row."""

    @property
    def sha256(self) -> str:
        """Changes when its answers may."""

    @property
    def library(self) -> str:
        """What computes its answers, with its version: recorded beside every sound."""

    @property
    def unavailable(self) -> str:
        """Why it cannot be used here, with the command that helps; empty if it can."""

    def inverse_depth(self, picture: Frame) -> NDArray[np.float32]:
        """For a picture `(H, W, 3)` numbers `(h, w)` of any size, at least 0, twice as large for half as far."""


class DepthEstimator:
    """The source is what moves, as far away as a network says relative to the rest of the clip."""

    def __init__(self, model: DepthModel):
        self.model = model

    @property
    def revision(self) -> str:
        """As `SourceEstimator.revision`: the code, and the weights where they are here."""
        return "missing" if self.model.unavailable else digest([source_revision(__name__), self.model.sha256])[:24]

    def provenance(self) -> Mapping[str, Any]:
        """The network's name and weights, and what computes."""
        return {"model": self.model.name, "sha256": self.model.sha256, "library": self.model.library}

    def estimate(self, frames: Iterator[Frame]) -> Track:
        """As `SourceEstimator.estimate`.

        Raises:
            ClipError: the network answers with numbers that are none, or with negative ones.
        """
        seen: list[Array] = []
        moving = what_moves(self._looked(frames, seen))
        count = len(moving.share)
        weights = np.where(moving.moves[:, None, None], moving.share, 1.0)[::LOOK_EVERY]
        looks = [weighted_median(cells, weight) for cells, weight in zip(seen, weights, strict=True)]
        inverse = np.interp(np.arange(count), np.arange(0, count, LOOK_EVERY), looks)
        return replace(moving.track(), depth=metres(inverse))

    def _looked(self, frames: Iterator[Frame], seen: list[Array]) -> Iterator[Frame]:
        """The same pictures; what the network sees of one in `LOOK_EVERY` is put into `seen`, cell by cell."""
        for index, picture in enumerate(frames):
            if index % LOOK_EVERY == 0:
                seen.append(cell_medians(self._checked(picture), rows_of(picture)))
            yield picture

    def _checked(self, picture: Frame) -> NDArray[np.float32]:
        answer = self.model.inverse_depth(picture)
        if not (np.isfinite(answer).all() and (answer >= 0).all()):
            raise ClipError(
                "depth", f"{self.model.name} answers a picture with depths that are no numbers, or negative."
            )
        return answer


def metres(inverse: Array) -> Array:
    """Turn inverse depths `(T,)` without a unit, 12.5 a second, into metres by the rule at the top of this module."""
    smooth = remembered(inverse) / remembered(np.ones_like(inverse))
    usual = float(np.median(smooth))
    if usual <= 0:
        return np.full_like(smooth, USUAL)
    # What is 0 is as far away as can be.
    return np.asarray(USUAL * usual / np.clip(smooth, usual * USUAL / FARTHEST, usual * USUAL / NEAREST))


def cell_medians(answer: NDArray[np.float32], rows: int) -> Array:
    """Reduce what a network says of a picture to medians of cells.

    Args:
        answer: `(h, w)` of any size, also smaller than the cells are many.
        rows: of cells.

    Returns:
        `(rows, CELLS)`.
    """
    down, across = (
        ((2 * np.arange(cells * _SAMPLES) + 1) * size) // (2 * cells * _SAMPLES)
        for cells, size in zip((rows, CELLS), answer.shape, strict=True)
    )
    samples = answer[down][:, across].reshape(rows, _SAMPLES, CELLS, _SAMPLES)
    return np.asarray(np.median(samples, axis=(1, 3)), dtype=np.float64)


def weighted_median(values: Array, weights: Array) -> float:
    """Find the value in the middle of others.

    Args:
        values: of any shape.
        weights: of the same shape, at least 0 and not all 0.

    Returns:
        The least value that has half of the weight, or more, at or below itself.
    """
    return float(np.quantile(values, 0.5, weights=weights, method="inverted_cdf"))
