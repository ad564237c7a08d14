"""What the authors' programs open, recorded from them, beside their doubles; and what tells when it is out of reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from visaudio_bench.baselines.published import opened_files, worker_kit
from visaudio_bench.baselines.published.card import read_card
from visaudio_bench.baselines.published.job_folders import JobFolder
from visaudio_bench.baselines.published.opened_files import OpenedFile, write_opened
from visaudio_bench.files import write_json

from .conftest import read_opened

DOUBLES = Path(__file__).parent / "doubles"
RECORDED = sorted(path.parent.name for path in DOUBLES.glob("*/opened.txt"))
CARDS = {name: read_card(Path(worker_kit.__file__).parent / name) for name in RECORDED}
NEED_WEIGHTS = {"see2sound", "selva", "hunyuanvideo_foley", "thinksound", "audiox", "prismaudio"}  # others do without
TORCH = {"thinksound", "audiox", "visage"}  # their doubles compute with it, which takes seconds to start
LIGHT = set(RECORDED) - TORCH - {"see2sound"}  # their doubles take torch for granted
MAIN = "    worker_kit.main(load)\n"
ELSEWHERE = """    import os

    def elsewhere(job):
        (job.work / "elsewhere").mkdir()
        os.chdir(job.work / "elsewhere")
        return load(job)

    worker_kit.main(elsewhere)
"""

PROGRAM = """
import os, sys
from pathlib import Path
open("configs/model.yaml").close()
open(os.path.relpath(os.__file__)).close()  # as numba names what it compiles
open(Path(sys.argv[1]) / "weights.json").close()
Path("written").write_text("not read")
try:
    open("gone/there.yaml")
except OSError:
    pass
"""


def test_the_recorder_tells_relative_from_whole_and_what_is_not_there(tmp_path: Path) -> None:
    source, job = tmp_path / "source", JobFolder(tmp_path / "job")
    for path in (job.path / "code", job.work, source / "configs", source / "gone"):
        path.mkdir(parents=True)
    for name in ("configs/model.yaml", "weights.json", "gone/there.yaml"):
        (source / name).touch()
    (job.work / "configs").symlink_to(source / "configs")
    program = job.path / "code" / "runner.py"
    program.write_text(PROGRAM)
    command = opened_files.recording(job, [sys.executable, "-u", str(program), str(source)], tmp_path / "listed")
    subprocess.run(command, cwd=job.work, check=True)
    opened = opened_files.opened_files(tmp_path / "listed", source)
    assert opened == (
        OpenedFile("relative", "configs/model.yaml"),
        OpenedFile("relative", "gone/there.yaml", is_there=False),
        OpenedFile("whole", "weights.json"),
    )
    write_opened(tmp_path / "opened.txt", opened[::2])
    assert read_opened(tmp_path / "opened.txt") == opened[::2]
    (tmp_path / "opened.txt").write_text("# to the sound\nwhole a\n")
    assert read_opened(tmp_path / "opened.txt") == (OpenedFile("whole", "a"),)


class Ran(NamedTuple):
    """The last event of a runner, and what was opened of its checkout."""

    last: dict[str, Any]
    opened: tuple[OpenedFile, ...]


def is_hub(file: str) -> bool:
    """Whether it is a folder of a model hub."""
    return "/" in file or not Path(file).suffix


def systems(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in TORCH else []) for name in names]


def run_double(folder: Path, system: str, text: str, double: Path | None = None) -> Ran:
    """Load a system by this text of a runner, on its double, with the files recorded."""
    card, double = CARDS[system], double or DOUBLES / system
    job = JobFolder(folder)
    code, weights = job.path / "code", folder / "weights"
    for path in (code, job.work, weights):
        path.mkdir(parents=True)
    (code / "runner.py").write_text(text)
    (code / "worker_kit.py").write_text(Path(worker_kit.__file__).read_text())
    events = folder / "events.jsonl"
    told = {
        "schema": worker_kit.JOB_SCHEMA, "system": card.name, "source": str(double),
        "weights": str(weights) if system in NEED_WEIGHTS else None, "work": str(job.work), "native": str(job.work),
        "events": str(events), "device": "cuda:0" if system == "see2sound" else "cpu",
        "options": {name: option.default for name, option in card.options.items()}, "clips": [],
    }  # fmt: skip
    for wanted in card.weights:
        path = weights / wanted.file
        if is_hub(wanted.file):
            path.mkdir(parents=True)
        elif system in TORCH and path.suffix != ".json":
            torch.save({}, path)
        else:
            write_json(path, {"sample_rate": 44100, "sample_size": 485100, "video_fps": 5})
    write_json(folder / "job.json", told)
    program = [sys.executable, str(code / "runner.py"), "--job", str(folder / "job.json")]
    command = opened_files.recording(job, program, folder / "listed")
    environment = {**os.environ, "PYTHONPATH": str(DOUBLES / "light") if system in LIGHT else ""}
    subprocess.run(command, cwd=job.work, env=environment, capture_output=True, check=False)
    last = json.loads(events.read_text().splitlines()[-1])
    opened = opened_files.opened_files(folder / "listed", double)
    return Ran(last, tuple(file for file in opened if file.path != "opened.txt"))  # See2Sound's double goes by its list


@pytest.mark.parametrize("system", systems(RECORDED))
def test_a_runner_that_changes_folders_fails_on_what_is_opened_relative(system: str, tmp_path: Path) -> None:
    """A double opens what the authors' program opens, from the worker's folder; elsewhere it finds what is whole.

    Names of model hubs are relative too: the runner links the folders of weights that have them.
    """
    recorded = read_opened(DOUBLES / system / "opened.txt")
    text, relative = CARDS[system].runner.read_text(), {file.path for file in recorded if file.named == "relative"}
    inside = run_double(tmp_path / "inside", system, text)
    assert inside.last["event"] == "finished", inside.last
    assert {file._replace(is_there=True) for file in inside.opened} == set(recorded)
    assert text.count(MAIN) == 1
    outside = run_double(tmp_path / "outside", system, text.replace(MAIN, ELSEWHERE))
    if system in NEED_WEIGHTS:
        relative |= {wanted.file for wanted in CARDS[system].weights if is_hub(wanted.file)}
    if not relative:
        assert outside == inside
        return
    assert outside.last["event"] == "not_loaded"
    assert "FileNotFoundError" in str(outside.last["message"])
    assert any(path in str(outside.last["message"]) for path in relative)


@pytest.mark.parametrize("system", systems(name for name in RECORDED if read_opened(DOUBLES / name / "opened.txt")))
def test_a_double_fails_without_a_file_that_the_authors_program_opens(system: str, tmp_path: Path) -> None:
    first = read_opened(DOUBLES / system / "opened.txt")[0].path
    shutil.copytree(DOUBLES / system, tmp_path / "double")
    (tmp_path / "double" / first).unlink()
    last = run_double(tmp_path / "job", system, CARDS[system].runner.read_text(), tmp_path / "double").last
    assert last["event"] == "not_loaded"
    assert first in str(last["message"])


def test_a_runner_that_does_not_link_what_is_opened_relative_fails(tmp_path: Path) -> None:
    text = CARDS["see2sound"].runner.read_text()
    link = "        (job.work / name).symlink_to(job.source / name)\n"
    assert text.count(link) == 1
    last = run_double(tmp_path, "see2sound", text.replace(link, "        pass\n")).last
    assert last["event"] == "not_loaded"
    assert "configs/model/" in str(last["message"])


LINKED = [name for name in RECORDED if "worker_kit.link_weights(job)" in CARDS[name].runner.read_text()]


@pytest.mark.parametrize("system", systems(LINKED))
def test_a_runner_that_does_not_link_the_folders_of_model_hubs_fails(system: str, tmp_path: Path) -> None:
    text = CARDS[system].runner.read_text()
    last = run_double(tmp_path, system, text.replace("worker_kit.link_weights(job)", "pass")).last
    assert last["event"] == "not_loaded"
    assert any(wanted.file in str(last["message"]) for wanted in CARDS[system].weights if is_hub(wanted.file)), last


def test_check_tries_another_checkout_and_lists_what_it_opens(
    bench: Callable, doubles: Path, source: Path, tmp_path: Path
) -> None:
    asked = ("systems", "install", "test-double", "--source", source, "--python", sys.executable, "--accept-licence")
    assert bench(*asked).code == 0
    other, listed = tmp_path / "other", tmp_path / "opened.txt"
    other.mkdir()
    (other / "load-fails").touch()
    told = bench("systems", "check", "test-double", "--source", other, "--opened", listed, "--device", "cpu")
    assert told.code == 1
    assert "the weights are of another network" in told.out
    assert "opened files" in told.out
    assert listed.read_text() == ""
