"""The settings of training a flow network, by preset."""

from __future__ import annotations

from dataclasses import dataclass

from visaudio_bench.errors import UsageError
from visaudio_bench.models.training.recipe import Recipe
from visaudio_bench.models.visaudio.config import CONFIGS, Config
from visaudio_bench.models.visaudio.flow import TimeDistribution
from visaudio_bench.models.visaudio.settings import GUIDANCE, STEPS


@dataclass(frozen=True)
class FlowRecipe(Recipe):
    """How a flow network is trained; the defaults are MMAudio's, as far as ViSAudio's paper does not say otherwise.

    Attributes:
        drop: probability of dropping clip, sync (and spatial with it) and text, each for itself.
        drop_text: that of text; as `drop` when None.
        time: distribution of the flow's time.
        guidance: strength of classifier-free guidance of the sounds that are made to validate and to judge.
        sampling_steps: Euler steps of the sounds that are made to judge.
    """

    config = Config
    fixed = (*Recipe.fixed, "time", "drop", "drop_text")

    drop: float = 0.1
    drop_text: float | None = None
    time: TimeDistribution = "logit_normal"
    guidance: float = GUIDANCE
    sampling_steps: int = STEPS

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_between("drop", 0.0, 1.0)
        self.require_between("guidance", 0.0, 1e6)
        if self.drop_text is not None:
            self.require_between("drop_text", 0.0, 1.0)
        if self.sampling_steps < 1:
            raise UsageError(f"sampling_steps must be at least 1, got {self.sampling_steps}.")

    @property
    def text_drop(self) -> float:
        """Probability of dropping the text."""
        return self.drop if self.drop_text is None else self.drop_text


# What the paper states: 50,000 steps of 64 samples, 1e-4, 1e-6, MUSIC three times an epoch.
PAPER = FlowRecipe(weights={"music": 3.0})
# Sixteen clips of 2 s at a time, for two hours of one core. Where sounds are is learnt last: nothing of it is heard
# before step 2,400, and most of it is learnt between 3,000 and 4,200.
TINY = FlowRecipe(
    steps=5600,
    batch=16,
    # Twice that after a warm-up of 40 steps drives the spatial projection to where SiLU is flat, and it stays there.
    learning_rate=1e-3,
    warmup=400,
    decay_at=(4600,),
    decay=0.2,
    # Captions say what sounds, and the pictures would not be asked: half of the clips have none.
    drop_text=0.5,
    ema=0.1,
    validate_every=600,
    save_every=150,
    # With the paper's 4.5 so small a network puts sounds on the right side but too far out, with 3 by three
    # degrees more than with 2 on the scenes that are watched.
    guidance=2.0,
    sampling_steps=8,
    threads=2,
)
PRESETS: dict[str, FlowRecipe] = {name: TINY if name == "tiny" else PAPER for name in CONFIGS}
