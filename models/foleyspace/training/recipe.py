"""The settings of training FoleySpace's diffusion network, by preset."""

from __future__ import annotations

from dataclasses import dataclass, replace

from visaudio_bench.models.foleyspace.config import MOST_STEPS, STEPS, Config
from visaudio_bench.models.training.recipe import Recipe


@dataclass(frozen=True)
class FoleyRecipe(Recipe):
    """How the diffusion network is trained; the abstract says nothing of it.

    Attributes:
        sounds: how many different sounds there are, each on another path every time; or how many scenes, each on its
            own path, and half of the time in a mirror.
        latest: time of the path from noise to data; times are drawn evenly from 0 to this.
        sampling_steps: of the diffusion of sounds that are made to judge; kept in the checkpoint, whose systems take
            as many if they are not told otherwise.
    """

    config = Config
    fixed = (*Recipe.fixed, "sounds", "latest")

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    beta2: float = 0.99
    warmup: int = 50
    sounds: int = 4096
    latest: float = 0.98
    sampling_steps: int = STEPS

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_between("sounds", 1, 1e9)
        self.require_between("latest", 0.1, 0.999)
        self.require_between("sampling_steps", 1, MOST_STEPS)


TINY = FoleyRecipe(
    steps=2000, batch=4, learning_rate=3e-3, ema=0.1, validate_every=500, save_every=250, threads=1, ahead=2
)
ROOMS = replace(
    TINY, steps=12_500, decay_at=(7500, 10_500), decay=0.3, sounds=960, validate_every=2500, sampling_steps=4
)
PRESETS = {"tiny": TINY, "rooms-tiny": ROOMS, "large": FoleyRecipe()}
