"""The contract as a test: what must be true of a system's folder, and of one second of its sound."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visaudio_bench.baselines.published import worker_kit
from visaudio_bench.baselines.published.card import Card
from visaudio_bench.baselines.published.installed import Installation, installation, why_unavailable
from visaudio_bench.baselines.published.job_folders import JobClip, JobFolder
from visaudio_bench.baselines.published.machine import lacking
from visaudio_bench.baselines.published.opened_files import OpenedFile, opened_files, recording, write_opened
from visaudio_bench.baselines.published.postprocess import POSTPROCESSES
from visaudio_bench.baselines.published.prompts import texts
from visaudio_bench.baselines.published.published_system import PublishedSystem
from visaudio_bench.baselines.published.worker_inputs import prepare
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Frame, read_sound, round_to_16_bit, write_audio, write_video

PIN = re.compile(r"[A-Za-z0-9._-]+(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+( *;.*)?")
# What a runner must not import: its environment does not have it.
OURS = frozenset({"visaudio_bench"})
CAPTION = "a ball rolls over a wooden floor"
SEED = 1234


class Checked(NamedTuple):
    """One thing that was looked at."""

    what: str
    fine: bool
    detail: str


class RecordedSystem(PublishedSystem):
    """A system whose workers write down in `listed` what they open; `source` is another checkout than the installed."""

    def __init__(self, card: Card, listed: Path, source: Path | None = None):
        self.listed, self.source = listed, source
        super().__init__(card)

    @cached_property
    def installed(self) -> Installation:
        """Where it lies on this machine, with the other checkout."""
        here = installation(self.details)
        return replace(here, source=self.source.resolve()) if self.source else here

    def command(self, job: JobFolder) -> list[str]:
        """The command line of a worker that is recorded."""
        return recording(job, super().command(job), self.listed)

    @property
    def opened(self) -> tuple[OpenedFile, ...]:
        """What was opened so far."""
        return opened_files(self.listed, self.installed.source)


def checks(card: Card, device: str, source: Path | None = None, opened: Path | None = None) -> Iterator[Checked]:
    """Check everything that can be said of a system, cheapest first.

    Args:
        card: the system's.
        device: where its sounds are made.
        source: a checkout to be tried instead of the one that is installed.
        opened: file for the list of the files that its program opens, as it lies beside a double.

    Returns:
        What was checked, whether it is fine and a sentence, one after the other; ends at what makes going on pointless.
    """
    yield Checked("card", True, f"{card.status}, {card.paper}")
    if card.status == "outputs_only":
        return
    static = list(static_checks(card))
    yield from static
    if not all(checked.fine for checked in static):
        return
    absent = list(lacking(card))
    yield Checked("machine", not absent, " ".join(absent) or "programs and libraries are here")
    reason = why_unavailable(card)
    yield Checked("installed", not reason, reason or "yes")
    if not reason:
        with tempfile.TemporaryDirectory() as name:
            system = RecordedSystem(card, Path(name) / "opened.jsonl", source)
            yield from _smoke(card, device, system)
            yield _opened(system.opened)
            if opened is not None:
                write_opened(opened, system.opened)


def _opened(opened: Sequence[OpenedFile]) -> Checked:
    """Whether what the program names relative to its own folder is in the worker's."""
    gone = [file.path for file in opened if file.named == "relative" and not file.is_there]
    if gone:
        told = (
            f"{gone[0]} is opened relative to the current folder, and is not in the worker's: the runner must link it"
        )
        return Checked("opened files", False, told)
    relative = sum(file.named == "relative" for file in opened)
    return Checked("opened files", True, f"{len(opened)} of the checkout, {relative} relative to the worker's folder")


def static_checks(card: Card) -> Iterator[Checked]:
    """What a folder says without an installation."""
    yield _lock(card)
    yield _runner(card)
    known = card.postprocess in POSTPROCESSES
    yield Checked("postprocess", known, card.postprocess if known else f"known are {', '.join(POSTPROCESSES)}")


def _lock(card: Card) -> Checked:
    """Exact pins, and what is built from source among them."""
    if not card.lock.is_file():
        return Checked("lock", False, f"{card.lock.name} is missing")
    lines = [line.strip() for line in card.lock.read_text(encoding="utf-8").splitlines()]
    wrong = [line for line in lines if line and not line.startswith("#") and not PIN.fullmatch(line)]
    if wrong:
        return Checked("lock", False, f'"{wrong[0]}" is not an exact pin, name==version')
    pinned = {line.partition("==")[0] for line in lines if PIN.fullmatch(line)}
    if strange := sorted(set(card.built) - pinned):
        return Checked("lock", False, f"{strange[0]} is to be built from source and is not pinned")
    built = f", all wheels but {', '.join(card.built)}" if card.built else ", all wheels"
    return Checked("lock", True, f"{len(pinned)} exact pins{built}")


def _runner(card: Card) -> Checked:
    """Parses under its Python, imports nothing of ours, and answers `--help` without any package."""
    if not card.runner.is_file():
        return Checked("runner", False, f"{card.runner.name} is missing")
    major, minor = map(int, card.python.split(".")[:2])
    try:
        tree = ast.parse(card.runner.read_text(encoding="utf-8"), feature_version=(major, minor))
    except SyntaxError as error:
        return Checked("runner", False, f"is not Python {card.python}: {error}")
    ours = sorted(_imports(tree) & OURS)
    if ours:
        return Checked("runner", False, f"imports {', '.join(ours)}; only worker_kit is there where it runs")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(card.runner, Path(folder) / "runner.py")
        shutil.copyfile(str(worker_kit.__file__), Path(folder) / "worker_kit.py")
        command = [sys.executable, "-E", "-S", "-B", str(Path(folder) / "runner.py"), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Checked("runner", False, f"--help needs packages: {done.stderr.strip().splitlines()[-1]}")
    return Checked("runner", True, f"Python {card.python}, --help without packages")


def _imports(tree: ast.AST) -> set[str]:
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    return imported


def _smoke(card: Card, device: str, system: PublishedSystem) -> Iterator[Checked]:
    """Two clips that differ in their name alone: both must be made, and sound the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            tasks = [_task(card, system, folder, clip) for clip in ("first", "second")]
        except ClipError as error:
            yield Checked("inputs", False, error.message)
            return
        made = {
            generation.clip: generation
            for generation in system.run({task.clip: task for task in tasks}, folder, device)
        }
        for clip in ("first", "second"):
            generation = made[clip]
            told = generation.message or f"{generation.seconds:.1f} s to make"
            yield Checked(f"{clip} clip", generation.path is not None, told)
        if all(generation.path is not None for generation in made.values()):
            first, second = (read_sound(folder / f"{clip}.wav").samples for clip in ("first", "second"))
            same = bool(np.array_equal(first, second))
            yield Checked(
                "seed", same, "the same seed, the same sound" if same else "the same seed made two different sounds"
            )


def _task(card: Card, system: PublishedSystem, folder: Path, clip: str) -> JobClip:
    seconds = card.shortest_seconds
    video, sound = folder / f"{clip}-video.mp4", folder / f"{clip}-sound.wav"
    write_video(video, _ball(seconds), 25)
    noise = np.random.default_rng(SEED).standard_normal((2, round(seconds * SAMPLE_RATE)), dtype=np.float32)
    write_audio(sound, round_to_16_bit(0.05 * noise), SAMPLE_RATE)
    whole = Clip(clip, video, sound, 0.0, seconds, CAPTION)
    inputs = prepare(card, whole, seconds, None)
    return JobClip(clip, SEED, seconds, inputs, texts(card, whole, system.options))


def _ball(seconds: float) -> Iterator[Frame]:
    """A bright ball that moves from left to right over a dark floor, 320 x 240."""
    rows, columns = np.mgrid[0:240, 0:320]
    count = round(25 * seconds)
    for number in range(count):
        frame = np.full((240, 320, 3), 40, dtype=np.uint8)
        frame[(rows - 140) ** 2 + (columns - 40 - 240 * number / count) ** 2 < 900] = (230, 200, 120)
        yield frame
