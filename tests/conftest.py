"""Shared by all tests: a cache of their own, the command line in this process, small media."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import settings

from suites.media import Frame, Samples, round_to_16_bit, write_audio, write_video

# Shared machines are slow at random; where a result must not depend on luck, neither may the examples.
settings.register_profile("ours", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ours")

ROOT = Path(__file__).resolve().parent.parent
# Real recordings, where the tester has them; tests that need them are skipped elsewhere.
MEDIA = Path(os.environ.get("VISAUDIO_BENCH_TEST_MEDIA", ROOT.parent / "shared" / "media"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, so that the small suite is rendered once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(autouse=True)
def _cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(shared_cache))


@pytest.fixture
def media() -> Path:
    """The folder of real recordings."""
    if not MEDIA.is_dir():
        pytest.skip(f"no real recordings in {MEDIA}")
    return MEDIA


class Told(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


Bench = Callable[..., Told]


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Run `bench ...` in this process."""
    from bench.cli import main

    def run(*arguments: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return run


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of six 2 s clips: noise on alternating sides, with a video that flickers on that side."""
    folder = tmp_path / "clips"
    for index in range(6):
        side = "left" if index % 2 == 0 else "right"
        write_audio(folder / f"clip{index}.wav", lateral_noise(2.0, side=side, seed=index), 44100)
        write_video(folder / f"clip{index}.mp4", flicker(side), 10)
    return folder


def lateral_noise(seconds: float, *, side: str = "left", seed: int = 0) -> Samples:
    """(2, N) noise at 44.1 kHz that comes ten samples earlier and 8 dB louder on one side, in 16-bit values."""
    n = round(seconds * 44100)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(n + 10).astype(np.float32)
    near, far = noise[10:], 0.4 * noise[:n]
    return round_to_16_bit(np.stack([near, far] if side == "left" else [far, near]))


def flicker(side: str) -> list[Frame]:
    """Two seconds at 10 frames/s of a dark picture whose one side blinks."""
    frames = []
    for index in range(20):
        frame = np.full((64, 64, 3), 40, dtype=np.uint8)
        columns = slice(4, 12) if side == "left" else slice(52, 60)
        frame[20:44, columns] = 220 if index % 2 else 40
        frames.append(frame)
    return frames
