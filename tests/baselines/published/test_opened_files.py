"""What the authors' programs open, recorded from them, beside their doubles; and what tells when it is out of reach."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.baselines.published import opened_files, worker_kit
from visaudio_bench.baselines.published.card import read_card
from visaudio_bench.baselines.published.job_folders import JobFolder
from visaudio_bench.baselines.published.opened_files import OpenedFile, write_opened
from visaudio_bench.files import write_json

from .conftest import read_opened

DOUBLES = Path(__file__).parent / "doubles"
SEE2SOUND = read_card(Path(worker_kit.__file__).parent / "see2sound")
RECORDED = sorted(path.parent.name for path in DOUBLES.glob("*/opened.txt"))

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


@pytest.mark.parametrize("system", RECORDED)
def test_a_double_has_what_the_authors_program_opens(system: str) -> None:
    listed = read_opened(DOUBLES / system / "opened.txt")  # none: its program opens nothing of its checkout
    assert not [path for _, path in listed if not (DOUBLES / system / path).is_file()]


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
    assert read_opened(tmp_path / "opened.txt") == (("relative", "configs/model.yaml"), ("whole", "weights.json"))


def run_double(tmp_path: Path, text: str) -> dict[str, object]:
    """The last event of See2Sound's runner, as this text, on its double."""
    code, work, weights = (tmp_path / name for name in ("code", "work", "weights"))
    for path in (code, work, weights):
        path.mkdir()
    (code / "runner.py").write_text(text)
    (code / "worker_kit.py").write_text(Path(worker_kit.__file__).read_text())
    events = tmp_path / "events.jsonl"
    job = {
        "schema": worker_kit.JOB_SCHEMA, "system": "see2sound", "source": str(DOUBLES / "see2sound"),
        "weights": str(weights), "work": str(work), "native": str(work), "events": str(events), "device": "cuda:0",
        "options": {name: option.default for name, option in SEE2SOUND.options.items()}, "clips": [],
    }  # fmt: skip
    write_json(tmp_path / "job.json", job)
    command = [sys.executable, str(code / "runner.py"), "--job", str(tmp_path / "job.json")]
    subprocess.run(command, cwd=work, capture_output=True, check=False)
    last: dict[str, object] = json.loads(events.read_text().splitlines()[-1])
    return last


def test_a_runner_that_leaves_its_folder_fails_on_the_double(tmp_path: Path) -> None:
    """The double opens what the authors' program opens: it failed so where nothing was linked."""
    text = SEE2SOUND.runner.read_text()
    (tmp_path / "as-it-is").mkdir()
    assert run_double(tmp_path / "as-it-is", text) == {"event": "finished"}
    link = "        (job.work / name).symlink_to(job.source / name)\n"
    changed = "    model = _model(job, job.weights)\n"
    assert text.count(link) == text.count(changed) == 1
    for name, spoiled in (
        ("unlinked", text.replace(link, "        pass\n")),
        ("elsewhere", text.replace(changed, "    (job.work / 'x').mkdir()\n    os.chdir(job.work / 'x')\n" + changed)),
    ):
        (tmp_path / name).mkdir()
        last = run_double(tmp_path / name, spoiled)
        assert last["event"] == "not_loaded"
        assert "FileNotFoundError" in str(last["message"])
        assert "configs/model/" in str(last["message"])


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
