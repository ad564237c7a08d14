"""The network: a ResNet-18 that sees, a U-Net that hears and masks, and the parts that only training asks."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.geometry_aware.config import BINS, FRAMES, RESPONSE, Config
from visaudio_bench.models.geometry_aware.spectra import interaural

LEAK = 0.2
GROUP = 8  # channels
MEETING = 64  # products of what is heard and what is seen


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(max(1, channels // GROUP), channels)


class _Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = _norm(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = _norm(after)
        self.shortcut = (
            nn.Identity()
            if (before, stride) == (after, 1)
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), _norm(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.shortcut(x) + self.norm2(self.conv2(inner)))


class Trunk(nn.Sequential):
    """ResNet-18 without pooling and classifier: pictures `(B, 3, H, W)` in [-1, 1] to a map `(B, 8c, H/32, W/32)`."""

    def __init__(self, channels: int):
        c = channels
        blocks = [
            _Residual(before, after, stride)
            for first, after, stride in ((c, c, 1), (c, 2 * c, 2), (2 * c, 4 * c, 2), (4 * c, 8 * c, 2))
            for before, stride in ((first, stride), (after, 1))
        ]
        stem = (nn.Conv2d(3, c, 7, 2, 3, bias=False), _norm(c), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        super().__init__(*stem, *blocks)


class AudioEncoder(nn.Module):
    """Five convolutions that halve a spectrum `(B, C, 256, 64)` each time; the outputs of all, the last of 8 x 2."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        widths = [inputs, channels, 2 * channels, 4 * channels, 8 * channels, 8 * channels]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.Identity() if i == 0 else _norm(width) for i, width in enumerate(widths[1:]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The outputs of all five."""
        levels = []
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.leaky_relu(norm(convolve(x)), LEAK)
            levels.append(x)
        return levels


def _tiled(vector: Tensor, like: Tensor) -> Tensor:
    return vector[:, :, None, None].expand(-1, -1, *like.shape[2:])


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), _norm(after), nn.ReLU())


class Decoder(nn.Module):
    """Five upconvolutions with connections from the encoder; the difference mask, and the three levels before it."""

    def __init__(self, channels: int, visual: int):
        super().__init__()
        c = channels
        self.ups = nn.ModuleList([_up(8 * c + visual, 8 * c), _up(16 * c, 4 * c), _up(8 * c, 2 * c), _up(4 * c, c)])
        self.mask = nn.ConvTranspose2d(2 * c, 2, 4, 2, 1)

    def forward(self, levels: list[Tensor], visual: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The mask `(B, 2, 256, 64)`, and levels of 32 x 8, 64 x 16 and 128 x 32."""
        deepest = levels[-1]
        x = torch.cat([deepest, _tiled(visual, deepest)], 1)
        made = []
        for up, skip in zip(self.ups, levels[-2::-1], strict=True):
            x = up(x)
            made.append(x)
            x = torch.cat([x, skip], 1)
        return torch.tanh(self.mask(x)), made[1:]


class ChannelMasks(nn.Module):
    """Masks of left and right: each place of the visual map asks the decoder's levels whether it is what sounds."""

    def __init__(self, channels: int, seen: int, places: int):
        super().__init__()
        widths = (4 * channels, 2 * channels, channels)
        self.kernels = nn.ModuleList(nn.Conv2d(seen, width, 1) for width in widths)
        inner = [places, places + channels, places + channels]
        self.mixes = nn.ModuleList(nn.Sequential(nn.Conv2d(n, channels, 3, 1, 1), nn.ReLU()) for n in inner)
        self.masks = nn.ConvTranspose2d(2 * channels, 4, 4, 2, 1)

    def forward(self, levels: list[Tensor], seen: Tensor) -> Tensor:
        """`(B, 2, 2, 256, 64)`, left first."""
        x: Tensor | None = None
        for level, kernel, mix in zip(levels, self.kernels, self.mixes, strict=True):
            asked = kernel(seen).flatten(2)
            answers = torch.einsum("bcft,bcp->bpft", level, asked) / level.shape[1] ** 0.5
            x = mix(answers if x is None else torch.cat([functional.interpolate(x, scale_factor=2.0), answers], 1))
        assert x is not None  # there are three levels
        made = torch.tanh(self.masks(torch.cat([x, levels[-1]], 1)))
        return made.reshape(len(made), 2, 2, *made.shape[2:])


class Coherence(nn.Module):
    """Says whether the ears were exchanged: spectra `(B, 2, 2, 256, 64)` and the visual vector to a logit."""

    def __init__(self, channels: int, visual: int):
        super().__init__()
        width = 8 * channels
        self.encoder = AudioEncoder(4, channels)
        self.hears = nn.Linear(width, MEETING)
        self.sees = nn.Sequential(nn.LayerNorm(visual), nn.Linear(visual, MEETING))
        self.answer = nn.Linear(MEETING, 1)

    def forward(self, ears: Tensor, visual: Tensor) -> Tensor:
        """`(B,)`, above 0 for exchanged."""
        sound = self.hears(self.encoder(interaural(ears))[-1].mean((2, 3)))
        logit: Tensor = self.answer(sound * self.sees(visual))
        return logit[:, 0]


class ResponseGenerator(nn.Module):
    """From the visual vector to the magnitudes `(B, 2, 64, 64)` of a binaural impulse response, by upconvolutions."""

    def __init__(self, channels: int, visual: int):
        super().__init__()
        c = channels
        self.first = nn.Linear(visual, 8 * c * 16)
        self.ups = nn.Sequential(_up(8 * c, 4 * c), _up(4 * c, 2 * c), _up(2 * c, c), _up(c, c))
        self.last = nn.Conv2d(c, 2, 3, 1, 1)

    def forward(self, visual: Tensor) -> Tensor:
        """`(B, 2, 64, 64)`, never negative."""
        made = self.ups(functional.relu(self.first(visual)).reshape(len(visual), -1, 4, 4))
        assert made.shape[-1] == RESPONSE
        return functional.softplus(self.last(made))


class Seen(NamedTuple):
    """The trunk's map `(B, C, h, w)`, and its reduced form as one vector."""

    grid: Tensor
    vector: Tensor


class Masks(NamedTuple):
    """Complex masks for the sum of the ears: `difference` `(B, 2, 256, 64)`; `ears` `(B, 2, 2, 256, 64)` or None."""

    difference: Tensor
    ears: Tensor | None


class GeometryAware(nn.Module):
    """The network of a `Config`."""

    title = "a geometry-aware binauraliser"

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        rows, columns = config.places
        seen, visual = 8 * config.trunk, config.reduced * rows * columns
        if config.pictures:
            self.trunk = Trunk(config.trunk)
            self.reduce = nn.Sequential(nn.Conv2d(seen, config.reduced, 1), nn.ReLU())
        self.encoder = AudioEncoder(2, config.audio)
        self.decoder = Decoder(config.audio, visual)
        if config.channel_masks:
            self.fusion = ChannelMasks(config.audio, seen, rows * columns)
        if config.coherence:
            self.coherence = Coherence(config.audio, visual)
        if config.response:
            self.generator = ResponseGenerator(config.audio, visual)

    def see(self, pictures: Tensor) -> Seen:
        """Look at pictures `(B, 3, H, W)`, bytes; without a trunk all that is seen is zero."""
        config = self.config
        if not config.pictures:
            rows, columns = config.places
            grid = torch.zeros(len(pictures), 8 * config.trunk, rows, columns, device=pictures.device)
            return Seen(grid, grid.new_zeros(len(pictures), config.reduced * rows * columns))
        grid = self.trunk(pictures.float() / 127.5 - 1)
        return Seen(grid, self.reduce(grid).flatten(1))

    def forward(self, mix: Tensor, seen: Seen) -> Masks:
        """Masks for spectra `(B, 2, 256, 64)` of the sum of the ears."""
        if mix.shape[1:] != (2, BINS, FRAMES):
            raise ValueError(f"got spectra of shape {tuple(mix.shape)}, expected (B, 2, {BINS}, {FRAMES})")
        difference, levels = self.decoder(self.encoder(mix), seen.vector)
        return Masks(difference, self.fusion(levels, seen.grid) if self.config.channel_masks else None)
