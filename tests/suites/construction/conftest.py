"""Small panoramas of the tests' own making."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.media import write_audio
from visaudio_bench.suites.simulator.hrtf import unit_vector
from visaudio_bench.suites.yuv_pictures import Colours, Planes, write_planes

Panoramas = Callable[..., Path]
HEIGHT = 64


def texture(height: int = HEIGHT) -> np.ndarray:
    """`(H, 2 H)` grey levels that go on across the edges and differ above and below."""
    around = np.pi * (1 - (np.arange(2 * height) + 0.5) / height)
    up = np.pi / 2 * (1 - (np.arange(height)[:, None] + 0.5) * 2 / height)
    x, y, z = np.moveaxis(unit_vector(around, up), -1, 0)
    return np.asarray(110 + 40 * np.sin(3 * x + 2 * z) + 40 * np.sin(4 * y - z) + 20 * z)


def pixel_rays(size: int) -> np.ndarray:
    """`(3, size, size)` unit vectors through the centres of the pixels of a 90-degree picture."""
    focal = size / 2
    down, right = (np.mgrid[:size, :size] + 0.5 - size / 2) / focal
    rays = np.stack([np.ones_like(down), -right, -down])
    return np.asarray(rays / np.linalg.norm(rays, axis=0))


def pictures(light: Iterable[np.ndarray]) -> Iterable[Planes]:
    for grey in light:
        y = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
        chroma = np.full((y.shape[0] // 2, y.shape[1] // 2), 128, np.uint8)
        yield Planes(y, chroma, chroma)


def noise(seconds: float, rate: int = 48000, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate)).astype(np.float32)


@pytest.fixture
def panorama(tmp_path: Path) -> Panoramas:
    """Makes `<id>.mp4` and `<id>.flac` below a folder `source`, with lists of all that were made; gives the folder."""
    folder = tmp_path / "source"
    lists: dict[str, list[str]] = {"train": [], "test": []}

    def make(
        clip: str,
        *,
        split: str = "train",
        light: Iterable[np.ndarray] | None = None,
        field: np.ndarray | None = None,
        fps: Fraction = Fraction(25),
        rate: int = 48000,
    ) -> Path:
        shown = [texture()] * int(fps) if light is None else light
        write_planes(folder / f"{clip}.mp4", pictures(shown), fps, Colours(2, 2, 2, 0))
        write_audio(folder / f"{clip}.flac", encode(noise(1.0, rate), 1.2) if field is None else field, rate)
        lists[split].append(clip)
        for name, clips in lists.items():
            (folder / "split").mkdir(exist_ok=True)
            (folder / "split" / f"{name}.txt").write_text("\n".join(clips))
        return folder

    return make
