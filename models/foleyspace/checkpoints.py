"""Checkpoints of FoleySpace's diffusion network: one safetensors file with the configuration in its metadata."""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.errors import BenchError
from visaudio_bench.models.foleyspace.config import MOST_STEPS, STEPS, Config, number_of_steps
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.formats import header_notes
from visaudio_bench.models.own_checkpoints import Checkpoints

STEPS_NOTE = "sampling_steps"

CHECKPOINTS = Checkpoints(
    "visaudio-bench foleyspace network 2",
    "FoleySpace's diffusion network",
    "bench train foleyspace",
    Config,
    SpatialDiffusion,
)


def steps_in(path: Path) -> int:
    """Steps of the diffusion that a checkpoint was trained to be heard with; `STEPS` where it says none.

    Raises:
        BenchError: what it says is no number of steps.
    """
    said = header_notes(path).get(STEPS_NOTE, str(STEPS))
    steps = number_of_steps(said)
    if steps is None:
        raise BenchError(f'{path} says "{said}" of {STEPS_NOTE}, from 1 to {MOST_STEPS} were expected')
    return steps
