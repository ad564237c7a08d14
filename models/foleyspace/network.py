"""The network: predicts the clean spectra of both ears from noisy ones, a mono spectrum, a trajectory and the time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.backbones.layers import drawn
from visaudio_bench.models.foleyspace.config import BINS, DRAWN_ABOVE, EXPECTED_BELOW, FFT, Config
from visaudio_bench.models.foleyspace.spectra import PASTS, PLACE

EARS = 4  # real and imaginary parts, left first
FIRST_SPREAD = 0.3  # in units of the mono sound


class SpatialDiffusion(nn.Module):
    """The network of a `Config`."""

    title = "a diffusion model from mono sound and trajectory to binaural sound"

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.places = nn.Sequential(
            nn.Linear(PLACE, config.hidden), nn.SiLU(), nn.Linear(config.hidden, config.hidden), nn.SiLU(),
            nn.Linear(config.hidden, config.rank),
        )  # fmt: skip
        self.frequencies = nn.Parameter(drawn(EARS, BINS, config.rank, scale=config.rank**-0.5))
        self.start = nn.Parameter(torch.zeros(EARS, BINS, 1))
        self.spread = nn.Parameter(torch.full((BINS, 1), math.log(FIRST_SPREAD)))
        if config.hears_decay:
            self.decay = nn.Sequential(
                nn.Conv2d(len(PASTS) + 1, config.channels, 3, 1, 1), nn.SiLU(), nn.Conv2d(config.channels, 2, 1)
            )
            zeroed(self.decay[-1])
        # noisy ears, mono, what the transfer functions say of the ears, time, frequency
        inputs = EARS + 2 + EARS + 2
        widths = [inputs, *[config.channels] * config.layers]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, config.channels, 3, 1, 1) for before in widths[: config.layers]
        )
        self.correct = nn.Conv2d(config.channels, EARS, 1)
        zeroed(self.correct)

    def transfer(self, places: Tensor) -> Tensor:
        """Transfer functions `(B, 4, F, T)` of places `(B, T, PLACE)`."""
        return torch.einsum("efr,btr->beft", self.frequencies, self.places(places)) + self.start

    def straight_and_spread(self, falls: Tensor) -> tuple[Tensor, Tensor]:
        """How much of the transferred difference of the ears is heard, and the logarithm of the spread around it.

        Args:
            falls: `(B, 2, F, T)`, as `Unit` has them.

        Returns:
            A factor `(B, 1, F, T)` and a logarithm; without `hears_decay` 1 and what is learnt of each frequency.
        """
        if not self.config.hears_decay:
            return torch.ones_like(falls[:, :1]), self.spread.expand_as(falls[:, :1])
        share, wider = self.decay(torch.cat([falls, _height(falls)], 1)).split(1, 1)
        return 2 * share.sigmoid(), self.spread + wider

    def kept(self, time: Tensor, spread: Tensor) -> Tensor:
        """How much of what is seen beyond the transferred sound is of the data, as `spread`: Wiener's filter.

        Data that lie around the transferred sound with a deviation s, of which `t data + (1 - t) noise` is seen, are
        expected at `t s^2 / (t^2 s^2 + (1 - t)^2)` times what is seen beyond it. The logarithm of s is
        `spread`, so that what the path says exactly ends without noise, and what a room adds keeps its spread.
        """
        t = time[:, None, None, None]
        variance = (2 * spread).exp()
        return t * variance / (t**2 * variance + (1 - t) ** 2)

    def forward(self, noisy: Tensor, time: Tensor, mono: Tensor, places: Tensor, falls: Tensor) -> Tensor:
        """The clean spectra `(B, 4, F, T)`.

        Args:
            noisy: `(B, 4, F, T)` in units of the mono sound: `(1 - t) noise + t data`.
            time: `(B,)` t from 0 to 1.
            mono: `(B, 2, F, T)` in the same units.
            places: `(B, T, PLACE)`, one a frame.
            falls: `(B, 2, F, T)`, of the mono sound from its recent past.
        """
        straight, spread = self.straight_and_spread(falls)
        transferred = with_difference(through(self.transfer(places), mono), straight)
        at = time[:, None, None, None]
        x = torch.cat([noisy, mono, transferred, at * torch.ones_like(mono[:, :1]), _height(mono)], 1)
        for index, convolve in enumerate(self.convolutions):
            y = functional.silu(convolve(x))
            x = y if index == 0 else x + y
        correction: Tensor = self.correct(x)
        made = transferred + self.kept(time, spread) * (noisy - at * transferred) + correction
        return with_mean(made, mono) if self.config.keeps_mean else made


def zeroed(layer: nn.Module) -> None:
    """Let a layer begin by saying nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _height(spectra: Tensor) -> Tensor:
    """`(B, 1, F, T)`: -1 at the lowest frequency to 1 at the highest."""
    height = torch.linspace(-1, 1, spectra.shape[2], device=spectra.device)[:, None]
    return height.expand_as(spectra[:, :1])


def with_difference(ears: Tensor, factor: Tensor) -> Tensor:
    """Let two ears differ more or less.

    Args:
        ears: spectra `(B, 4, F, T)`: real and imaginary part of the left ear, then of the right one.
        factor: `(B, 1, F, T)`.

    Returns:
        Spectra as `ears`, with the same mean.
    """
    mean, half = (ears[:, :2] + ears[:, 2:]) / 2, factor * (ears[:, :2] - ears[:, 2:]) / 2
    return torch.cat([mean + half, mean - half], 1)


def with_mean(ears: Tensor, mono: Tensor) -> Tensor:
    """Give two ears another mean.

    Args:
        ears: spectra `(B, 4, F, T)`: real and imaginary part of the left ear, then of the right one.
        mono: `(B, 2, F, T)`, what their mean is to be.

    Returns:
        Spectra as `ears`, with the same difference of the ears.
    """
    half = (ears[:, :2] - ears[:, 2:]) / 2
    return torch.cat([mono + half, mono - half], 1)


def through(transfer: Tensor, mono: Tensor) -> Tensor:
    """Send a mono spectrum through the transfer functions of two ears.

    Args:
        transfer: `(B, 4, F, T)`: real and imaginary part of the left ear's, then of the right ear's.
        mono: `(B, 2, F, T)`: real and imaginary part.

    Returns:
        `(B, 4, F, T)`, the complex products.
    """
    real, imaginary = mono[:, 0], mono[:, 1]
    ears = []
    for ear in (0, 2):
        a, b = transfer[:, ear], transfer[:, ear + 1]
        ears += [a * real - b * imaginary, a * imaginary + b * real]
    return torch.stack(ears, 1)


@torch.no_grad()
def diffuse(
    network: SpatialDiffusion, noise: Tensor, mono: Tensor, places: Tensor, falls: Tensor, steps: int
) -> Tensor:
    """Follow the network from noise to the spectra of both ears, in equal steps of the time.

    In rooms the ears are what is expected of them where interaural time is heard, and drawn above. What is drawn has
    twice the mean square error of what is expected, also in its phase; but only what is drawn has a room's energy in
    both ears, without which differences of level are too large.

    Args:
        network: predicts clean spectra.
        noise: `(B, 4, F, T)`.
        mono: spectrum `(B, 2, F, T)` in its own unit.
        places: features of the trajectory, a row for each of the T frames.
        falls: `(B, 2, F, T)`, of the mono sound from its recent past.
        steps: how many.

    Returns:
        Spectra `(B, 4, F, T)` in the unit of the mono sound.
    """
    x, expected = noise, noise
    for step in range(steps):
        time = torch.full((len(x),), step / steps, device=x.device)
        clean = network(x, time, mono, places, falls)
        if step == 0:
            expected = clean  # pure noise tells nothing
        # On a straight path the velocity leads to the data, which are 1 - t away.
        x = x + (clean - x) / (1 - time[:, None, None, None]) / steps
    if not network.config.keeps_mean:
        return x
    return expected + drawn_share(x.shape[2]).to(x.device) * (x - expected)


def drawn_share(bins: int) -> Tensor:
    """How much of what is drawn beyond the expected is heard in a room, `(bins, 1)`: nothing at low frequencies.

    It goes from 0 at `EXPECTED_BELOW` to 1 at `DRAWN_ABOVE` with the logarithm of the frequency.
    """
    frequency = torch.arange(bins)[:, None] * (SAMPLE_RATE / FFT)
    octaves = math.log2(DRAWN_ABOVE / EXPECTED_BELOW)
    return ((frequency / EXPECTED_BELOW).clamp_min(1.0).log2() / octaves).clamp_max(1.0)
