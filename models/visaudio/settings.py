"""How sounds are made from a flow network: what a user may choose. Torch is not imported for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STEPS = 25
WINDOW = 8.0  # s: what the published networks are trained with
GUIDANCE = 4.5

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Settings:
    """How sounds are made; all but `batch` and `compiled` change them.

    steps: Euler steps. guidance: strength of classifier-free guidance. negative: a caption to steer away from.
    batch: clips at once. precision: of the flow network; `auto` is bfloat16 on CUDA and float32 elsewhere (time, codec
    and vocoder are always float32). compiled: let torch compile the flow network. window: seconds of the clips that the
    network was trained with; what is longer by over a quarter is made in such windows.
    """

    steps: int = STEPS
    guidance: float = GUIDANCE
    negative: str = ""
    batch: int = 8
    precision: Precision = "auto"
    compiled: bool = False
    window: float = WINDOW
