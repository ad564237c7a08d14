"""`bench train foleyspace`: from sounds on random paths, or scenes, to a diffusion model of binaural sound."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from visaudio_bench.bench.failures import prepare as prepare_clips
from visaudio_bench.bench.training.first_weights import require_finite, require_same_network
from visaudio_bench.bench.training.geometry_run import TRAINING_SUITE, VALIDATION_SUITE
from visaudio_bench.bench.training.run_folder import Asked, Data, FinishedTraining, PreparedTraining, Training
from visaudio_bench.bench.training.run_folder import train as train_in_folder
from visaudio_bench.bench.training.validation import direction_columns
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_scores import paired_scores
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS, STEPS_NOTE
from visaudio_bench.models.foleyspace.config import CONFIGS
from visaudio_bench.models.foleyspace.inference import binauralise
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.foleyspace.training.batches import (
    Heard,
    Reader,
    RenderedSounds,
    dry_sound,
    heard_along,
    random_path,
)
from visaudio_bench.models.foleyspace.training.learner import FoleyLearner
from visaudio_bench.models.foleyspace.training.recipe import PRESETS, FoleyRecipe
from visaudio_bench.models.foleyspace.training.room_scenes import RoomScenes, whole_scene
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.training.recipe import configured
from visaudio_bench.suites import open_suite

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
        """As `Training.data`; nothing is read, or scenes are rendered on first use."""
        if asked.data is not None or asked.validation is not None:
            raise UsageError("bench train foleyspace makes its sounds itself: leave out --data and --validation.")
        if not configured(CONFIGS[preset], recipe).keeps_mean:
            return Data(RenderedSounds(recipe.sounds), None, True)
        names = (f"{TRAINING_SUITE}:{recipe.sounds}", f"{VALIDATION_SUITE}:{LISTENED}")
        learnt, watched = (_rendered_scenes(name, asked, world) for name in names)
        return Data(learnt, watched, True)

    def prepare(
        self, begun: SpatialDiffusion | tuple[()] | None, preset: str, recipe: FoleyRecipe, data: Data, world: World
    ) -> PreparedTraining:
        """As `Training.prepare`."""
        config = configured(CONFIGS[preset], recipe)
        assert isinstance(data.learnt, RenderedSounds | RoomScenes)  # what `data` has made
        assert isinstance(data.watched, RoomScenes | None)
        torch.manual_seed(recipe.seed)
        learner = FoleyLearner(begun or SpatialDiffusion(config))
        notes = {"preset": preset, "data": data.learnt.manifest_hash, STEPS_NOTE: str(recipe.sampling_steps)}
        return PreparedTraining(
            learner,
            Reader(data.learnt, recipe),
            partial(_validate, data.watched, world, recipe.sampling_steps),
            notes,
            partial(CHECKPOINTS.save, config),
            config.to_dict(),
        )


def _rendered_scenes(name: str, asked: Asked, world: World) -> RoomScenes:
    suite = open_suite(name)
    failures = []
    if world.main:
        failures = [str(error) for error in prepare_clips(suite, asked.workers).values()]
    failures = world.gather(failures)
    if failures:
        raise BenchError(f"{len(failures)} scenes of {suite.name} could not be rendered, first: {failures[0]}")
    clips = suite.clips()
    return RoomScenes.of(clips, clips[0].meta["truth"].parent, suite.manifest_hash())


def _validate(watched: RoomScenes | None, world: World, steps: int, learner: FoleyLearner) -> dict[str, float]:
    """Where sounds that were not learnt from are heard, on paths that were not either; every process must call."""
    examples = range(LISTENED if watched is None else len(watched))
    listened = world.gather(
        [(n, _listened(n, _example(watched, n), learner.network, steps)) for n in world.share(examples)]
    )
    errors, cues = zip(*(told for _, told in sorted(listened, key=lambda numbered: numbered[0])), strict=True)
    error = float(np.mean(errors))
    return {"error": error, **direction_columns(cues), "score": -error}


def _example(watched: RoomScenes | None, number: int) -> Heard:
    """Sound number `number` of a validation."""
    if watched is not None:
        return whole_scene(*watched.scenes[number])
    return heard_along(dry_sound(HELD_OUT + number), random_path(np.random.default_rng(HELD_OUT + number)))


def _listened(number: int, example: Heard, network: SpatialDiffusion, steps: int) -> tuple[float, Any]:
    """The error's share of the energy, and how the cues compare."""
    true = torch.from_numpy(example.ears)
    generator = torch.Generator().manual_seed(number)
    mono, places = torch.from_numpy(example.mono), torch.from_numpy(example.positions)
    made = binauralise(network, mono, places, generator, steps=steps).cpu()
    scores = paired_scores(interaural_cues(made), interaural_cues(true))
    return float((made - true).square().sum() / true.square().sum()), scores


def train(asked: Asked) -> FinishedTraining:
    """Train FoleySpace's diffusion network; as `run_folder.train`."""
    return train_in_folder(FoleyTraining(), asked)
