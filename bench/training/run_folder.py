"""A training in its run folder, of whatever network: begun or gone on with, watched, and written where it belongs."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch

from visaudio_bench.bench.console import Ticker, clock, note
from visaudio_bench.errors import UsageError
from visaudio_bench.files import write_json
from visaudio_bench.models.training.distributed import World, join, leave
from visaudio_bench.models.training.loading import Reader
from visaudio_bench.models.training.loop import CheckpointWriter, Listener, Scores, Trainer, TrainingTask
from visaudio_bench.models.training.optimisation import Learner
from visaudio_bench.models.training.recipe import Recipe, changed, find_preset
from visaudio_bench.models.training.state import Progress, read_progress
from visaudio_bench.registry import did_you_mean
from visaudio_bench.shapes import require

EMBEDDED = "tiny"
# What is read of the plan that a state holds.
_PLAN = {
    "preset": str,
    "recipe": {str: object},
    "data": {"folder": str, "validation": (str, None), "embedded": bool, "clips": int, "manifest": str},
}
AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


@dataclass(frozen=True)
class Asked:
    """A call of `bench train`."""

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

    def folder(self, network: str) -> Path:
        """The run folder of a training of `network`."""
        return self.out or Path("runs") / f"{network}-{self.preset or EMBEDDED}"


class DataSource(Protocol):
    """What is learnt from: a store, or what is made on the fly."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def manifest_hash(self) -> str:
        """Identity of the contents."""

    def __len__(self) -> int: ...

    def about(self) -> dict[str, Any]:
        """What made it, JSON-able."""


@dataclass(frozen=True)
class Data:
    """The store that the network learns from, and the one that it is validated on now and then."""

    learnt: DataSource
    watched: DataSource | None
    embedded: bool


class FinishedTraining(NamedTuple):
    """What a training ends with: the best checkpoint, and whether this process is to judge it on the embedded suite."""

    checkpoint: Path
    to_judge: bool


class PreparedTraining(NamedTuple):
    """What a training is about to begin with.

    learner: the network with its loss. reader: of what is learnt. validate: what looks at it now and then.
    notes: kept in every checkpoint, which `write` writes. network: its configuration, JSON-able.
    """

    learner: Learner
    reader: Reader[Any]
    validate: Callable[[Any], Scores] | None
    notes: Mapping[str, str]
    write: CheckpointWriter
    network: Mapping[str, Any]


class Training(ABC, Generic[AnyRecipe]):
    """The training of one kind of network."""

    name: str
    """As the command line calls it."""

    presets: Mapping[str, AnyRecipe]
    """Settings by name, all of one class."""

    def recipe(self, preset: str) -> AnyRecipe:
        """The settings of a preset.

        Raises:
            UsageError: there is none of that name.
        """
        return find_preset(preset, self.presets)

    def recipe_from(self, values: Mapping[str, Any]) -> AnyRecipe:
        """The settings that a run folder keeps."""
        return type(next(iter(self.presets.values()))).from_dict(values)

    @abstractmethod
    def begin(self, asked: Asked, preset: str, recipe: AnyRecipe, world: World) -> Any:
        """What a new training begins with, before data are made or read, which may take long; given to `prepare`.

        A file that cannot be begun with is told at once.
        """

    @abstractmethod
    def data(self, asked: Asked, preset: str, recipe: AnyRecipe, world: World) -> Data:
        """The stores; those of the embedded default are made on first use."""

    @abstractmethod
    def prepare(self, begun: Any, preset: str, recipe: AnyRecipe, data: Data, world: World) -> PreparedTraining:
        """Everything that the loop needs; `begun` is None where a training goes on, whose weights are read later."""


def train(training: Training[Any], asked: Asked) -> FinishedTraining:
    """Train as asked.

    Args:
        training: the kind of network.
        asked: the call.

    Returns:
        The best checkpoint, and whether this process is to judge it on the embedded suite.

    Raises:
        UsageError: what was asked for does not fit together, or the run folder is taken.
        PreemptedError: told to stop; the state is saved.
        BenchError: the training cannot go on.
    """
    world = join(asked.device)
    asked = replace(asked, out=asked.folder(training.name))
    try:
        with world.alone(_folder(asked), f"bench train {training.name}"):
            return _train(training, asked, world)
    finally:
        leave()


def _folder(asked: Asked) -> Path:
    assert asked.out is not None  # `train` has filled it in
    return asked.out


def _train(training: Training[Any], asked: Asked, world: World) -> FinishedTraining:
    folder = _folder(asked)
    progress = _earlier(asked)
    asked = _as_before(asked, progress)
    preset, recipe = _recipe(training, asked, progress)
    torch.manual_seed(recipe.seed)
    begun = training.begin(asked, preset, recipe, world) if progress is None else None
    data = training.data(asked, preset, recipe, world)
    prepared = training.prepare(begun, preset, recipe, data, world)
    _require_sources(recipe, training.recipe(preset), prepared.reader)
    plan = _plan(preset, prepared.network, recipe, data)
    if progress is not None:
        _require_same_data(progress, plan, folder)
        _say_what_changes(progress, world)
    if world.main:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "training.json", plan)
    learner, reader, validate, notes, write, _ = prepared
    task = TrainingTask(reader, recipe, folder, world, plan, notes, write, validate, _listener(asked, world))
    done = Trainer(task, learner, resume=progress).run()
    best = folder / "best.safetensors"
    if world.main:
        where = f"best at step {done.best_step}" if done.best_step else "not validated"
        note(f"trained {done.step} steps, {where}; saved in {folder}")
    checkpoint = best if best.exists() else folder / "last.safetensors"
    return FinishedTraining(checkpoint, world.main and data.embedded)


def _as_before(asked: Asked, progress: Progress | None) -> Asked:
    """Without --data a training goes on with the features that it began with."""
    if progress is None or asked.data is not None or progress.plan["data"]["embedded"]:
        return asked
    before = progress.plan["data"]
    watched = asked.validation or (Path(before["validation"]) if before["validation"] else None)
    return replace(asked, data=Path(before["folder"]), validation=watched)


def _earlier(asked: Asked) -> Progress | None:
    """The training to go on with."""
    folder = _folder(asked)
    state = folder / "state.safetensors"
    if asked.resume:
        if state.exists():
            progress = read_progress(state)
            try:
                require(progress.plan, _PLAN)
            except ValueError as error:
                raise UsageError(f"{state} does not say what is trained: {error}. Begin another: --out DIR") from error
            return progress
        _require_begun(folder)
        return None
    if state.exists():
        raise UsageError(f"{folder} holds a training already. Go on with it: --resume, or begin another one: --out DIR")
    return None


def _require_begun(folder: Path) -> None:
    """A training that was killed before its first save begins anew; a folder that never was one is a mistake."""
    if not (folder / "training.json").exists():
        raise UsageError(f"{folder} holds no training to go on with. Begin one without --resume.")
    note(f"{folder} has no saved state yet: the training begins anew, with the settings of this command")


def _recipe(training: Training[AnyRecipe], asked: Asked, progress: Progress | None) -> tuple[str, AnyRecipe]:
    if progress is None:
        preset = asked.preset or EMBEDDED
        return preset, changed(training.recipe(preset), asked.settings)
    preset = progress.plan["preset"]
    if asked.preset not in (None, preset):
        raise UsageError(f"{_folder(asked)} is a training of {preset}, not of {asked.preset}.")
    known = [field.name for field in fields(next(iter(training.presets.values())))]
    strange = [name for name in progress.plan["recipe"] if name not in known]
    try:
        if strange:
            raise ValueError(f'{training.name} has no setting "{strange[0]}"')
        before = training.recipe_from(progress.plan["recipe"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{_folder(asked)} is not a training of {training.name}: its settings are others ({error}). Go on with it "
            "by the command that began it, or begin another one: --out DIR"
        ) from error
    recipe = changed(before, asked.settings)
    for name in recipe.fixed:
        if getattr(recipe, name) != getattr(before, name):
            raise UsageError(
                f"{name} cannot change while a training goes on (it was {getattr(before, name)!r}). "
                "Begin another one: --out DIR"
            )
    return preset, recipe


def _require_sources(recipe: Recipe, usual: Recipe, reader: Reader[Any]) -> None:
    """Refuse the weight of a source that nothing comes from; those of a preset are meant for whoever has such data."""
    sources = sorted(set(reader.sources))
    for name in recipe.weights:
        if name not in sources and name not in usual.weights:
            raise UsageError(
                f'weights.{name} is set, and no clip comes from "{name}".{did_you_mean(name, sources)} '
                f"Sources of these data: {', '.join(sources)}"
            )


def _plan(preset: str, network: Mapping[str, Any], recipe: Recipe, data: Data) -> dict[str, Any]:
    """What a training is: `training.json`, and part of its state."""
    store, watched = data.learnt, data.watched
    return {
        "preset": preset,
        "network": dict(network),
        "recipe": json.loads(json.dumps(recipe.to_dict())),
        "data": {
            "folder": str(store.folder),
            "validation": str(watched.folder) if watched else None,
            "embedded": data.embedded,
            "clips": len(store),
            "manifest": store.manifest_hash,
        },
        "features": store.about(),
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


def _listener(asked: Asked, world: World) -> Listener | None:
    """Who hears of the steps: the console, and TensorBoard if it is wanted."""
    if not world.main:
        return None
    board = _board(_folder(asked)) if asked.tensorboard else None
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
