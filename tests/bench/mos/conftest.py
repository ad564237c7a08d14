"""A small run folder, its videos, and questionnaires made of them."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visaudio_bench.bench.mos.page_data import Wording
from visaudio_bench.bench.mos.questionnaire import Questionnaire, build
from visaudio_bench.bench.mos.study_material import from_folders
from visaudio_bench.suites.media import write_audio, write_video

from .sessions import whole_session

RATE = 44100
SECONDS = 1.2
SYSTEMS = ("ThinkSound", "AudioX", "ViSAGe", "See2Sound", "ViSAudio")


def sound(seed: int, level: float = 0.05) -> np.ndarray:
    """Noise, louder on the left by an amount that depends on the seed."""
    rng = np.random.default_rng(seed)
    balance = np.array([[1.0], [0.3 + 0.1 * (seed % 5)]])
    return (level * balance * rng.standard_normal((2, round(SECONDS * RATE)))).astype(np.float32)


def write_material(root: Path, clips: int) -> tuple[list[str], Path]:
    """Folders of videos and of each system's sounds; returns NAME=DIR arguments and the folder of videos."""
    videos = root / "videos"
    for number in range(clips):
        frames = [np.full((90, 160, 3), 40 + 30 * number % 210, np.uint8) for _ in range(round(25 * SECONDS))]
        for k, frame in enumerate(frames):
            frame[30:60, 4 * k : 4 * k + 20] = (230, 120, 40)
        write_video(videos / f"clip{number:02d}.mp4", frames, 25)
        for index, system in enumerate(SYSTEMS):
            path = root / "sounds" / system / f"clip{number:02d}.wav"
            write_audio(path, sound(10 * number + index, 0.02 * (index + 1)), RATE)
    return [f"{system}={root / 'sounds' / system}" for system in SYSTEMS], videos


def make_survey(root: Path, clips: int, study_id: str = "trial") -> Questionnaire:
    """A questionnaire of all clips but one, which is for practice."""
    folders, videos = write_material(root, clips)
    chosen = from_folders(
        folders, videos, clips=str(clips - 1), training=None, hidden_reference=False, low_anchor=False, seed=1
    )
    wording = Wording("Listening test: sound for videos", "lab@example.org")
    return build(chosen, root / "survey", wording=wording, study_id=study_id, seed=1, progress=lambda line: None)


@pytest.fixture(scope="session")
def material() -> Callable[[Path, int], tuple[list[str], Path]]:
    """`write_material`, for tests that make their own."""
    return write_material


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Questionnaire:
    """Two groups and one for practice."""
    return make_survey(tmp_path_factory.mktemp("survey"), 3)


@pytest.fixture
def start_server() -> Callable[..., tuple[subprocess.Popen, str]]:
    """Starts `bench mos serve` in a process of its own, as it would run in a lab; gives it and its address."""

    def start(folder: Path, database: Path, *more: str) -> tuple[subprocess.Popen, str]:
        root = str(Path(__file__).resolve().parents[3])
        arguments = ["mos", "serve", str(folder), "--port", "0", "--database", str(database), *more]
        log = database.with_suffix(".log")
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", "from visaudio_bench.bench.cli import main; main()", *arguments],
                stderr=file,
                cwd=root,
                env={**os.environ, "PYTHONPATH": root},
            )
        for _ in range(6000):
            if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
                return process, found[0]
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        process.kill()
        raise AssertionError(f"the server did not start: {log.read_text()}")

    return start


@pytest.fixture
def session() -> Callable[..., dict[str, Any]]:
    """`whole_session`, for tests that post."""
    return whole_session
