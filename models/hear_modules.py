"""HEAR: any module with the common API of the HEAR 2021 challenge as a backbone, and a validator for such modules.

The API (Turian et al. 2022, "HEAR: Holistic Evaluation of Audio Representations", appendix "common API"): a module
with `load_model(path) -> torch.nn.Module`, whose result has integer attributes `sample_rate`,
`scene_embedding_size` and `timestamp_embedding_size`, and the functions `get_scene_embeddings(audio, model)`,
`(n, samples)` to `(n, d)`, and `get_timestamp_embeddings(audio, model)`, to `(n, t, d)` and times in ms `(n, t)`.
Sound is mono in [-1, 1]. `hear:MODULE#WEIGHTS` names one on the command line; WEIGHTS is what its `load_model` is
given and may be empty.

The validator asks what `hear-validator` 2021.0.6 asks, without TensorFlow, and whether what comes back is finite.
`heareval` itself cannot be installed beside a current torch; through this API its models serve here all the same.

`models.hear_api` offers our own backbones the other way round, to tools that expect this API.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from traceback import format_exc
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.models.backbones.waveform import resample
from visaudio_bench.sources import source_revision

PREFIX = "hear:"
FUNCTIONS = ("load_model", "get_timestamp_embeddings", "get_scene_embeddings")
SIZES = ("scene_embedding_size", "timestamp_embedding_size")
SAMPLE_RATES = (16000, 22050, 32000, 44100, 48000)
_LENGTHS = (1.07, 1.98, 4.0)
_SCENE_LENGTH = 2.74
_HOP_JITTER, _WIDE_HOP = 1.0, 50.0
_HELP = "See: bench hear validate"


class HearBackbone:
    """A HEAR module with its weights, ready to embed. A copy in another process loads both when it is first asked.

    Attributes:
        name: what it was asked for, `hear:MODULE#WEIGHTS`.
        sample_rate: the rate that it listens at, in Hz.
        width: length of a scene embedding.
        identity: module, version of its package, what its weights are (SHA-256 of a file), and hashes of the module's
            own source and of the tensors that it loaded, for caches and results.
    """

    def __init__(self, name: str, device: torch.device | str = "cpu"):
        """Import the module and load its weights; what they print goes to stderr.

        Raises:
            UsageError: the name is not of the form `hear:MODULE#WEIGHTS`, the module does not import or lacks a
                function of the API, or its model is of another framework.
        """
        module_name, _, weights = name.removeprefix(PREFIX).partition("#")
        if not name.startswith(PREFIX) or not module_name:
            raise UsageError(
                f'"{name}" is not of the form hear:MODULE#WEIGHTS, as in hear:visaudio_bench.models.hear_api.vggish'
            )
        self.name = name
        self.device = device
        self._named, self._weights = module_name, weights
        self.sample_rate = int(self._model.sample_rate)
        self.width = int(self._model.scene_embedding_size)
        self.identity = {
            "module": module_name,
            "version": _version(self._module),
            "source": source_revision(module_name),
            "weights": _weights(weights),
            "tensors": _tensors(self._model),
        }

    @cached_property
    def _module(self) -> ModuleType:
        return import_module(self._named)

    @cached_property
    def _model(self) -> Any:
        module = self._module
        with _quiet():
            try:
                model = module.load_model(self._weights)
            except Exception as error:  # third-party code may raise anything
                raise UsageError(f'{self._named}.load_model("{self._weights}") failed: {error!r}') from error
        problems = [finding.text for finding in _check_model(model) if finding.level == "error"]
        if problems:
            raise UsageError(f"{self.name} does not follow the HEAR API: {'; '.join(problems)}. {_HELP}")
        return model.to(self.device).eval()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_module", "_model")}

    def check(self) -> None:
        """Try the module on noise, so that a run does not end at its first sound.

        Raises:
            UsageError: it fails, or what it returns is not what the API says.
        """
        with _quiet(), torch.no_grad():
            findings = _guarded(partial(_check_scene, self._module, self._model), "scenes")
        problems = [finding.text for finding in findings if finding.level == "error"]
        if problems:
            raise UsageError(f"{self.name} does not follow the HEAR API: {'; '.join(problems)}. {_HELP}")

    @torch.no_grad()
    def embed(self, x: Tensor, sample_rate: int) -> Tensor:
        """One embedding a clip: sound `(B, n)`, one view a row, to `(B, width)` float32 on the CPU.

        The sound is resampled to the model's rate and not scaled: beyond full scale it is the model's business.

        Raises:
            ClipError: `backbone_failed`, the model fails on this sound, or returns something else than it promised.
        """
        audio = resample(x, sample_rate, self.sample_rate).to(self.device)
        with _quiet():
            try:
                rows = self._module.get_scene_embeddings(audio, self._model)
            except Exception as error:  # third-party code may raise anything
                said = f"{self.name} failed on sound of shape {tuple(audio.shape)}: {error!r}"
                raise ClipError("backbone_failed", said, trace=format_exc()) from error
        if not isinstance(rows, Tensor) or rows.shape != (len(x), self.width):
            got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise ClipError("backbone_failed", f"{self.name} returned {got}, expected {(len(x), self.width)}")
        return rows.float().cpu()


def import_module(name: str) -> ModuleType:
    """The HEAR module of that name.

    Raises:
        UsageError: it does not import, or lacks a function of the API.
    """
    with _quiet():
        try:
            module = importlib.import_module(name)
        except Exception as error:  # third-party code may raise anything on import
            raise UsageError(f"the HEAR module {name} does not import: {error!r}. Is its package installed?") from error
    lacking = [function for function in FUNCTIONS if not callable(getattr(module, function, None))]
    if lacking:
        raise UsageError(f"{name} is not a HEAR module: it has no {', '.join(lacking)}")
    return module


class Finding(NamedTuple):
    """What a validator found: an `error` breaks the API, a `warning` breaks an expectation of the challenge."""

    level: Literal["error", "warning"]
    text: str


def validate(name: str, weights: str = "") -> list[Finding]:
    """Look for everything about a HEAR module that is not as the API says.

    Args:
        name: of the module, as Python imports it.
        weights: path that `load_model` is given.

    Returns:
        What is wrong or odd; an empty list when all is well.

    Raises:
        UsageError: it does not import, or lacks a function.
    """
    module = import_module(name)
    with _quiet(), torch.no_grad():
        model = module.load_model(weights)
        findings = list(_check_model(model))
        if any(finding.level == "error" for finding in findings):
            return findings
        for seconds in _LENGTHS:
            findings += _guarded(partial(_check_timestamps, module, model, seconds), f"{seconds} s of sound")
        findings += _guarded(partial(_check_scene, module, model), "scenes")
    return list(dict.fromkeys(findings))


def _guarded(check: Callable[[], Iterator[Finding]], of: str) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # third-party code may raise anything
        return [Finding("error", f"failed on {of}: {error!r}")]


def _check_model(model: object) -> Iterator[Finding]:
    if not isinstance(model, nn.Module):
        kind = type(model)
        yield Finding("error", f"load_model returns {kind.__module__}.{kind.__qualname__}, expected a torch.nn.Module")
        return
    rate = getattr(model, "sample_rate", None)
    if rate not in SAMPLE_RATES:
        yield Finding("error", f"sample_rate is {rate}, expected one of {', '.join(map(str, SAMPLE_RATES))}")
    for size in SIZES:
        value = getattr(model, size, None)
        if not isinstance(value, int):
            yield Finding("error", f"{size} is {value!r}, expected an integer")


def _noise(model: Any, count: int, seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, int(seconds * model.sample_rate), generator=generator) * 2 - 1
    parameter = next(iter(model.parameters()), torch.empty(0))
    return noise.to(parameter.device)


def _check_timestamps(module: ModuleType, model: Any, seconds: float) -> Iterator[Finding]:
    rows, times = module.get_timestamp_embeddings(_noise(model, 2, seconds), model)
    if rows.ndim != 3 or times.ndim != 2:
        yield Finding("error", f"timestamp embeddings have {rows.ndim} and {times.ndim} dimensions, expected 3 and 2")
        return
    if len(rows) != 2 or rows.shape[:2] != times.shape:
        yield Finding(
            "error", f"timestamp embeddings {tuple(rows.shape)} and times {tuple(times.shape)} do not fit 2 clips"
        )
    if rows.shape[2] != model.timestamp_embedding_size:
        yield Finding("error", f"timestamp embeddings have width {rows.shape[2]}, not {model.timestamp_embedding_size}")
    yield from _check_values("timestamp", rows)
    if times.shape[1] < 2:
        return
    hops = times.double().diff(dim=1)
    hop = float(hops.mean())
    if float((hops - hop).abs().max()) > _HOP_JITTER:
        yield Finding("error", f"hops between timestamps differ from their mean of {hop:.1f} ms by more than 1 ms")
    if hop > _WIDE_HOP:
        yield Finding("warning", f"timestamps are {hop:.0f} ms apart, more than 50 ms")
    if float(times[:, 0].max()) > hop:
        yield Finding("warning", f"the first timestamp is at {float(times[:, 0].max()):.0f} ms, later than one hop")


def _check_scene(module: ModuleType, model: Any) -> Iterator[Finding]:
    rows = module.get_scene_embeddings(_noise(model, 4, _SCENE_LENGTH), model)
    expected = (4, model.scene_embedding_size)
    if tuple(rows.shape) != expected:
        yield Finding("error", f"scene embeddings have shape {tuple(rows.shape)}, expected {expected}")
    yield from _check_values("scene", rows)


def _check_values(kind: str, rows: Tensor) -> Iterator[Finding]:
    if rows.dtype != torch.float32:
        yield Finding("error", f"{kind} embeddings are {rows.dtype}, expected torch.float32")
    if not torch.isfinite(rows).all():
        yield Finding("error", f"{kind} embeddings hold values that are not numbers")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Our stdout is data: what third-party modules print goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _version(module: ModuleType) -> str:
    top = module.__name__.partition(".")[0]
    return next((version(distribution) for distribution in packages_distributions().get(top, ())), "unknown")


def _weights(weights: str) -> str:
    if not Path(weights).is_file():
        return weights
    with Path(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(model: nn.Module) -> str:
    """SHA-256 of everything that was loaded, wherever from: `load_model("")` may take what it likes."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(memoryview(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
