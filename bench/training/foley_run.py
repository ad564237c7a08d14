"""`bench train foleyspace`: from sounds on random paths to a diffusion model of binaural sound."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from visaudio_bench.bench.training.first_weights import require_finite, require_same_network
from visaudio_bench.bench.training.run_folder import Asked, Data, FinishedTraining, Prepared, Training
from visaudio_bench.bench.training.run_folder import train as train_in_folder
from visaudio_bench.bench.training.validation import direction_columns
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_scores import paired_scores
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS
from visaudio_bench.models.foleyspace.config import CONFIGS
from visaudio_bench.models.foleyspace.inference import binauralise, louder_near
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.foleyspace.training.batches import (
    Reader,
    RenderedSounds,
    along_a_path,
    dry_sound,
    random_path,
)
from visaudio_bench.models.foleyspace.training.learner import FoleyLearner
from visaudio_bench.models.foleyspace.training.recipe import PRESETS, FoleyRecipe
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.training.recipe import configured

HELD_OUT = 1_000_000_007  # number of the first sound that is listened to; a training learns from lower ones
LISTENED = 16


class FoleyTraining(Training[FoleyRecipe]):
    """The training of FoleySpace's diffusion network."""

    name = "foleyspace"
    presets = PRESETS

    def begin(self, asked: Asked, preset: str, recipe: FoleyRecipe, world: World) -> SpatialDiffusion | tuple[()]:
        """The network of a checkpoint, or nothing yet."""
        del world
        if asked.start is None:
            return ()
        network = CHECKPOINTS.load(asked.start)
        require_same_network(network.config, configured(CONFIGS[preset], recipe), asked.start)
        require_finite(network, asked.start)
        return network.requires_grad_(True)

    def data(self, asked: Asked, preset: str, recipe: FoleyRecipe, world: World) -> Data:
        """As `Training.data`; nothing is read."""
        del preset, world
        if asked.data is not None or asked.validation is not None:
            raise UsageError("bench train foleyspace makes its sounds itself: leave out --data and --validation.")
        return Data(RenderedSounds(recipe.sounds), None, True)

    def prepare(
        self, begun: SpatialDiffusion | tuple[()] | None, preset: str, recipe: FoleyRecipe, data: Data, world: World
    ) -> Prepared:
        """As `Training.prepare`."""
        config = configured(CONFIGS[preset], recipe)
        reader = Reader(RenderedSounds(recipe.sounds), recipe)
        torch.manual_seed(recipe.seed)
        learner = FoleyLearner(begun or SpatialDiffusion(config))
        notes = {"preset": preset, "data": data.learnt.manifest_hash}
        return Prepared(
            learner, reader, partial(_validate, world), notes, partial(CHECKPOINTS.save, config), config.to_dict()
        )


def _validate(world: World, learner: FoleyLearner) -> dict[str, float]:
    """Where sounds that were not learnt from are heard, on paths that were not either; every process must call."""
    listened = world.gather([(number, _listened(number, learner.network)) for number in world.share(range(LISTENED))])
    errors, cues = zip(*(told for _, told in sorted(listened, key=lambda numbered: numbered[0])), strict=True)
    error = float(np.mean(errors))
    return {"error": error, **direction_columns(cues), "score": -error}


def _listened(number: int, network: SpatialDiffusion) -> tuple[float, Any]:
    """The error's share of the energy, and how the cues compare."""
    mono = dry_sound(HELD_OUT + number)
    positions = random_path(np.random.default_rng(HELD_OUT + number))
    mono = louder_near(mono, positions)
    true = torch.from_numpy(along_a_path(mono, positions))
    generator = torch.Generator().manual_seed(number)
    made = binauralise(network, torch.from_numpy(mono), torch.from_numpy(positions), generator).cpu()
    scores = paired_scores(interaural_cues(made), interaural_cues(true))
    return float((made - true).square().sum() / true.square().sum()), scores


def train(asked: Asked) -> FinishedTraining:
    """Train FoleySpace's diffusion network; as `run_folder.train`."""
    return train_in_folder(FoleyTraining(), asked)
