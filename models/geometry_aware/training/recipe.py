"""The settings of training a geometry-aware network, by preset."""

from __future__ import annotations

from dataclasses import dataclass

from visaudio_bench.models.geometry_aware.config import CONFIGS, Config
from visaudio_bench.models.geometry_aware.losses import WEIGHTS
from visaudio_bench.models.training.recipe import Recipe


@dataclass(frozen=True)
class GeometryRecipe(Recipe):
    """How a geometry-aware network is trained: the paper's way, and 2.5D Visual Sound's where it is silent.

    Attributes:
        learning_rate: of the audio and fusion networks; all others learn at a tenth of it.
        backbone, coherence, consistency, response: weights of the losses (Eq. 5).
        margin: mean square by which features may differ (Eq. 4).
        mirror: whether half of the samples are seen in a mirror and heard with exchanged ears, which no paper does.
    """

    config = Config
    fixed = (*Recipe.fixed, "mirror")

    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    beta2: float = 0.999
    clip_norm: float = 10.0
    warmup: int = 0
    backbone: float = WEIGHTS["backbone"]
    coherence: float = WEIGHTS["coherence"]
    consistency: float = WEIGHTS["consistency"]
    response: float = WEIGHTS["response"]
    margin: float = 0.1
    mirror: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("backbone", "coherence", "consistency", "response", "margin"):
            self.require_between(name, 0.0, 1e6)


# 1000 epochs of FAIR-Play's 1,497 clips.
PAPER = GeometryRecipe(steps=23_400)
TINY = GeometryRecipe(
    steps=1200, batch=16, warmup=20, ema=0.1, validate_every=300, save_every=100, threads=1, mirror=True
)
PRESETS = {name: TINY if name.endswith("tiny") else PAPER for name in CONFIGS}
