"""`bench train geometry-aware`: from pictures and sounds of clips to a binauraliser."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from visaudio_bench.bench.training.feature_extraction import WindowKeeping, extract
from visaudio_bench.bench.training.first_weights import require_finite, require_same_network
from visaudio_bench.bench.training.run_folder import Asked, Data, FinishedTraining, PreparedTraining, Training
from visaudio_bench.bench.training.run_folder import train as train_in_folder
from visaudio_bench.bench.training.training_run import stores_given, stores_of
from visaudio_bench.bench.training.validation import direction_columns
from visaudio_bench.conventions import SAMPLE_RATE as FULL_RATE
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import cache_dir, digest
from visaudio_bench.metrics.binaural_error import binaural_errors
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.metrics.interaural_scores import paired_scores
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS
from visaudio_bench.models.geometry_aware.config import CONFIGS, SAMPLE_RATE
from visaudio_bench.models.geometry_aware.inference import binauralise
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.geometry_aware.spectra import loudness_gain, spectrum
from visaudio_bench.models.geometry_aware.training.batches import Reader, require_responses
from visaudio_bench.models.geometry_aware.training.learner import GeometryLearner
from visaudio_bench.models.geometry_aware.training.recipe import PRESETS, GeometryRecipe
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.training.recipe import configured
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import resample
from visaudio_bench.suites.training_scenes import TRAINING, VALIDATION

TRAINING_SUITE, VALIDATION_SUITE = TRAINING.name, VALIDATION.name
LISTENED = 16  # clips of a validation that are made binaural
CLASSIFIED = 64  # windows of a validation whose ears the classifier is asked about


class GeometryTraining(Training[GeometryRecipe]):
    """The training of geometry-aware networks, their predecessor and the control without pictures."""

    name = "geometry-aware"
    presets = PRESETS

    def begin(self, asked: Asked, preset: str, recipe: GeometryRecipe, world: World) -> GeometryAware | tuple[()]:
        """The network of a checkpoint, or nothing yet."""
        del world
        config = configured(CONFIGS[preset], recipe)
        if asked.start is None:
            return ()
        network = CHECKPOINTS.load(asked.start)
        require_same_network(network.config, config, asked.start)
        require_finite(network, asked.start)
        return network.requires_grad_(True)

    def data(self, asked: Asked, preset: str, recipe: GeometryRecipe, world: World) -> Data:
        """As `Training.data`; presets that end with `tiny` learn from simulated rooms where nothing else is given."""
        del recipe
        if (given := stores_given(asked)) is not None:
            return given
        if not preset.endswith("tiny"):
            raise UsageError(
                f"{preset} learns from your data: --data DIR, a store of pictures and sounds. "
                "Make one: bench features build --parts windows --suite NAME --out DIR"
            )
        learnt, watched = (_embedded_store(name, asked, world) for name in (TRAINING_SUITE, VALIDATION_SUITE))
        return Data(learnt, watched, True)

    def prepare(
        self, begun: GeometryAware | tuple[()] | None, preset: str, recipe: GeometryRecipe, data: Data, world: World
    ) -> PreparedTraining:
        """As `Training.prepare`."""
        config = configured(CONFIGS[preset], recipe)
        learnt, watched = stores_of(data)
        reader = Reader(learnt, config, recipe)
        require_responses(learnt, config)
        torch.manual_seed(recipe.seed)
        learner = GeometryLearner(begun or GeometryAware(config), recipe)
        validate = partial(_validate, Reader(watched, config, recipe), world) if watched else None
        notes = {"preset": preset, "data": learnt.manifest_hash}
        return PreparedTraining(learner, reader, validate, notes, partial(CHECKPOINTS.save, config), config.to_dict())


def _embedded_store(name: str, asked: Asked, world: World) -> FeatureStore:
    suite = open_suite(name)
    assert suite.duration is not None  # simulated clips are equally long
    parts = "windows-tiny"
    folder = cache_dir() / "training" / f"{suite.name}-{parts}-{digest([suite.manifest_hash(), parts])[:16]}"
    workers = asked.workers if world.size == 1 else 1
    failures = extract(WindowKeeping(suite, folder, parts, suite.duration, workers=workers), world)
    failures = [failure for failure in failures if failure.reason != "silent"]  # some scenes are, on purpose
    if failures:
        raise BenchError(f"{len(failures)} clips of {suite.name} cannot be learnt from, first: {failures[0].message}")
    return FeatureStore(folder)


def _validate(reader: Reader, world: World, learner: GeometryLearner) -> dict[str, float]:
    """STFT and envelope distance, where the clips sound, and how often the classifier is right; all processes call.

    The score is the STFT distance with a minus.
    """
    clips = range(min(LISTENED, len(reader.store)))
    listened = world.gather([(clip, _listened(reader, clip, learner.network)) for clip in world.share(clips)])
    errors, cues = zip(*(scored for _, scored in sorted(listened, key=lambda made: made[0])), strict=True)
    stft, env = np.mean(errors, axis=0).tolist()
    scores = {"stft": stft, "env": env, **direction_columns(cues)}
    if learner.network.config.coherence:
        right = world.gather(_classified(reader, learner, world))
        scores["coherence"] = float(np.mean(right))
    return {**scores, "score": -stft}


def _listened(reader: Reader, clip: int, network: GeometryAware) -> tuple[tuple[float, float], Any]:
    ears = reader.store.read_rows(clip, "sound", 0, reader.samples).T.float() / 32768
    frames = reader.store.read_rows(clip, "frames", 0, reader.frames)
    made = binauralise(network, ears.mean(0), frames).cpu()
    errors = binaural_errors(made, ears, SAMPLE_RATE)
    own, wanted = (interaural_cues(resample(sound.numpy(), SAMPLE_RATE, FULL_RATE)) for sound in (made, ears))
    return (errors.stft, errors.env), paired_scores(own, wanted)


def _classified(reader: Reader, learner: GeometryLearner, world: World) -> list[bool]:
    """Whether the classifier is right, for windows of this process's share of the clips."""
    samples = [*world.share(range(CLASSIFIED))]
    if not samples:
        return []
    memory = reader.empty(len(samples), pinned=False)
    batch = reader.batch(memory, [sample % len(reader.store) for sample in samples], samples).to(world.device)
    sound = batch.tensors["sound"]
    ears = spectrum(sound * loudness_gain(sound.sum(1))[:, None])
    logit = learner.flipped_logit(ears, learner.network.see(batch.tensors["frames"]), batch)
    return [bool(right) for right in ((logit > 0) == batch.tensors["flipped"]).tolist()]


def train(asked: Asked) -> FinishedTraining:
    """Train a geometry-aware network; as `run_folder.train`."""
    return train_in_folder(GeometryTraining(), asked)
