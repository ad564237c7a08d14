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
STEPS = 2  # of the diffusion: more bring more of the width of a room, and noise with it
MOST_STEPS = 1000
EXPECTED_BELOW, DRAWN_ABOVE = 1000.0, 2000.0  # Hz, around the 1.5 kHz below which interaural time is heard


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
        hears_decay: whether how far the mono sound has fallen from its recent past says, bin by bin, how much of it
            came straight from the source and how widely the ears may differ: what is left of a sound is reverberation.
    """

    depths = ("layers",)

    name: str
    rank: int = 96
    hidden: int = 256
    channels: int = 64
    layers: int = 6
    keeps_mean: bool = False
    hears_decay: bool = False


def number_of_steps(text: str) -> int | None:
    """How many steps of the diffusion a text says; None where it says no number of steps."""
    said = text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_STEPS))
    return int(text) if said and 1 <= int(text) <= MOST_STEPS else None


CONFIGS = {
    "tiny": Config("tiny", rank=48, hidden=128, channels=8, layers=2),
    "rooms-tiny": Config("rooms-tiny", rank=48, hidden=128, channels=16, layers=2, keeps_mean=True, hears_decay=True),
    "large": Config("large"),
}
