"""The stage of the pipeline: what a clip costs the process that feeds the networks, with networks that cost nothing.

Clips have a video, a reference and the sounds of five systems. With one worker everything happens in one process, as it
does without a pipeline; that is the reference. The second run of each finds every answer in the cache.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import Bench, Figure
from visaudio_bench.bench.evaluation.family_registry import registry
from visaudio_bench.bench.evaluation.frozen_networks import Net
from visaudio_bench.bench.evaluation.network_pipeline import ClipSounds, answers_of
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.metrics.protocol import OURS
from visaudio_bench.models.weights import Located
from visaudio_bench.pool import available_cores, map_unordered
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import write_audio, write_video

FAMILIES = ("vggish", "panns", "synchformer", "imagebind")
RATE, SECONDS = 44100, 8.0


class Output(NamedTuple):
    """As the networks that say what a sound is give it."""

    features: Tensor
    logits: Tensor


@lru_cache(maxsize=64)
def nothing(*shape: int) -> Tensor:
    """An answer that is there already: to make one takes time, too."""
    return torch.full(shape, 0.5)


class Free:
    """Every call of the four networks, for nothing."""

    sample_rate = 32000

    def __call__(self, x: Tensor) -> Output:
        """As PANNs."""
        return Output(nothing(x.shape[0], 2048), nothing(x.shape[0], 527))

    def embed(self, x: Tensor) -> Tensor:
        """As VGGish."""
        return nothing(x.shape[0], 8, 128)

    def encode_video(self, frames: Tensor) -> Tensor:
        """As Synchformer."""
        return nothing(frames.shape[0], 24, 8, 768)

    def encode_audio(self, segments: Tensor) -> Tensor:
        """As Synchformer."""
        return nothing(*segments.shape[:2], 6, 768)

    def offset_logits(self, video: Tensor, audio: Tensor) -> Tensor:
        """As Synchformer."""
        del audio
        return nothing(video.shape[0], 2, 21)

    def embed_audio(self, clips: Tensor) -> Tensor:
        """As ImageBind."""
        return nothing(clips.shape[0], 1024)

    def embed_video(self, crops: list[Tensor]) -> Tensor:
        """As ImageBind."""
        return nothing(len(crops), 1024)


def load(path: Path, device: str, dtype: torch.dtype) -> Free:
    """In place of a network of any family."""
    del path, device, dtype
    return Free()


def material(folder: Path, count: int, pixels: int, systems: int, seconds: float = SECONDS) -> list[ClipSounds]:
    """Clips with a video, a reference, and a sound of each system."""
    clips = []
    for number in range(count):
        draw = np.random.default_rng(number)
        picture = draw.integers(0, 256, (pixels, pixels, 3), dtype=np.uint8)
        write_video(folder / f"{number}.mp4", [np.roll(picture, step, 1) for step in range(int(25 * seconds))], 25)
        sounds = {}
        for system in ("reference", *(f"system{k}" for k in range(systems))):
            sound = draw.standard_normal((2, round(RATE * seconds))).astype(np.float32) / 10
            sounds[system] = folder / f"{number}-{system}.wav"
            write_audio(sounds[system], sound, RATE)
        clip = Clip(str(number), folder / f"{number}.mp4", sounds.pop("reference"), 0.0, seconds)
        clips.append(ClipSounds(number, clip, sounds))
    return clips


def measured(clips: list[ClipSounds], workers: int) -> dict[str, Any]:
    """One run over the clips."""
    families = [registry().get(name) for name in FAMILIES]
    nets = {
        family.name: {
            n.name: Net(n.name, load, Located(Path(n.name), n.name), "cpu", by_row=n.by_row) for n in family.networks
        }
        for family in families
    }
    began, own = time.monotonic(), time.process_time()
    rows = sum(len(answers) for answers in answers_of(clips, families, nets, OURS, workers))
    assert rows == sum(len(task.sounds) + 1 for task in clips)
    return {"wall": (time.monotonic() - began) / len(clips), "feeding": (time.process_time() - own) / len(clips)}


def apart(clips: list[ClipSounds], cores: int) -> float:
    """Wall time a clip where every core has a process and a share of the clips of its own: what the machine can do."""
    shares = [clips[first::cores] for first in range(cores)]
    began = time.monotonic()
    for outcome in map_unordered(partial(measured, workers=1), shares, cores):
        outcome.result()
    return (time.monotonic() - began) / len(clips)


def warm(number: int) -> int:
    """Import what workers need."""
    for name in FAMILIES:
        registry().get(name)
    torch.stft(torch.zeros(1, 512), 512, window=torch.hann_window(512), return_complex=True)
    time.sleep(1.0)
    return number


def feeding(bench: Bench) -> Iterator[Figure]:
    """Processor time of the feeding process, and clips by wall time, for every number of workers up to the cores."""
    size, cores = bench.size, available_cores()
    folder = bench.folder / "feeding"
    folder.mkdir()
    clips = material(folder, 16 * cores if size.full else 2, size.pixels, 5 if size.full else 1, size.seconds)
    per = f"clip of {size.seconds:g} s, {len(clips[0].sounds) + 1} sounds"
    alone: dict[str, float] = {}
    before = os.environ.get(CACHE_VARIABLE)
    for workers in range(1, cores + 1):
        os.environ[CACHE_VARIABLE] = str(folder / f"cache-{workers}")
        if workers > 1:
            list(map_unordered(warm, range(4 * workers), workers))
        for cache in ("empty", "full"):
            took = measured(clips, workers)
            alone |= {f"{cache} {kind}": value for kind, value in took.items() if workers == 1}
            for kind, what in (("feeding", "feeding process, CPU"), ("wall", "whole, wall time")):
                times = alone[f"{cache} {kind}"] / took[kind]
                name = f"{what}, {workers} worker{'s' * (workers > 1)}, {cache} cache"
                yield Figure("pipeline", name, per, took[kind], "one process that does everything", times)
    os.environ[CACHE_VARIABLE] = str(folder / "cache-apart")
    if cores > 1:
        list(map_unordered(warm, range(4 * cores), cores))
    for cache in ("empty", "full") if cores > 1 else ():
        took_apart = apart(clips, cores)
        name = f"whole, wall time, {cores} processes that share nothing, {cache} cache"
        times = alone[f"{cache} wall"] / took_apart
        yield Figure("pipeline", name, per, took_apart, "one process that does everything", times)
    os.environ.pop(CACHE_VARIABLE) if before is None else os.environ.update({CACHE_VARIABLE: before})
