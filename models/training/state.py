"""Everything that a training needs to go on, in one file that is replaced at once.

`state.safetensors` holds the weights, their running average and both moments of the optimiser by the names of the
network's parameters, whole, however many processes shared them out; its header says the step and what was trained on
what. Nothing else is to be remembered: learning rate, order of clips and all draws are functions of seed and step.

The header carries hashes of itself and of the tensors: a training does not go on from a file that has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visaudio_bench.errors import BenchError
from visaudio_bench.files import digest
from visaudio_bench.models.formats import STATE_FORMAT
from visaudio_bench.models.tensor_files import content_hash, written_safely
from visaudio_bench.models.training.distributed import World, put, whole
from visaudio_bench.models.training.optimisation import Average

MOMENTS = ("exp_avg", "exp_avg_sq")
WeightWriter = Callable[[Mapping[str, Tensor], Path], None]
"""Writes a state dict as a checkpoint."""


@dataclass
class Progress:
    """How far a training is: updates done, the best validation so far, how many processes wrote it, and on what.

    `plan` is everything that must not change while a training goes on: preset, configuration, recipe, data.
    """

    step: int = 0
    best: float | None = None
    best_step: int | None = None
    processes: int = 1
    plan: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedState:
    """What changes while training."""

    network: nn.Module
    average: Average
    optimiser: torch.optim.Optimizer

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, as they lie on the device; moments only once there are any."""
        tensors: dict[str, Tensor] = {f"weights/{name}": value for name, value in self.network.named_parameters()}
        tensors |= {f"average/{name}": value for name, value in self.average.weights.items()}
        for name, value in self.network.named_parameters():
            moments = self.optimiser.state.get(value, {})
            tensors |= {f"{moment}/{name}": moments[moment] for moment in MOMENTS if moment in moments}
        return tensors


def save(trained: TrainedState, progress: Progress, path: Path, world: World) -> None:
    """Write the state; every process must call, the first one writes.

    Args:
        trained: network, optimiser and average.
        progress: how far the training is.
        path: of the file.
        world: the processes.

    Raises:
        BenchError: the file cannot be written (then the one before it is still there).
    """
    from safetensors.torch import save_file

    # One after the other, so that the device never holds more than one whole tensor.
    contents = {name: _kept(value, world) for name, value in trained.tensors().items()}
    failure: list[str] = []
    if world.main:
        kept = {name: value for name, value in contents.items() if value is not None}
        told, tensors = json.dumps(progress.__dict__), content_hash(kept)
        metadata = {"format": STATE_FORMAT, "progress": told, "tensors": tensors, "header": digest([told, tensors])}
        try:
            with written_safely(path) as temporary:
                save_file(kept, temporary, metadata)
        except BenchError as error:
            failure.append(str(error))
    _agree(failure, world)


def _kept(tensor: Tensor, world: World) -> Tensor | None:
    full = whole(tensor)
    return full.contiguous() if world.main else None


def _agree(failure: list[str], world: World) -> None:
    """All processes stop if one cannot go on."""
    told = world.gather(failure)
    if told:
        raise BenchError(told[0])


def save_average(trained: TrainedState, path: Path, write: WeightWriter, world: World) -> None:
    """Write the averaged weights as a checkpoint that makes sound; every process must call, the first one writes.

    Args:
        trained: network and average.
        path: of the file.
        write: writes weights as a checkpoint of their network.
        world: the processes.

    Raises:
        BenchError: the file cannot be written.
    """
    from safetensors import SafetensorError

    live = {name: _kept(value, world) for name, value in trained.network.state_dict().items()}
    averaged = {name: _kept(value, world) for name, value in trained.average.weights.items()}
    failure: list[str] = []
    if world.main:
        try:
            contents = {name: value for name, value in {**live, **averaged}.items() if value is not None}
            write(contents, path)
        except (OSError, SafetensorError) as error:
            failure.append(f"{path} cannot be written: {error}. What was saved before is kept; make room and --resume.")
    _agree(failure, world)


def read_progress(path: Path) -> Progress:
    """How far the training is that wrote `path`.

    Raises:
        BenchError: the file is not there, damaged, or something else.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
    except FileNotFoundError as error:
        raise BenchError(f"{path} is not there: there is nothing to go on from. Start without --resume.") from error
    except Exception as error:  # of damaged bytes the library may raise anything
        raise BenchError(_damaged(path, str(error))) from error
    if told.get("format") != STATE_FORMAT:
        raise BenchError(
            f"{path} is no state of a training: its format is {told.get('format', 'not stated')!a}, "
            f'"{STATE_FORMAT}" was expected.'
        )
    if told.get("header") != digest([told.get("progress"), told.get("tensors")]):
        raise BenchError(_damaged(path, "its header is not the one that was written"))
    try:
        return Progress(**json.loads(told["progress"]))
    except (TypeError, ValueError) as error:
        raise BenchError(_damaged(path, f"its header is not of this version: {error}")) from error


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path} is not an intact state of a training: {why}. Nothing can go on from it; begin another training with "
        f"the weights saved beside it, if they are whole: --from {path.with_name('last.safetensors')} --out DIR"
    )


class _Stored(Mapping[str, Tensor]):
    """The tensors of an open file, each read when it is asked for."""

    def __init__(self, file: Any):
        self.file = file
        self.names = tuple(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self.file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def restore(trained: TrainedState, path: Path, step: int) -> None:
    """Put back what `save` wrote, whatever the number of processes now and then.

    Args:
        trained: is changed.
        path: of the file.
        step: which the training is at: that of optimiser and average.

    Raises:
        BenchError: the file holds another network's state, or a tensor has changed since it was written.
    """
    from safetensors import safe_open

    trained.average.updates = step
    with safe_open(path, "pt") as file:
        stored = _Stored(file)
        if content_hash(stored) != file.metadata()["tensors"]:
            raise BenchError(_damaged(path, "its tensors are not those that were written"))
        names = set(stored)
        for name, value in trained.network.named_parameters():
            if f"{MOMENTS[0]}/{name}" in names:  # a parameter that never had a gradient has no moments
                moments = {moment: torch.zeros_like(value) for moment in MOMENTS}
                trained.optimiser.state[value] = {"step": torch.tensor(float(step), device=value.device), **moments}
        wanted = trained.tensors()
        if wanted.keys() != names:
            odd = sorted(wanted.keys() ^ names)
            raise BenchError(f"{path} is the state of another network: {len(odd)} tensors differ, first {odd[0]}.")
        for name, target in wanted.items():
            put(stored[name], target)
