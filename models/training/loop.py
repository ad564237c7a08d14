"""The loop: from data and a recipe to a trained network in a run folder.

```
RUN/
  training.json         preset, configuration, recipe, data, and what made the features
  state.safetensors     everything to go on from (`state`)
  last.safetensors      averaged weights at the last save; best.safetensors: at the best validation
  metrics.jsonl         a line every few steps, and one for each validation
```
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from visaudio_bench.errors import BenchError
from visaudio_bench.files import parse_json, write_text
from visaudio_bench.models.training.distributed import World, recompute, shard, whole
from visaudio_bench.models.training.loading import Batch, Loader, Reader, clips_of
from visaudio_bench.models.training.optimisation import Average, Learner, autocast, optimiser_of
from visaudio_bench.models.training.order import Order
from visaudio_bench.models.training.recipe import Recipe
from visaudio_bench.models.training.schedule import learning_rate
from visaudio_bench.models.training.state import Progress, TrainedState, restore, save, save_average
from visaudio_bench.shapes import require

Scores = Mapping[str, float]
# What is told of a step: numbers by name.
Listener = Callable[[Mapping[str, Any]], None]
# Writes a state dict with notes as a checkpoint.
CheckpointWriter = Callable[[Mapping[str, Tensor], Path, Mapping[str, str]], None]
SMOOTH = 0.98


class PreemptedError(BenchError):
    """The training was told to stop, and has saved its state. The exit code is that of a temporary failure."""

    exit_code = 75


@dataclass(frozen=True)
class TrainingTask:
    """What is to be done.

    `validate` looks at the network with its averaged weights and returns scores, of which the one called `score` (the
    higher the better) decides which weights are the best; `tell` hears of every logged step. `notes` go into every
    checkpoint, which `write` writes, `plan` into the state: a training goes on only under the plan that it began with.
    """

    reader: Reader[Any]
    recipe: Recipe
    out: Path
    world: World
    plan: Mapping[str, Any]
    notes: Mapping[str, str]
    write: CheckpointWriter
    validate: Callable[[Any], Scores] | None = None
    tell: Listener | None = None


class _Sums(NamedTuple):
    """An update's results while they are still on the device."""

    step: int
    errors: Tensor  # (parts of the loss,) means over the global batch
    norm: Tensor
    batches: list[Batch]
    each: list[Tensor]


class Trainer:
    """Trains one network; made anew for every start and every continuation."""

    def __init__(self, task: TrainingTask, learner: Learner, *, resume: Progress | None = None):
        self.task, self.recipe, self.world = task, task.recipe, task.world
        network = learner.network.to(self.world.device).train()
        self._plain = learner
        if self.recipe.checkpoint:
            recompute(network)
        if self.recipe.parallel == "fsdp":
            shard(self._plain, learner.methods, self.world)
        self.trained = TrainedState(
            network, Average(network, self.recipe.ema), optimiser_of(learner, self.recipe, self.world.device)
        )
        self.progress = resume or Progress()
        self.progress.plan = dict(task.plan)
        if resume is not None:
            restore(self.trained, self.state_path, resume.step)
        self.progress.processes = self.world.size
        self.learner = self._wrapped(self._plain)
        self._log = MetricsFile(task.out / "metrics.jsonl", self.progress.step) if self.world.main else None
        self._smooth: float | None = None
        self._told_to_stop = False

    @property
    def state_path(self) -> Path:
        """The file to go on from."""
        return self.task.out / "state.safetensors"

    def _wrapped(self, learner: Learner) -> nn.Module:
        module: nn.Module = learner
        if self.world.size > 1 and self.recipe.parallel == "ddp":
            ids = [self.world.device.index] if self.world.device.type == "cuda" else None
            module = nn.parallel.DistributedDataParallel(learner, device_ids=ids, gradient_as_bucket_view=True)
        if self.recipe.compile:
            module = torch.compile(module)  # type: ignore[assignment]
        return module

    def run(self) -> Progress:
        """Train to the end.

        Raises:
            PreemptedError: told to stop by SIGTERM; the state is saved.
            BenchError: the loss is no number any more, or a file cannot be written.
        """
        order = Order(self.task.reader.sources, self.recipe.weights, self.recipe.seed)
        loader = Loader(
            self.task.reader,
            order,
            self.world.device,
            rank=self.world.rank,
            size=self.world.size,
            step=self.progress.step,
        )
        try:
            with self._listening():
                self._train(loader, iter(loader))
        finally:
            loader.close()
        return self.progress

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """SIGTERM is remembered until the running step is done."""

        def remember(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._told_to_stop = True

        before = signal.signal(signal.SIGTERM, remember)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _train(self, loader: Loader[Any], batches: Iterator[Batch]) -> None:
        # A GPU works on one update while the numbers of the one before are looked at.
        waiting: list[_Sums] = []
        ahead = 1 if self.world.device.type == "cuda" else 0
        clock = Clock(self.recipe, loader)
        while self.progress.step < self.recipe.steps:
            waiting.append(self._update(batches))
            self.progress.step += 1
            saving = self._due(self.recipe.save_every) or self.progress.step == self.recipe.steps
            validating = self._due(self.recipe.validate_every) or self.progress.step == self.recipe.steps
            stopping = self.world.any(self._told_to_stop)
            while len(waiting) > (0 if saving or validating or stopping else ahead):
                self._look_at(waiting.pop(0), clock)
            if validating:
                self._validate()
                clock.restart()
            if saving or stopping:
                self._save()
                clock.restart()
            if stopping and self.progress.step < self.recipe.steps:
                raise PreemptedError(
                    f"told to stop: the state after step {self.progress.step} of {self.recipe.steps} is saved in "
                    f"{self.task.out}. Go on with the same command and --resume."
                )

    def _due(self, every: int) -> bool:
        return self.progress.step % every == 0

    def _update(self, batches: Iterator[Batch]) -> _Sums:
        recipe, parts = self.recipe, self.recipe.accumulate
        used, each = [], []
        for part in range(parts):
            batch = next(batches)
            with self._synchronised(part == parts - 1), autocast(recipe, self.world.device):
                errors = self.learner(batch)
                torch.autograd.backward(errors.mean(0).sum() / parts)
            used.append(batch)
            each.append(errors.detach())
        parameters = [value for value in self.trained.network.parameters() if value.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        for group in self.trained.optimiser.param_groups:
            group["lr"] = group["relative"] * self._rate(self.progress.step)
        self.trained.optimiser.step()
        self.trained.optimiser.zero_grad(set_to_none=True)
        self.trained.average.update()
        means = self.world.mean(torch.stack([errors.mean(0) for errors in each]).mean(0))
        return _Sums(self.progress.step, means, norm, used, each)

    def _rate(self, step: int) -> float:
        recipe = self.recipe
        return learning_rate(step, recipe.learning_rate, recipe.warmup, recipe.decay_at, recipe.decay)

    def _synchronised(self, last: bool) -> Any:
        """Gradients are exchanged only with the last of several accumulated parts."""
        module = self.learner
        if isinstance(module, nn.parallel.DistributedDataParallel) and not last:
            return module.no_sync()
        return nullcontext()

    def _look_at(self, sums: _Sums, clock: Clock) -> None:
        errors = sums.errors.tolist()
        norm = float(whole(sums.norm))
        loss = sum(errors)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise BenchError(self._broken(sums))
        self._smooth = loss if self._smooth is None else SMOOTH * self._smooth + (1 - SMOOTH) * loss
        number = sums.step + 1
        if number % self.recipe.log_every == 0 or number == self.recipe.steps:
            named = dict(zip(self._plain.losses, errors, strict=True))
            told = {"smooth": self._smooth, "lr": self._rate(sums.step), "grad_norm": norm}
            self._record({"step": number, "loss": loss, **named, **told, **clock.told(number, self.world.device)})

    def _broken(self, sums: _Sums) -> str:
        """What is said of a loss that is no number: where, and which clips brought it."""
        own = [
            clip
            for batch, each in zip(sums.batches, sums.each, strict=True)
            for clip in clips_of(batch, ~torch.isfinite(each).all(1))
        ]
        bad = self.world.gather(own)
        everything = self.world.gather([clip for batch in sums.batches for clip in batch.clips])
        which = f"for {', '.join(bad[:8])}" if bad else f"in its gradient; the batch was {', '.join(everything[:8])}"
        kept = self.state_path if self.state_path.exists() else "none yet"
        return (
            f"the loss of step {sums.step + 1} is not a number {which}{', ...' if len(bad or everything) > 8 else ''}. "
            f"The last good state is kept ({kept}). Look at those clips (bench features check), or go on with a lower "
            "learning rate: --resume --set learning_rate=..."
        )

    def _validate(self) -> None:
        if self.task.validate is None:
            return
        self.trained.network.eval()
        with self.trained.average.in_place(), torch.no_grad():
            scores = dict(self.task.validate(self._plain))
        self.trained.network.train()
        self._record({"step": self.progress.step, **{f"validation/{key}": value for key, value in scores.items()}})
        score = scores.get("score")
        # Correlations of silent sounds are no numbers, which nothing is better than.
        if score is not None and math.isfinite(score) and (self.progress.best is None or score > self.progress.best):
            self.progress.best, self.progress.best_step = score, self.progress.step
            self._save_weights("best")

    def _save(self) -> None:
        self._save_weights("last")
        save(self.trained, self.progress, self.state_path, self.world)

    def _save_weights(self, name: str) -> None:
        notes = {**self.task.notes, "step": str(self.progress.step)}

        def write(state: Mapping[str, Tensor], path: Path) -> None:
            self.task.write(state, path, notes)

        save_average(self.trained, self.task.out / f"{name}.safetensors", write, self.world)

    def _record(self, record: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.add(record)
            if self.task.tell is not None:
                self.task.tell(record)


class Clock:
    """How fast it goes, and how much of the time went by waiting for data."""

    def __init__(self, recipe: Recipe, loader: Loader[Any]):
        self.recipe, self.loader = recipe, loader
        self.restart()

    def restart(self) -> None:
        """Leave out what has just been done (validation, saving)."""
        self._began: tuple[float, float, int] | None = None

    def told(self, step: int, device: torch.device) -> dict[str, float]:
        """Samples a second, share of time spent waiting, seconds left, and GB of memory."""
        now, before = (time.perf_counter(), self.loader.waited, step), self._began
        self._began = now
        memory = _memory(device)
        if before is None or step <= before[2]:
            return {"memory_gb": memory}
        seconds, steps = now[0] - before[0], step - before[2]
        return {
            "samples_per_s": steps * self.recipe.batch / seconds,
            "data_wait": (now[1] - before[1]) / seconds,
            "left_s": (self.recipe.steps - step) * seconds / steps,
            "memory_gb": memory,
        }


def _memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


class MetricsFile:
    """`metrics.jsonl`: on a continuation, what was logged after the saved step is taken back first."""

    def __init__(self, path: Path, step: int):
        self.path = path
        kept = _until(path, step) if step else []
        write_text(path, "".join(f"{line}\n" for line in kept))

    def add(self, record: Mapping[str, Any]) -> None:
        """Append one line; it is with the system when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({key: _number(value) for key, value in record.items()}) + "\n")


def _number(value: float) -> float | None:
    """A number as JSON has it: what is none is null."""
    return value if math.isfinite(value) else None


def _until(path: Path, step: int) -> list[str]:
    """The lines of steps up to one; what is none is left out, such as the half of one that a kill left at the end."""
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told = parse_json(line)
            require(told, {"step": int})
        except ValueError:
            continue
        if told["step"] <= step:
            lines.append(line)
    return lines
