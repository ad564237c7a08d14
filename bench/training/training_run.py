"""`bench train`: from what was asked for to a trained checkpoint, and for the embedded default to its leaderboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from visaudio_bench.baselines.visaudio import DUAL, MMAUDIO_DUP, VISAUDIO, FlowSystem
from visaudio_bench.bench.console import Ticker, clock, note
from visaudio_bench.bench.training.feature_extraction import Extraction, extract
from visaudio_bench.bench.training.validation import Validator
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import cache_dir, digest, write_json
from visaudio_bench.models.visaudio.checkpoints import config_in, load_mmaudio, network_of, notes_of, read_notes
from visaudio_bench.models.visaudio.config import BUILT_IN, PUBLISHED, Config
from visaudio_bench.models.visaudio.feature_formats import Storage
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.network import FlowNetwork, build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.models.visaudio.training.batches import Reader
from visaudio_bench.models.visaudio.training.distributed import World, join, leave
from visaudio_bench.models.visaudio.training.initialisation import NEW, balance, measure_latents
from visaudio_bench.models.visaudio.training.loop import Listener, Trainer, TrainingTask
from visaudio_bench.models.visaudio.training.recipe import Recipe, changed, configured, find_preset
from visaudio_bench.models.visaudio.training.state import Progress, read_progress
from visaudio_bench.models.weight_loading import open_weights
from visaudio_bench.suites import Suite, open_suite

EMBEDDED = "tiny"
BALANCED = 8  # clips that the first sizes are measured with
TRAINING_SUITE, VALIDATION_SUITE, EVALUATION_SUITE = "simroom-train", "simroom-validation", "simroom"
# These decide what a step is made of: with others it would be another training.
FIXED = ("batch", "seed", "network", "weights", "time", "drop", "drop_text", "ema")


@dataclass(frozen=True)
class Asked:
    """A call of `bench train visaudio`."""

    preset: str | None = None
    data: Path | None = None
    validation: Path | None = None
    start: Path | None = None
    out: Path | None = None
    resume: bool = False
    settings: tuple[str, ...] = ()
    device: str = "cpu"
    workers: int = 1
    tensorboard: bool = False

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out or Path("runs") / f"visaudio-{self.preset or EMBEDDED}"


@dataclass(frozen=True)
class Data:
    """The store that the network learns from, and the one that it is validated on now and then."""

    learnt: FeatureStore
    watched: FeatureStore | None
    embedded: bool


Started = tuple[FlowNetwork, tuple[str, ...]]
"""A network, and the beginnings of the names of its parts with random weights."""


class FinishedTraining(NamedTuple):
    """What a training ends with: the best checkpoint, and whether this process is to judge it on the embedded suite."""

    checkpoint: Path
    to_judge: bool


def train(asked: Asked) -> FinishedTraining:
    """Train as asked.

    Raises:
        UsageError: what was asked for does not fit together, or the run folder is taken.
        PreemptedError: told to stop; the state is saved.
        BenchError: the training cannot go on.
    """
    world = join(asked.device)
    try:
        with world.alone(asked.folder, "bench train visaudio"):
            return _train(asked, world)
    finally:
        leave()


def _train(asked: Asked, world: World) -> FinishedTraining:
    progress = _earlier(asked)
    asked = _as_before(asked, progress)
    preset, recipe = _recipe(asked, progress)
    config = configured(preset, recipe)
    torch.manual_seed(recipe.seed)
    # Before data are made or read, which may take long: a file that cannot be begun with is told at once.
    started = _started(asked.start, config, world) if asked.start is not None and progress is None else None
    data = _data(asked, preset, world)
    reader = Reader(data.learnt, config, recipe)
    plan = _plan(preset, config, recipe, data)
    if progress is not None:
        _require_same_data(progress, plan, asked.folder)
        _say_what_changes(progress, world)
    network = build(config) if progress is not None else _network(started, config, reader, world)
    validate = _validator(data, config, recipe, world)
    if world.main:
        asked.folder.mkdir(parents=True, exist_ok=True)
        write_json(asked.folder / "training.json", plan)
    notes = _notes(preset, recipe, data.learnt)
    task = TrainingTask(reader, recipe, asked.folder, world, plan, notes, validate, _listener(asked, world))
    done = Trainer(task, network, resume=progress).run()
    best = asked.folder / "best.safetensors"
    if world.main:
        where = f"best at step {done.best_step}" if done.best_step else "not validated"
        note(f"trained {done.step} steps, {where}; saved in {asked.folder}")
    checkpoint = best if best.exists() else asked.folder / "last.safetensors"
    return FinishedTraining(checkpoint, world.main and data.embedded)


def trained_system(checkpoint: Path) -> FlowSystem:
    """The row of a leaderboard that a checkpoint makes."""
    config = config_in(read_notes(checkpoint))
    return FlowSystem((VISAUDIO if config.spacetime else DUAL) if config.dual else MMAUDIO_DUP, checkpoint)


def _as_before(asked: Asked, progress: Progress | None) -> Asked:
    """Without --data a training goes on with the features that it began with."""
    if progress is None or asked.data is not None or progress.plan["data"]["embedded"]:
        return asked
    before = progress.plan["data"]
    watched = asked.validation or (Path(before["validation"]) if before["validation"] else None)
    return replace(asked, data=Path(before["folder"]), validation=watched)


def _earlier(asked: Asked) -> Progress | None:
    """The training to go on with."""
    state = asked.folder / "state.safetensors"
    if asked.resume:
        if state.exists():
            return read_progress(state)
        _require_begun(asked.folder)
        return None
    if state.exists():
        raise UsageError(
            f"{asked.folder} holds a training already. Go on with it: --resume, or begin another one: --out DIR"
        )
    return None


def _require_begun(folder: Path) -> None:
    """A training that was killed before its first save begins anew; a folder that never was one is a mistake."""
    if not (folder / "training.json").exists():
        raise UsageError(f"{folder} holds no training to go on with. Begin one without --resume.")
    note(f"{folder} has no saved state yet: the training begins anew, with the settings of this command")


def _recipe(asked: Asked, progress: Progress | None) -> tuple[str, Recipe]:
    if progress is None:
        preset = asked.preset or EMBEDDED
        return preset, changed(find_preset(preset), asked.settings)
    preset = progress.plan["preset"]
    if asked.preset not in (None, preset):
        raise UsageError(f"{asked.folder} is a training of {preset}, not of {asked.preset}.")
    before = Recipe.from_dict(progress.plan["recipe"])
    recipe = changed(before, asked.settings)
    for name in FIXED:
        if getattr(recipe, name) != getattr(before, name):
            raise UsageError(
                f"{name} cannot change while a training goes on (it was {getattr(before, name)!r}). "
                "Begin another one: --out DIR"
            )
    return preset, recipe


def _plan(preset: str, config: Config, recipe: Recipe, data: Data) -> dict[str, Any]:
    """What a training is: `training.json`, and part of its state."""
    store, watched = data.learnt, data.watched
    return {
        "preset": preset,
        "network": config.to_dict(),
        "recipe": json.loads(json.dumps(recipe.to_dict())),
        "data": {
            "folder": str(store.folder),
            "validation": str(watched.folder) if watched else None,
            "embedded": data.embedded,
            "clips": len(store),
            "manifest": store.manifest_hash,
        },
        "features": store.kind.to_dict(),
    }


def _require_same_data(progress: Progress, plan: Mapping[str, Any], folder: Path) -> None:
    before, now = progress.plan["data"], plan["data"]
    if before["manifest"] != now["manifest"]:
        raise UsageError(
            f"{folder} was trained on {before['clips']} clips of {before['folder']}, and {now['folder']} holds other "
            f"features now ({now['clips']} clips). Put the same data in place, or fine-tune: "
            f"--from {folder / 'last.safetensors'} --out DIR"
        )


def _say_what_changes(progress: Progress, world: World) -> None:
    if progress.processes != world.size and world.main:
        note(
            f"the state was written by {progress.processes} processes and goes on with {world.size}: clips, noise, "
            "times and dropped conditions of every step stay the same; sums are rounded in another order, so that "
            "losses agree in their first digits only"
        )


def _data(asked: Asked, preset: str, world: World) -> Data:
    """The stores; those of the embedded default are made on first use."""
    if asked.data is not None:
        return Data(FeatureStore(asked.data), FeatureStore(asked.validation) if asked.validation else None, False)
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
    failures = extract(Extraction(suite, folder, BUILT_IN, Storage(), suite.duration, workers=workers), world)
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
        _require_finite(loaded.network, path)
        if world.main:
            note(f"{path.name}: {loaded.report}")
        return loaded.network, NEW
    network = network_of(opened, path)
    if replace(network.config, name="") != replace(config, name=""):
        raise UsageError(f"{path} holds another network ({network.config}) than is to be trained ({config}).")
    _require_finite(network, path)
    for name, value in network.named_parameters():
        value.requires_grad_(name not in ("latent_mean", "latent_std", "empty_string_feat"))
    return network, ()


def _require_finite(network: FlowNetwork, path: Path) -> None:
    """A copy in float16 has lost what does not fit there; such a training would end at its first step."""
    broken = [name for name, value in network.state_dict().items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise BenchError(
            f"{path} cannot be trained from: {len(broken)} tensors have values that are not finite numbers, first "
            f"{broken[0]}. Take the file that it was made from"
        )


def _parts_of(store: FeatureStore) -> str:
    return str(store.kind.conditioners.get("conditioners", PUBLISHED))


def _validator(data: Data, config: Config, recipe: Recipe, world: World) -> Validator | None:
    if data.watched is None:
        return None
    reader = Reader(data.watched, config, replace(recipe, drop=0.0, drop_text=0.0))
    try:
        codec = open_parts(_parts_of(data.watched), str(world.device), spatial=False).codec
    except BenchError as error:
        note(f"validation measures the flow loss only, without making sounds: {error}")
        codec = None
    return Validator(reader, recipe, world, codec)


def _notes(preset: str, recipe: Recipe, store: FeatureStore) -> dict[str, str]:
    """What a checkpoint says of its origin, and with which guidance it was validated and is to be heard."""
    return {
        "conditioners": json.dumps(dict(store.kind.conditioners)),
        "codec": json.dumps(dict(store.kind.codec)),
        "preset": preset,
        "guidance": str(recipe.guidance),
        "sampling_steps": str(recipe.sampling_steps),
        "data": store.manifest_hash,
    }


def _listener(asked: Asked, world: World) -> Listener | None:
    """Who hears of the steps: the console, and TensorBoard if it is wanted."""
    if not world.main:
        return None
    board = _board(asked.folder) if asked.tensorboard else None
    ticker = Ticker()

    def listen(record: Mapping[str, Any]) -> None:
        if "loss" in record:
            ticker.tell(_line(record))
        else:
            ticker.keep(_validated(record))
        if board is not None:
            for key, value in record.items():
                if key != "step":
                    board.add_scalar(key, value, record["step"])

    return listen


def _line(record: Mapping[str, Any]) -> str:
    speed = ""
    if "samples_per_s" in record:
        speed = (
            f"  {record['samples_per_s']:.1f} samples/s, waiting for data {100 * record['data_wait']:.0f} %"
            f", about {clock(record['left_s'])} left"
        )
    return (
        f"step {record['step']}: loss {record['loss']:.4f}, smoothed {record['smooth']:.4f}{speed}"
        f", {record['memory_gb']:.1f} GB"
    )


def _validated(record: Mapping[str, Any]) -> str:
    scores = {key.removeprefix("validation/"): value for key, value in record.items() if key != "step"}
    told = ", ".join(f"{key} {value:.4g}" for key, value in scores.items() if key != "score")
    return f"validation after step {record['step']}: {told}"


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
    return SummaryWriter(str(folder / "tensorboard"))
