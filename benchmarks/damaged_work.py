"""What work of ours leaves behind, damaged: submissions, half-done trainings and preparations, installed systems."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.mutation import FileKind, bench


def submissions(folder: Path) -> FileKind:
    """A run folder that somebody hands in, through the checks, a merge, and a report with pages."""
    from visaudio_bench.suites.media import write_audio

    for number, name in enumerate(("a", "b")):
        for place in ("ours", "true"):
            noise = np.random.default_rng([number, len(place), ord(place[0])]).standard_normal((2, 50_000))
            write_audio(folder / place / f"{name}.wav", noise.astype(np.float32) / 10, 44100)
    run = folder / "run"
    sounds = ("--predictions", folder / "ours", "--references", folder / "true", "--workers", 1)
    bench("score", *sounds, "--metric", "delta_ild,lr_acc,side_mid", "--out", run)
    for path in run.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".csv", ".npz"):
            shutil.copy(path, folder / "__".join(path.relative_to(run).parts))

    def look(here: Path) -> object:
        contents = b"".join(path.read_bytes() for path in sorted(here.iterdir()))
        for path in sorted(here.iterdir()):
            place = here / "run" / path.name.replace("__", "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        for sound in run.rglob("*.wav"):
            (here / "run" / sound.relative_to(run)).hardlink_to(sound)
        handed = here / "run"
        others: tuple[tuple[object, ...], ...] = (
            ("verify", handed, "--clips", 1, "--workers", 1),
            ("merge", handed, "--out", here / "merged"),
            ("report", handed, "--summary"),
            ("compare", "--run", handed, "ours", "reference"),
            ("diff", handed, run),
            ("leaderboard", handed, run),
        )
        one = others[crc32(contents) % len(others)]
        refused = [error for words in (("validate", handed), one) if (error := _refusal(*words)) is not None]
        if refused:
            raise refused[0]
        return "read"

    return FileKind(folder, tuple(path for path in folder.iterdir() if path.is_file()), look)


def _refusal(*words: object) -> Exception | None:
    from click import ClickException

    from visaudio_bench.errors import BenchError

    try:
        bench(*words)
    except (BenchError, ClickException) as error:
        return error
    return None


def trainings(folder: Path) -> FileKind:
    """The log of a training that goes on, and the record of an index of sharded weights."""
    from visaudio_bench.models.formats import locate
    from visaudio_bench.models.training.loop import MetricsFile

    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": n, "loss": 0.5, "lr": 1e-4}) + "\n" for n in range(9))
    )
    named = {f"layer.{n}": f"model-0000{n % 2 + 1}-of-00002.safetensors" for n in range(4)}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 8}, "weight_map": named})
    )

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        if path.suffix == ".jsonl":
            MetricsFile(path, 5).add({"step": 6})
            return path.read_text(encoding="utf-8")
        for name in set(named.values()):
            (here / name).touch()
        return locate(path)

    return FileKind(folder, tuple(folder.iterdir()), look, alone=True)


def preparations(folder: Path) -> FileKind:
    """The journal of a preparation, and the records of a data set that is being built."""
    from visaudio_bench.suites.construction.dataset import _record, claim
    from visaudio_bench.suites.preparation import _read_journal, journal_line

    windows = [{"start": 0.5, "reason": "", "level": -20.25}]
    (folder / "examined.jsonl").write_text("".join(journal_line(f"{n:040d}", windows) + "\n" for n in range(5)))
    measured = dict.fromkeys(("fps", "loudest", "trajectory", "gain", "difference", "width"), 1.5)
    (folder / "made.json").write_text(json.dumps({"id": "a", "duration": 2.0, "source_rate": 48000, **measured}))
    (folder / "build.json").write_text(json.dumps({"builder": 1, "size": 64, "seconds": 2.0}))

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        if path.suffix == ".jsonl":
            known = _read_journal(path)
            assert all(told == windows for told in known.values()), "a change in a line that is taken for whole"
            return known
        if path.name == "made.json":
            return _record(path)
        return claim(path, {"builder": 1, "size": 64, "seconds": 2.0})

    return FileKind(folder, tuple(folder.iterdir()), look, alone=True)


def systems(folder: Path) -> FileKind:
    """The card of a published system, what was written down of its installation, and what its worker says."""
    from visaudio_bench.baselines.published import fetching, installed
    from visaudio_bench.baselines.published.card import read_card
    from visaudio_bench.errors import BenchError

    shipped = Path(installed.__file__).parent
    for name in ("mmaudio", "thinksound"):
        shutil.copy(shipped / name / "card.toml", folder / f"{name}.toml")
    (folder / "fetched.json").write_text(json.dumps({"x.pt": {"url": "u", "version": "v", "size": 5, "sha256": "0"}}))
    mmaudio = read_card(shipped / "mmaudio")
    told = {"commit": mmaudio.commit, "complete": True, "source": str(folder), "python": str(folder), "extras": []}
    (folder / "install.json").write_text(json.dumps({**told, "weights": "0" * 64, "packages": {"torch": "2"}}))

    def look(here: Path) -> object:
        (path,) = here.iterdir()
        if path.suffix == ".toml":
            card = here / path.stem
            shutil.copytree(shipped / path.stem, card, ignore=shutil.ignore_patterns("card.toml", "__pycache__"))
            path.rename(card / "card.toml")
            return read_card(card)
        if path.name == "fetched.json":
            return fetching._records(path)
        home = installed.home_of(mmaudio)
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, home)
        if why := installed.why_unavailable(mmaudio):
            raise BenchError(why)
        return installed.installation(mmaudio)

    return FileKind(folder, tuple(folder.iterdir()), look, alone=True)


KINDS: dict[str, Callable[[Path], FileKind]] = {
    "submissions": submissions,
    "trainings": trainings,
    "preparations": preparations,
    "systems": systems,
}
