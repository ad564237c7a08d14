"""Batches of windows; and the mono sounds along random paths through measured head responses that most are cut from.

Sample number k has its sound, its path and its noise from the training's seed and k alone. There are as many sounds as
the recipe says, one kind after the other; the paths never repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import digest
from visaudio_bench.models.foleyspace.config import BINS, FRAMES, FURTHEST, HOP, NEAREST, SAMPLES
from visaudio_bench.models.foleyspace.inference import louder_near
from visaudio_bench.models.foleyspace.network import EARS
from visaudio_bench.models.foleyspace.spectra import PASTS, PLACE, Unit, place_features, spectrum, unit_of
from visaudio_bench.models.foleyspace.training.recipe import FoleyRecipe
from visaudio_bench.models.training.loading import TensorBatch
from visaudio_bench.models.training.order import generator_of
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.simulator.hrtf import Array, Samples, pan
from visaudio_bench.suites.simulator.sounds import RECIPES, synthesise

SOUND_SECONDS = 2.0
KINDS = (*RECIPES, "noise")
LARGEST_STEP = 1.6  # radians between the beginning of a window and its end, standard deviation


class Heard(NamedTuple):
    """A mono sound `(N,)` at 44.1 kHz, both ears' sound of it `(2, N)`, and its path `(P, 3)`, spread over it."""

    mono: Samples
    ears: Samples
    positions: Array


class Source(Protocol):
    """What windows are cut from."""

    @property
    def before(self) -> int:
        """Frames of sound before a window, by which its first ones are heard as those in the middle of a clip."""

    def __len__(self) -> int: ...

    def cut(self, number: int, length: int, rng: np.random.Generator) -> Heard:
        """Some `length` samples of sound `number`."""


@dataclass(frozen=True)
class RenderedSounds:
    """Sounds without a room, made on the fly; as a run folder names its data."""

    sounds: int
    folder: Path = Path("made on the fly")
    before = 4

    def __len__(self) -> int:
        return self.sounds

    @property
    def manifest_hash(self) -> str:
        """Identity: how many, and the revision of what makes them."""
        return digest([self.sounds, source_revision(along_a_path)])

    def about(self) -> dict[str, Any]:
        """What is learnt from, for `training.json`."""
        return {"sounds": list(KINDS), "head": "MIT KEMAR", "sample_rate": SAMPLE_RATE, "samples": SAMPLES}

    def cut(self, number: int, length: int, rng: np.random.Generator) -> Heard:
        """As `Source.cut`; the path is drawn too."""
        whole = dry_sound(number)
        start = int(rng.integers(len(whole) - length + 1))
        mono = whole[start : start + length] + 1e-4 * rng.standard_normal(length).astype(np.float32)
        positions = random_path(rng)
        return heard_along(mono, positions)


class Reader:
    """Makes windows.

    A batch has `data` and `noise` `(B, 4, F, T)`, `mono` and `falls` `(B, 2, F, T)`, `places` `(B, T, PLACE)` and
    `time` `(B,)`.
    """

    def __init__(self, source: Source, recipe: FoleyRecipe):
        self.source, self.recipe = source, recipe
        self.sources = ["rendered"] * len(source)

    def empty(self, size: int, *, pinned: bool) -> dict[str, Tensor]:
        """Memory for `size` samples."""
        shapes: dict[str, tuple[int, ...]] = {
            "data": (EARS, BINS, FRAMES),
            "noise": (EARS, BINS, FRAMES),
            "mono": (2, BINS, FRAMES),
            "falls": (len(PASTS), BINS, FRAMES),
            "places": (FRAMES, PLACE),
            "time": (),
        }
        return {key: torch.empty((size, *shape), pin_memory=pinned) for key, shape in shapes.items()}

    def batch(self, memory: Mapping[str, Tensor], clips: list[int], samples: list[int]) -> TensorBatch:
        """The samples with these numbers, of these sounds."""
        for place, (clip, sample) in enumerate(zip(clips, samples, strict=True)):
            chance = generator_of(self.recipe.seed, sample)
            rng = np.random.default_rng(int(torch.randint(2**62, (), generator=chance)))
            made = window(self.source, clip, rng)
            for key in ("data", "mono", "falls", "places"):
                memory[key][place].copy_(made[key])
            memory["noise"][place].copy_(torch.randn(EARS, BINS, FRAMES, generator=chance))
            memory["time"][place].copy_(self.recipe.latest * torch.rand((), generator=chance))
        return TensorBatch(memory, tuple(f"sound {clip}" for clip in clips))

    def joined(self, memory: Mapping[str, Tensor], pieces: Sequence[TensorBatch]) -> TensorBatch:
        """As `TensorBatch.joined`."""
        return TensorBatch.joined(memory, pieces)


def window(source: Source, number: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Make one sample: a window of a sound on a path.

    Args:
        source: of the sound.
        number: of the sound.
        rng: draws whatever the source leaves open.

    Returns:
        Tensors `data` (spectra of both ears), `mono` (spectrum), both in the unit of the mono sound, `falls` (of its
        size) and `places` (features a frame).
    """
    before = source.before
    length = SAMPLES + before * HOP
    mono, both, positions = source.cut(number, length, rng)
    spectra = spectrum(torch.from_numpy(np.concatenate([mono[None], both])))
    unit = Unit(*(whole[..., before:] for whole in unit_of(spectra[:1])))
    data = (spectra[1:, ..., before:] / unit.size).flatten(0, 1)
    inside = before * HOP / length
    places = np.stack([np.interp(np.linspace(inside, 1, FRAMES), np.linspace(0, 1, len(positions)), axis)
                       for axis in positions.T], axis=1)  # fmt: skip
    return {
        "data": data,
        "mono": unit.parts[0],
        "falls": unit.falls[0],
        "places": place_features(torch.from_numpy(places).float()),
    }


@lru_cache(maxsize=512)
def dry_sound(number: int) -> Samples:
    """Sound number `number` `(N,)` of 2 s at 44.1 kHz: of one of the simulator's kinds, or noise."""
    kind = KINDS[number % len(KINDS)]
    if kind in RECIPES:
        return synthesise(kind, number, SOUND_SECONDS).samples
    noise = np.random.default_rng(number).standard_normal(round(SOUND_SECONDS * SAMPLE_RATE))
    return (0.1 * noise).astype(np.float32)


def random_path(rng: np.random.Generator) -> Array:
    """A smooth path `(16, 3)` in metres around the head: half of the places ahead, as pictures have them."""
    ahead = rng.random() < 0.5
    middle = rng.uniform(-1, 1) * (np.pi / 3 if ahead else np.pi)
    turn = rng.normal(0, LARGEST_STEP) * (0 if rng.random() < 0.3 else 1)
    bend = rng.normal(0, 0.2)
    along = np.linspace(-0.5, 0.5, 16)
    azimuth = middle + turn * along + bend * (along**2 - 1 / 12)
    elevation = np.clip(rng.normal(0, 0.3) + rng.normal(0, 0.2) * along, -0.7, 1.4)
    distance = np.clip(
        np.exp(rng.uniform(np.log(NEAREST), np.log(FURTHEST)) + rng.normal(0, 0.5) * along), NEAREST, FURTHEST
    )
    level = np.cos(elevation)
    return np.asarray(
        distance[:, None] * np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], 1)
    )


def along_a_path(mono: Samples, positions: Array) -> Samples:
    """Hear a mono sound through measured head responses along a path.

    Args:
        mono: `(N,)` at 44.1 kHz.
        positions: `(P, 3)` metres around the head, spread evenly over the sound; only their directions count.

    Returns:
        `(2, N)`, left first.
    """
    x, y, z = positions.T
    return pan(mono, np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))


def heard_along(mono: Samples, positions: Array) -> Heard:
    """Let a head hear a sound along a path.

    Args:
        mono: `(N,)` at 44.1 kHz.
        positions: of the source, as `louder_near` takes them.

    Returns:
        The mono sound, louder where its path is near, what the head hears of it, and the positions.
    """
    louder = louder_near(mono, positions)
    return Heard(louder, along_a_path(louder, positions), positions)
