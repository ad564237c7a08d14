"""The settings of training a flow network, by preset."""

from __future__ import annotations

from dataclasses import dataclass

from visaudio_bench.models.training.recipe import Recipe
from visaudio_bench.models.visaudio.config import CONFIGS, Config
from visaudio_bench.models.visaudio.flow import TimeDistribution
from visaudio_bench.models.visaudio.settings import GUIDANCE


@dataclass(frozen=True)
class FlowRecipe(Recipe):
    """How a flow network is trained; the defaults are MMAudio's, as far as ViSAudio's paper does not say otherwise.

    Attributes:
        drop: probability of dropping clip, sync (and spatial with it) and text, each for itself.
        time: distribution of the flow's time.
        guidance: strength of classifier-free guidance of the sounds that are made to validate and to judge.
    """

    config = Config
    fixed = (*Recipe.fixed, "time", "drop")

    drop: float = 0.1
    time: TimeDistribution = "logit_normal"
    guidance: float = GUIDANCE

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_between("drop", 0.0, 1.0)


# What the paper states: 50,000 steps of 64 samples, 1e-4, 1e-6, MUSIC three times an epoch.
PAPER = FlowRecipe(weights={"music": 3.0})
# Sixteen clips of 2 s at a time, for a quarter of an hour on two cores.
TINY = FlowRecipe(
    steps=1500,
    batch=16,
    learning_rate=2e-3,
    warmup=40,
    ema=0.1,
    validate_every=300,
    save_every=150,
    # With the paper's 4.5 so small a network puts sounds on the right side but too far out.
    guidance=2.0,
    threads=2,
)
PRESETS: dict[str, FlowRecipe] = {name: TINY if name == "tiny" else PAPER for name in CONFIGS}
