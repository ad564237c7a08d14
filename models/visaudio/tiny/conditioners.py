"""Conditioners without weights: colours, sudden motion and hashed words in place of CLIP, Synchformer and PE.

Each stands where ViSAudio has a network, at the same rate and in the same order, and knows as much about *where* as
that network is meant to: the vector of a picture has its colours in 4 x 4 places (coarse, as CLIP's is) and the colours
of what suddenly moves, sync tokens say when something happens and not where, the spatial grid has colours and motion in
8 x 8 places, and says in which of them most happens.

Every value is bounded, whatever the video: colours are taken against the picture's mean and contrast, motion through a
curve that levels off. A black picture, a still one and a flickering one lie inside what is seen in training.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.visaudio.conditions import Conditions
from visaudio_bench.models.visaudio.config import CLIP_RATE, SYNC_RATE, SYNC_SEGMENT, SYNC_STEP, lengths
from visaudio_bench.suites.media import iter_frames, require_pictures

GRID, TEXT_TOKENS, TEXT_DIM = 8, 16, 64
_COARSE, _HUES = 4, 12
_FINE = 64  # pictures are reduced to 64 x 64 pixels, and those to 16 x 16 cells, 2 x 2 for each place of the grid
_PIXELS = 4  # of a cell, each way
_NOISE = 2e-4  # of squared change, full scale 2: what a sensor and an encoder do to a picture in which nothing happens
_SHARES = (0.2, 1.0)  # s around a picture: what happens now, and about now
_AROUND = 1.0  # s, within which a moment is compared with the most sudden one
_SHAKE = 0.75  # of the cells: what that many do is the camera's or the lamps' doing


class _Seen(NamedTuple):
    """What is seen of a clip's F frames, each value bounded."""

    cells: Tensor  # (F, 3, 16, 16) colours against mean and contrast, [-2, 2]
    motion: Tensor  # (F, 16, 16) in [0, 1]
    sudden: Tensor  # (F, 16, 16) squared change that is no steady motion and not everywhere
    everywhere: Tensor  # (F,) in [0, 1]: what is everywhere
    hues: Tensor  # (F, 16) colours of what suddenly moves


class _Shown(NamedTuple):
    """What is seen of a clip, and how long that lasts in seconds."""

    seen: _Seen
    duration: float


class BuiltInConditioners:
    """The conditioners of `tiny`: clip `(nc, 64)`, sync `(ns, 32)`, text `(16, 64)`, spatial `(nc, 8, 8, 32)`."""

    name = "built-in"

    def __init__(self) -> None:
        self.identity = {"conditioners": self.name, "version": "3"}

    def encode(self, video: Path, caption: str | None, *, start: float, duration: float) -> Conditions:
        """As `Conditioners.encode`."""
        return self.look(self.read(video, start=start, duration=duration), caption)

    def read(self, video: Path, *, start: float, duration: float) -> _Shown:
        """As `Conditioners.read`."""
        require_pictures(video, start, duration)
        return _Shown(_watch(video, start, duration), duration)

    def look(self, pictures: _Shown, caption: str | None) -> Conditions:
        """As `Conditioners.look`."""
        seen, duration = pictures
        wanted = lengths(duration)
        picked = torch.tensor([math.ceil(k * SYNC_RATE / CLIP_RATE - 1e-9) for k in range(wanted.clip)])
        return Conditions(
            _layout(seen, picked)[None],
            _sync(seen, wanted.sync)[None],
            self.encode_text(caption or "")[None],
            _places(seen, picked)[None],
        )

    def encode_text(self, caption: str) -> Tensor:
        """Tokens `(16, 64)`: each word, up to 16, is a direction that its spelling decides; no word is zero."""
        words = re.findall(r"\w+", caption.lower())[:TEXT_TOKENS]
        tokens = np.zeros((TEXT_TOKENS, TEXT_DIM), np.float32)
        for row, word in zip(tokens, words, strict=False):
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            row[:] = np.random.default_rng(seed).standard_normal(TEXT_DIM)
        return torch.from_numpy(tokens)


def _watch(video: Path, start: float, duration: float) -> _Seen:
    pictures = []
    for _, frame in iter_frames(video, fps=SYNC_RATE, start=start, duration=duration):
        planar = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
        pictures.append(functional.adaptive_avg_pool2d(planar, _FINE)[0])
    fine = torch.stack(pictures) / 127.5 - 1
    change = torch.zeros_like(fine[:, 0])
    change[1:] = fine.diff(dim=0).square().mean(1)
    energy = functional.avg_pool2d(change[:, None], _PIXELS)[:, 0]
    sudden, everywhere = _sudden(energy)
    cells = functional.avg_pool2d(fine, _PIXELS)
    mean, contrast = cells.mean((1, 2, 3), keepdim=True), cells.std((1, 2, 3), keepdim=True)
    return _Seen(
        ((cells - mean) / (contrast + 0.1)).clamp(-2, 2),
        _levelled(energy),
        sudden,
        _levelled(everywhere),
        _hues(fine, change, sudden),
    )


def _levelled(energy: Tensor) -> Tensor:
    """Squared change in [0, 1]: 0 below what noise does, 0.5 some 20 dB above, and never above 1."""
    above = (energy / _NOISE).clamp_min(1).log()
    return above / (above + 4.6)


def _sudden(energy: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the squared change `(F, 16, 16)` is sudden and in a few places, and what is sudden everywhere `(F,)`.

    More than the median over a fifth of a second is sudden, so that a camera's turning and who walks by do not hide
    what is struck. What most of the places do is a hand that shakes, or a lamp.
    """
    rows = energy.flatten(1)
    around = functional.pad(rows.T, (2, 2), mode="replicate").unfold(1, 5, 1)
    above = (rows - around.median(-1).values.T).clamp_min(0)
    everywhere = above.quantile(_SHAKE, dim=1, keepdim=True)
    local = (above - 2 * everywhere - _NOISE).clamp_min(0)
    return local.view_as(energy), everywhere[:, 0]


def _hues(fine: Tensor, change: Tensor, sudden: Tensor) -> Tensor:
    """`(F, 16)`: which part of what suddenly moves within a fifth of a second has each of 12 hues, or is how bright.

    Three steps of brightness, against the picture's, are those of what is grey. The last value says how much there is
    to tell the colours of: all are near 0 where nothing moves.
    """
    weight = change * functional.interpolate((sudden > 0).float()[:, None], scale_factor=_PIXELS)[:, 0]
    low, high = fine.amin(1), fine.amax(1)
    colour = (high - low) / (high + 1.1)  # saturation
    red, green, blue = fine.unbind(1)
    angle = torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * math.pi) * _HUES
    bright = fine.mean(1)
    bright = (bright - bright.mean((1, 2), keepdim=True)) / (bright.std((1, 2), keepdim=True) + 0.1)
    step = (bright + 2).clamp(0, 2.999).floor().long()
    dull = colour < 0.25
    which = torch.where(dull, _HUES + step, angle.remainder(_HUES).floor().long().clamp(0, _HUES - 1))
    counted = torch.zeros(len(fine), _HUES + 4)
    counted.scatter_add_(1, which.flatten(1), weight.flatten(1))
    reach = round(0.2 * SYNC_RATE)
    near = functional.avg_pool1d(counted.T, 2 * reach + 1, 1, reach, count_include_pad=False).T
    near = near / (near.sum(1, keepdim=True) + 1e-2)
    return torch.cat([near[:, :-1], near.sum(1, keepdim=True)], dim=1)


def _layout(seen: _Seen, picked: Tensor) -> Tensor:
    """`(nc, 64)`: colours of 4 x 4 places, and those of what suddenly moves."""
    coarse = functional.avg_pool2d(seen.cells[picked], 2 * GRID // _COARSE).flatten(1)
    return torch.cat([coarse, 2 * seen.hues[picked]], dim=1)


def _places(seen: _Seen, picked: Tensor) -> Tensor:
    """`(nc, 8, 8, 32)`: for 2 x 2 cells of each place colours, change of brightness, shares of motion, and motion."""
    recent = _recent(seen.motion)[picked][:, None]
    colours = seen.cells[picked]
    change = torch.zeros_like(recent)
    change[1:] = colours.mean(1, keepdim=True).diff(dim=0)
    shares = [_share(seen.sudden, seconds)[picked][:, None] for seconds in _SHARES]
    earlier = torch.cat([recent[:1], recent[:-1]])
    stacked = torch.cat([colours, change.clamp(-1, 1), *shares, 2 * recent, 2 * earlier], dim=1)
    return functional.pixel_unshuffle(stacked, 2).permute(0, 2, 3, 1).contiguous()


def _share(sudden: Tensor, seconds: float) -> Tensor:
    """Which part of all that suddenly happens around a frame happens in each cell: `(F, 16, 16)` in [0, 4].

    Shares say where, however much moves in all; where nothing does, all are near 0.
    """
    reach = round(seconds * SYNC_RATE)
    summed = functional.avg_pool1d(sudden.flatten(1).T, 2 * reach + 1, 1, reach, count_include_pad=False).T
    return 4 * (summed / (summed.sum(1, keepdim=True) + 1e-2)).sqrt().view_as(sudden)


def _recent(motion: Tensor) -> Tensor:
    """The strongest motion of the last four frames (0.16 s), so that none falls between two pictures."""
    padded = torch.cat([motion[:1].expand(3, -1, -1), motion])
    return padded.unfold(0, 4, 1).amax(-1)


def _sync(seen: _Seen, count: int) -> Tensor:
    """`(ns, 32)`: a token for two frames of a segment, 16 values for each frame.

    They say how sudden a frame is beside the most sudden one within a second (this one, those before and behind, and
    whether it is a peak), how sudden it is at all, how much of that is everywhere, how many places take part, and how
    much the most moving places move.
    """
    total = seen.sudden.flatten(1).sum(1)
    reach = round(_AROUND * SYNC_RATE)
    most = functional.max_pool1d(total[None], 2 * reach + 1, 1, reach)[0]
    beside = (total / (most + 2e-2)).sqrt()
    padded = functional.pad(beside[None], (2, 2), mode="replicate")[0].unfold(0, 5, 1)
    peak = ((padded[:, 2] >= padded.amax(1)) & (beside > 0.2)).float()
    part = (seen.sudden.flatten(1) > 0).float().mean(1)
    strongest = seen.motion.flatten(1).topk(32, dim=1).values[:, ::8]  # (F, 4)
    values = [2 * padded, 2 * peak[:, None], beside.diff(prepend=beside[:1])[:, None], _levelled(total / 16)[:, None]]
    values += [seen.everywhere[:, None], part[:, None], strongest, seen.motion.flatten(1).mean(1, keepdim=True)]
    values += [seen.hues[:, -1:]]
    tokens = torch.cat(values, dim=1)  # (F, 16)
    segments = tokens.unfold(0, SYNC_SEGMENT, SYNC_STEP)  # (S, 16 values, 16 frames)
    return segments.transpose(1, 2).reshape(len(segments), SYNC_SEGMENT // 2, 32).flatten(0, 1)[:count]
