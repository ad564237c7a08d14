"""Sizes of the diffusion network, and the constants of its spectra."""

from __future__ import annotations

from dataclasses import dataclass

from visaudio_bench.models.stored_config import StoredConfig

FFT, HOP = 1024, 256
BINS = FFT // 2 + 1
FRAMES = 64  # of a training window
SAMPLES = (FRAMES - 1) * HOP  # 0.366 s
FURTHEST, NEAREST = 10.0, 0.5  # m
USUAL = 2.0  # m: where the level is the mono sound's own


@dataclass(frozen=True)
class Config(StoredConfig):
    """One network.

    Attributes:
        name: of the preset.
        rank: transfer functions that those of any place are mixed from.
        hidden: width of what is learnt of places.
        channels: of the convolutions.
        layers: convolutions.
        keeps_mean: whether the mono sound is the mean of the ears in a room, and the mean of what is made is the mono
            sound again, whose levels are left alone; else it is the source itself.
    """

    depths = ("layers",)

    name: str
    rank: int = 96
    hidden: int = 256
    channels: int = 64
    layers: int = 6
    keeps_mean: bool = False


CONFIGS = {
    "tiny": Config("tiny", rank=48, hidden=128, channels=8, layers=2),
    "rooms-tiny": Config("rooms-tiny", rank=48, hidden=128, channels=8, layers=2, keeps_mean=True),
    "large": Config("large"),
}
