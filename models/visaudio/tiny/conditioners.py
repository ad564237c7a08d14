"""Conditioners without weights: colours, motion and hashed words in place of CLIP, Synchformer and PE.

Each stands where ViSAudio has a network, at the same rate and in the same order, and knows as much about *where* as
that network is meant to: the vector of a picture has its colours and its motion in 4 x 4 places (coarse, as CLIP's is),
sync tokens say how much moves and not where, the spatial grid has colours and motion in 8 x 8 places, and says in which
of them most happens.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CLIP_RATE, SYNC_RATE, SYNC_SEGMENT, SYNC_STEP, lengths
from visaudio_bench.suites.media import iter_frames, require_pictures

GRID, TEXT_TOKENS, TEXT_DIM = 8, 16, 64
_COARSE = 4
_SIDE = 2 * GRID  # pictures are reduced to 16 x 16 cells, 2 x 2 for each place of the grid
# These bring motion and its shares to about the spread that networks' features have.
_MOTION_GAIN, _SHARE_GAIN = 8.0, 20.0
_SHARES = (0.2, 1.0)  # s around a picture: what happens now, and about now


class BuiltInConditioners:
    """The conditioners of `tiny`: clip `(nc, 64)`, sync `(ns, 32)`, text `(16, 64)`, spatial `(nc, 8, 8, 32)`."""

    name = "built-in"

    def __init__(self) -> None:
        self.identity = {"conditioners": self.name, "version": "2"}

    def encode(self, video: Path, caption: str | None, *, start: float, duration: float) -> Conditions:
        """As `Conditioners.encode`."""
        require_pictures(video, start, duration)
        cells, motion = _reduce(video, start, duration)
        wanted = lengths(duration)
        picked = torch.tensor([math.ceil(k * SYNC_RATE / CLIP_RATE - 1e-9) for k in range(wanted.clip)])
        return Conditions(
            _layout(cells, motion, picked)[None],
            _sync(motion, wanted.sync)[None],
            self.encode_text(caption or "")[None],
            _places(cells, motion, picked)[None],
        )

    def encode_text(self, caption: str) -> Tensor:
        """Tokens `(16, 64)`: each word, up to 16, is a direction that its spelling decides; no word is zero."""
        words = re.findall(r"\w+", caption.lower())[:TEXT_TOKENS]
        tokens = np.zeros((TEXT_TOKENS, TEXT_DIM), np.float32)
        for row, word in zip(tokens, words, strict=False):
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            row[:] = np.random.default_rng(seed).standard_normal(TEXT_DIM)
        return torch.from_numpy(tokens)


def _reduce(video: Path, start: float, duration: float) -> tuple[Tensor, Tensor]:
    """Colours `(F, 3, 16, 16)` in [-1, 1] and motion `(F, 16, 16)` of the frames at 25 a second."""
    pictures = []
    for _, frame in iter_frames(video, fps=SYNC_RATE, start=start, duration=duration):
        planar = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
        pictures.append(functional.adaptive_avg_pool2d(planar, 4 * _SIDE)[0])
    fine = torch.stack(pictures) / 127.5 - 1
    change = torch.zeros_like(fine[:, 0])
    change[1:] = fine.diff(dim=0).abs().mean(1)
    # The root makes small movements count; the largest are cuts and flashes.
    motion = _MOTION_GAIN * functional.avg_pool2d(change[:, None], 4)[:, 0].sqrt()
    return functional.avg_pool2d(fine, 4), motion


def _layout(cells: Tensor, motion: Tensor, picked: Tensor) -> Tensor:
    """`(nc, 64)`: colours and motion of 4 x 4 places."""
    coarse = torch.cat([cells, _recent(motion)[:, None]], dim=1)[picked]
    return functional.avg_pool2d(coarse, _SIDE // _COARSE).flatten(1)


def _places(cells: Tensor, motion: Tensor, picked: Tensor) -> Tensor:
    """`(nc, 8, 8, 32)`: for 2 x 2 cells of each place colours, change of brightness, shares of motion, and motion."""
    recent = _recent(motion)[picked][:, None]
    colours = cells[picked]
    change = torch.zeros_like(recent)
    change[1:] = 4 * colours.mean(1, keepdim=True).diff(dim=0)
    shares = [_share(motion, seconds)[picked][:, None] for seconds in _SHARES]
    earlier = torch.cat([recent[:1], recent[:-1]])
    stacked = torch.cat([colours, change, *shares, recent, earlier], dim=1)
    return functional.pixel_unshuffle(stacked, 2).permute(0, 2, 3, 1).contiguous()


def _share(motion: Tensor, seconds: float) -> Tensor:
    """Which part of all that happens within some seconds before and after happens in each cell, `(F, 16, 16)`.

    Only what is sudden counts: more than the median over a fifth of a second, so that a camera's turning, which moves
    every cell all the time, does not hide what is struck. Shares say where, however much moves in all.
    """
    energy = (motion / _MOTION_GAIN).square()
    around = functional.pad(energy.flatten(1).T, (2, 2), mode="replicate").unfold(1, 5, 1)
    sudden = (energy.flatten(1) - around.median(-1).values.T).clamp_min(0) + 1e-4
    reach = round(seconds * SYNC_RATE)
    summed = functional.avg_pool1d(sudden.T, 2 * reach + 1, 1, reach, count_include_pad=False).T
    return _SHARE_GAIN * (summed / summed.sum(1, keepdim=True)).view_as(motion)


def _recent(motion: Tensor) -> Tensor:
    """The strongest motion of the last four frames (0.16 s), so that none falls between two pictures."""
    padded = torch.cat([motion[:1].expand(3, -1, -1), motion])
    return padded.unfold(0, 4, 1).amax(-1)


def _sync(motion: Tensor, count: int) -> Tensor:
    """`(ns, 32)`: a token for two frames of a segment; for each frame the motion of the 16 most moving of 64 places."""
    places = functional.avg_pool2d(motion[:, None], 2).flatten(1)
    strongest = places.topk(16, dim=1).values
    segments = strongest.unfold(0, SYNC_SEGMENT, SYNC_STEP)  # (S, 16 values, 16 frames)
    tokens = segments.transpose(1, 2).reshape(len(segments), SYNC_SEGMENT // 2, 32).flatten(0, 1)
    return tokens[:count]
