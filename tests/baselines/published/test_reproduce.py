"""docs/reproduce.md: its commands, one after the other, on stand-ins for data and systems."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.models.weights import entry
from visaudio_bench.suites.media import write_audio, write_video

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reproduce.md"
SYSTEM = re.compile(r"(thinksound|audiox|visage|see2sound)")
# What stands for an option that another system has; a row of its own all the same.
OPTION = re.compile(r":[a-z_]+=\S*")


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "bench"
            yield arguments


def on_stand_ins(arguments: list[str], folder: Path) -> list[str]:
    """A command of the page, with the double for each system and two clips for the data."""
    group, *rest = arguments
    rest = ["test-double" if SYSTEM.fullmatch(part) else part for part in rest]
    if group == "systems" and rest[0] == "install" and "--dry-run" not in rest:
        rest += ["--source", str(folder), "--python", sys.executable]
    if group == "run":
        systems = rest[rest.index("--system") + 1]
        rest[rest.index("--system") + 1] = "test-double:gain=0.2" if OPTION.search(systems) else "test-double"
        rest += ["--workers", "1", "--device", "cpu"]
    return [group, *(str(folder / part.lstrip("/")) if part.startswith(("/data/", "runs/")) else part for part in rest)]


@pytest.fixture
def fairplay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips as FAIR-Play has them."""
    monkeypatch.setenv("VISAUDIO_BENCH_DATA", str(tmp_path / "manifests"))
    root = tmp_path / "data" / "FAIR-Play"
    for number in (1, 2):
        frames = [np.full((32, 32, 3), index, dtype=np.uint8) for index in range(100)]
        write_video(root / "videos" / f"{number:06d}.mp4", frames, 10)
        noise = 0.1 * np.random.default_rng(number).standard_normal((2, 441000), dtype=np.float32)
        write_audio(root / "binaural_audios" / f"{number:06d}.wav", noise * np.float32([[1], [0.5]]), 44100)
    return root


def test_every_command_of_the_page_does_what_the_page_says(
    bench: Callable, doubles: Path, fairplay: Path, tmp_path: Path
) -> None:
    del doubles, fairplay
    told = {}
    for arguments in commands():
        if arguments[:2] == ["weights", "fetch"]:
            assert all(entry(name).size for name in arguments[2:])
            continue
        changed = on_stand_ins(arguments, tmp_path)
        told[" ".join(arguments)] = answer = bench(*changed)
        assert answer.code == 0, f"bench {' '.join(changed)}: {answer.err}"
    table = next(answer for command, answer in told.items() if command.startswith("leaderboard"))
    assert "Test double" in table.out
    assert "ViSAudio" in table.out, "the published rows stand beside"
    difference = next(answer for command, answer in told.items() if command.startswith("diff"))
    assert "test-double" in difference.out + difference.err
    assert (tmp_path / "runs" / "table2" / "leaderboard.md").is_file()
