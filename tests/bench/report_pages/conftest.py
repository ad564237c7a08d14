"""A small run with names that are no friends of pages, and its report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.report import report
from visaudio_bench.bench.cli.run import run
from visaudio_bench.suites.media import read_sound, write_audio, write_video

from ...nasty import NASTY

RATE = 44100
SECONDS = 4.0
# A page that took text for markup would set this variable.
CLIPS = ("plain", "\"quoted\" & 'onerror=hacked=1' 🎧", "שלום #1 100%")  # no `<`, which names may not hold
TITLE = "</script><script>hacked=1</script> 'ours' 🦉"
BELL = "<i>bell</i>"
CAPTION = "كلب ينبح <b>loud</b> <img src=x onerror=hacked=1> " + " ".join(t for t in NASTY if "\ud800" not in t)


def write_material(root: Path) -> None:
    """Videos and references of the clips, and the sounds of two systems, the second of which lacks a clip.

    The first clip has labels of a source at the left that sounds in its second half.
    """
    labels = [f"{CLIPS[0]},{t / 10:.1f},30,{BELL}" for t in range(round(5 * SECONDS), round(10 * SECONDS))]
    (root / "clips").mkdir(parents=True)
    (root / "clips" / "labels.csv").write_text("\n".join(["clip,t,azimuth_deg,class", *labels]) + "\n")
    for number, name in enumerate(CLIPS):
        frames = [np.full((48, 96, 3), 40 + 2 * k, np.uint8) for k in range(round(10 * SECONDS))]
        write_video(root / "clips" / f"{name}.mp4", frames, 10)
        for place, folder in enumerate(("clips", "ours", "other")):
            rng = np.random.default_rng(10 * number + place)
            balance = np.array([[1.0], [0.3 + 0.3 * place]])
            sound = 0.1 * balance * rng.standard_normal((2, round(SECONDS * RATE)))
            if (folder, number) != ("other", 1):
                write_audio(root / folder / f"{name}.wav", sound.astype(np.float32), RATE)


def make_run(root: Path, systems: Sequence[str], out: str, cache: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAUDIO_BENCH_CACHE", str(cache))
        told = CliRunner().invoke(
            run,
            ["--suite", f"folder:{root / 'clips'}", "--system", ",".join(systems), "--workers", "1",
             "--allow-missing", "3", "--out", str(root / out)],
        )  # fmt: skip
    assert told.exit_code == 0, told.output


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Path]:
    """A run folder."""
    root = tmp_path_factory.mktemp("reported")
    write_material(root)
    systems = [f"outputs:{name}={root / name}" for name in ("ours", "other")]
    make_run(root, systems, "run", shared_cache)
    media = json.loads((root / "run" / "media.json").read_text("utf-8"))
    (clips,) = media.values()
    clips[0]["caption"] = CAPTION
    (root / "run" / "media.json").write_text(json.dumps(media), "utf-8")
    results = json.loads((root / "run" / "results.json").read_text("utf-8"))
    for suite in results["suites"]:
        for system in (*suite["systems"], *suite["cards"]):
            if system["name"] == "ours":
                system["title"] = TITLE
    (root / "run" / "results.json").write_text(json.dumps(results), "utf-8")
    yield root / "run"


@pytest.fixture(scope="session")
def pages(finished: Path, shared_cache: Path) -> Path:
    """The folder of its report."""
    return make_pages([finished], "pages", shared_cache)


@pytest.fixture(scope="session")
def two(finished: Path, shared_cache: Path) -> Path:
    """The folder of the report of it and of a later run, whose `ours` is another one."""
    root = finished.parent
    for name in CLIPS:
        sound = read_sound(root / "ours" / f"{name}.wav").samples
        write_audio(root / "later" / "ours" / f"{name}.wav", sound[::-1].copy(), RATE)
    make_run(root, [f"outputs:ours={root / 'later' / 'ours'}"], "run2", shared_cache)
    return make_pages([finished, root / "run2"], "two", shared_cache)


def make_pages(runs: Sequence[Path], out: str, cache: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISAUDIO_BENCH_CACHE", str(cache))
        folder = runs[0].parent / out
        told = CliRunner().invoke(report, [*map(str, runs), "--html", str(folder), "--workers", "1"])
    assert told.exit_code == 0, told.output
    assert "3 clips" in told.stderr
    return folder
