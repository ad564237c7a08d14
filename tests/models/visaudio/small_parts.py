"""The published parts with small networks in place of the large ones, in files, so that any process can load them.

What a caption says can go wrong goes wrong: `fails` costs an answer, `kills` ends the workers or, in a process that
does nothing but run networks, that process. Each network that is loaded leaves the number of its process in a file.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visaudio_bench.models.backbones.synchformer import SynchformerVisual
from visaudio_bench.models.visaudio import published_parts
from visaudio_bench.models.visaudio.config import CODEC_WEIGHTS, ENCODER_WEIGHTS, SPATIAL_WEIGHTS
from visaudio_bench.models.weight_loading import load
from visaudio_bench.models.weights import Located

NOTES, PAUSE = "SMALL_PARTS_NOTES", "SMALL_PARTS_PAUSE"


class SmallEncoder(nn.Module):
    """Stands in for CLIP: a few numbers for each picture, and for each letter."""

    title, ignored = "a small encoder", ()

    def __init__(self, side: int = 24, width: int = 8):
        super().__init__()
        self.side = side
        self.look = nn.Linear(3 * side * side, width)
        self.read = nn.Embedding(256, width)

    def finish(self) -> None:
        with Path(os.environ[NOTES]).open("a") as file:
            file.write(f"{os.getpid()}\n")

    def encode_frames(self, frames: Tensor) -> Tensor:
        return self.look(frames.flatten(1).float() / 255)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        time.sleep(float(os.environ.get(PAUSE, "0")))
        if "fails" in captions:
            raise ValueError("a caption that fails")
        if "kills" in captions:
            _kill()
        letters = [list(caption.encode().ljust(77)[:77]) for caption in captions]
        return self.read(torch.tensor(letters))


class SmallGrid(SmallEncoder):
    """Stands in for the Perception Encoder: a grid of places for each picture."""

    def encode_frames(self, frames: Tensor) -> Tensor:
        grid = nn.functional.adaptive_avg_pool2d(frames.float() / 255, 4).permute(0, 2, 3, 1)
        return grid * self.look.bias[:3]


class SmallCodec(nn.Module):
    """Stands in for mel spectrogram and VAE."""

    title, ignored = "a small codec", ()

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(1024, 40)

    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.project(nn.functional.pad(sound, (0, -sound.shape[-1] % 1024)).unflatten(1, (-1, 1024)))
        return mean, mean.abs()

    def decode(self, latent: Tensor) -> Tensor:
        return (latent @ self.project.weight).flatten(1).tanh()


def _kill() -> None:
    if multiprocessing.parent_process() is not None:
        os._exit(3)
    for child in multiprocessing.active_children():
        child.kill()


def small_codec(vae: Path, vocoder: Path, *, encoder: bool, device: str) -> SmallCodec:
    """In place of `load_codec`."""
    del vocoder, encoder
    return load(SmallCodec, vae, device=device)


SmallSync = partial(SynchformerVisual, width=24, heads=2, depth=1)


def put_in_place(
    put: Callable[..., None], folder: Path, filled: Callable[..., dict[str, Tensor]] | None = None
) -> None:
    """Let the published parts be these, whose files lie in `folder` or are made there with `filled` numbers."""
    clip, sync = ENCODER_WEIGHTS
    vae, vocoder = CODEC_WEIGHTS
    made: dict[str, Callable[[], nn.Module]] = {
        clip: SmallEncoder, sync: SmallSync, SPATIAL_WEIGHTS: SmallGrid, vae: SmallCodec, vocoder: SmallCodec,
    }  # fmt: skip
    if filled is not None:
        folder.mkdir()
        for name, network in made.items():
            torch.save(filled(network), folder / f"{name}.pth")
    os.environ[NOTES] = str(folder / "loaded")

    def require(name: str) -> Any:
        return Located(folder / f"{name}.pth", name[::-1])

    put(published_parts.weights, "require", require)
    for name, network in {
        "DfnClip": SmallEncoder, "SynchformerVisual": SmallSync, "PerceptionEncoder": SmallGrid,
        "load_codec": small_codec,
    }.items():  # fmt: skip
        put(published_parts, name, network)
