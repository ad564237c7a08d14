"""Doubles of published systems: installed through the command line, as a user would, into a cache of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from visaudio_bench.baselines.published.installed import find_card
from visaudio_bench.baselines.published.opened_files import Named, OpenedFile
from visaudio_bench.baselines.published.published_system import PublishedSystem
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import write_video

DOUBLES = Path(__file__).parent / "doubles"
collect_ignore = ["doubles"]  # authors call modules test_options, and they are no tests
SECONDS = 0.5


def read_opened(path: Path) -> tuple[OpenedFile, ...]:
    """What `write_opened` wrote down; lines that begin with # say how it was."""
    lines = (line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    return tuple(OpenedFile(cast(Named, named), name) for named, _, name in lines)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def doubles(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of doubles, known as a user's own systems."""
    monkeypatch.setenv("VISAUDIO_BENCH_SYSTEMS", str(DOUBLES))
    return DOUBLES


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What stands for the authors' checkout: the double leaves its traces there."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def installed(doubles: Path, source: Path, bench: Callable) -> Callable[..., PublishedSystem]:
    """Open the double, which is installed when a test asks for it first."""

    @cache
    def install() -> None:
        told = bench(
            "systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence"
        )
        assert told.code == 0, told.err

    def open_it(argument: str | None = None, variant: str = "") -> PublishedSystem:
        install()
        return PublishedSystem(find_card("test-double"), variant, argument)

    return open_it


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    write_video(path, [np.full((32, 32, 3), 9 * index, dtype=np.uint8) for index in range(15)], 25)
    return path


@pytest.fixture
def clips_named(picture: Path) -> Callable[[Sequence[str]], list[Clip]]:
    def make(names: Sequence[str]) -> list[Clip]:
        return [Clip(name, picture, None, 0.0, SECONDS, f"caption of {name}") for name in names]

    return make
