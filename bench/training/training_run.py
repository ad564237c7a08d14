"""`bench train`: from what was asked for to a trained checkpoint, and for the embedded default to its leaderboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from visaudio_bench.baselines.visaudio import DUAL, MMAUDIO_DUP, VISAUDIO, FlowSystem
from visaudio_bench.bench.console import note
from visaudio_bench.bench.training.feature_extraction import Extraction, extract
from visaudio_bench.bench.training.first_weights import require_finite, require_same_network
from visaudio_bench.bench.training.run_folder import EMBEDDED, Asked, Data, FinishedTraining, PreparedTraining, Training
from visaudio_bench.bench.training.run_folder import train as train_in_folder
from visaudio_bench.bench.training.validation import Validator
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import cache_dir, digest
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.training.recipe import configured
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.visaudio.checkpoint_notes import config_in, notes_of, read_notes
from visaudio_bench.models.visaudio.checkpoints import (
    load_mmaudio,
    network_of,
    save_state,
)
from visaudio_bench.models.visaudio.config import BUILT_IN, CONFIGS, PUBLISHED, Config
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.network import FlowNetwork, build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.models.visaudio.training.batches import Reader
from visaudio_bench.models.visaudio.training.initialisation import NEW, balance, measure_latents
from visaudio_bench.models.visaudio.training.learner import FlowLearner
from visaudio_bench.models.visaudio.training.recipe import PRESETS, FlowRecipe
from visaudio_bench.models.weight_loading import open_weights
from visaudio_bench.suites import Suite, open_suite
from visaudio_bench.suites.filmed_scenes import FILMED
from visaudio_bench.suites.training_scenes import VALIDATION

BALANCED = 8  # clips that the first sizes are measured with
TRAINING_SUITE, VALIDATION_SUITE, EVALUATION_SUITE = FILMED.name, VALIDATION.name, "simroom"

Started = tuple[FlowNetwork, tuple[str, ...]]
"""A network, and the beginnings of the names of its parts with random weights."""


class FlowTraining(Training[FlowRecipe]):
    """The training of ViSAudio's flow network."""

    name = "visaudio"
    presets = PRESETS

    def begin(self, asked: Asked, preset: str, recipe: FlowRecipe, world: World) -> Started | tuple[()]:
        """The network of a file, or nothing yet."""
        return () if asked.start is None else _started(asked.start, configured(CONFIGS[preset], recipe), world)

    def data(self, asked: Asked, preset: str, recipe: FlowRecipe, world: World) -> Data:
        """As `Training.data`."""
        del recipe
        return _data(asked, preset, world)

    def prepare(
        self, begun: Started | tuple[()] | None, preset: str, recipe: FlowRecipe, data: Data, world: World
    ) -> PreparedTraining:
        """As `Training.prepare`."""
        config = configured(CONFIGS[preset], recipe)
        learnt, watched = stores_of(data)
        reader = Reader(learnt, config, recipe)
        network = build(config) if begun is None else _network(begun or None, config, reader, world)
        validate = _validator(watched, config, recipe, world)
        notes = _notes(preset, recipe, learnt)
        return PreparedTraining(FlowLearner(network), reader, validate, notes, partial(_save, config), config.to_dict())


def stores_given(asked: Asked) -> Data | None:
    """The stores that somebody names, None for those that a training makes for itself.

    Raises:
        UsageError: one of them is none, or there is only one to watch with.
    """
    if asked.data is not None:
        return Data(FeatureStore(asked.data), FeatureStore(asked.validation) if asked.validation else None, False)
    if asked.validation is not None:
        raise UsageError(
            f"--validation {asked.validation} is a store to watch with beside one to learn from, and there is no "
            "--data: without it a training learns from scenes of its own, and watches others of them."
        )
    return None


def stores_of(data: Data) -> tuple[FeatureStore, FeatureStore | None]:
    """The stores of a training that reads some.

    Raises:
        TypeError: it learns from something else.
    """
    learnt, watched = data.learnt, data.watched
    if not isinstance(learnt, FeatureStore) or not isinstance(watched, FeatureStore | None):
        raise TypeError("this training reads feature stores")
    return learnt, watched


def _save(config: Config, state: State, path: Path, notes: Mapping[str, str]) -> None:
    save_state(state, config, path, notes)


def train(asked: Asked) -> FinishedTraining:
    """Train ViSAudio's flow network; as `run_folder.train`."""
    return train_in_folder(FlowTraining(), asked)


def trained_system(checkpoint: Path) -> FlowSystem:
    """The row of a leaderboard that a checkpoint makes."""
    config = config_in(read_notes(checkpoint))
    return FlowSystem((VISAUDIO if config.spacetime else DUAL) if config.dual else MMAUDIO_DUP, checkpoint)


def _data(asked: Asked, preset: str, world: World) -> Data:
    """The stores; those of the embedded default are made on first use."""
    if (given := stores_given(asked)) is not None:
        return given
    if preset != EMBEDDED:
        raise UsageError(
            f"{preset} learns from your data: --data DIR, a feature store. "
            f"Make one: bench features build --suite NAME --split train --out DIR"
        )
    suites = (open_suite(TRAINING_SUITE), open_suite(VALIDATION_SUITE))
    learnt, watched = (_embedded_store(suite, asked, world) for suite in suites)
    return Data(learnt, watched, True)


def _embedded_store(suite: Suite, asked: Asked, world: World) -> FeatureStore:
    assert suite.duration is not None  # simulated clips are equally long
    parts = open_parts(BUILT_IN, encoder=True)
    key = digest([suite.manifest_hash(), parts.notes()])[:16]
    folder = cache_dir() / "training" / f"{suite.name}-{key}"
    workers = asked.workers if world.size == 1 else 1
    failures = extract(Extraction(suite, folder, BUILT_IN, suite.duration, workers=workers), world)
    if failures:
        raise BenchError(f"{len(failures)} clips of {suite.name} cannot be learnt from, first: {failures[0].message}")
    return FeatureStore(folder)


def _network(started: Started | None, config: Config, reader: Reader, world: World) -> FlowNetwork:
    """The network to begin with."""
    if started is not None:
        network, random = started
    else:
        torch.manual_seed(reader.recipe.seed)
        network, random = build(config), ("",)
        measure_latents(network, reader.store)
        conditioners = open_parts(_parts_of(reader.store), spatial=False).conditioners
        network.empty_string_feat.data.copy_(conditioners.encode_text(""))
    if random:
        clips = list(range(min(BALANCED, len(reader.store))))
        batch = reader.batch(reader.empty(len(clips), pinned=False), clips, clips).to(world.device)
        balance(network.to(world.device), batch, only=random)
    return network


def _started(path: Path, config: Config, world: World) -> Started:
    """A network that begins with weights, MMAudio's or those of a checkpoint of ours, and its parts without any.

    Raises:
        UsageError: a checkpoint of ours is of another network.
        BenchError: the file is missing or holds something else.
    """
    opened = open_weights(path)
    if opened.taken and world.main:
        note(f"{path.name}: {opened.taken}")
    if not notes_of(path):
        loaded = load_mmaudio(opened.state, config, source=str(path))
        require_finite(loaded.network, path)
        if world.main:
            note(f"{path.name}: {loaded.report}")
        return loaded.network, NEW
    network = network_of(opened, path)
    require_same_network(network.config, config, path)
    require_finite(network, path)
    for name, value in network.named_parameters():
        value.requires_grad_(name not in ("latent_mean", "latent_std", "empty_string_feat"))
    return network, ()


def _parts_of(store: FeatureStore) -> str:
    return str(store.kind.conditioners.get("conditioners", PUBLISHED))


def _validator(watched: FeatureStore | None, config: Config, recipe: FlowRecipe, world: World) -> Validator | None:
    if watched is None:
        return None
    reader = Reader(watched, config, replace(recipe, drop=0.0, drop_text=0.0))
    try:
        codec = open_parts(_parts_of(watched), str(world.device), spatial=False).codec
    except BenchError as error:
        note(f"validation measures the flow loss only, without making sounds: {error}")
        codec = None
    return Validator(reader, recipe, world, codec)


def _notes(preset: str, recipe: FlowRecipe, store: FeatureStore) -> dict[str, str]:
    """What a checkpoint says of its origin, and how it was trained, validated, and is to be heard."""
    return {
        "conditioners": json.dumps(dict(store.kind.conditioners)),
        "codec": json.dumps(dict(store.kind.codec)),
        "preset": preset,
        "guidance": str(recipe.guidance),
        "sampling_steps": str(recipe.sampling_steps),
        "duration": str(store.kind.duration),
        "data": store.manifest_hash,
    }
