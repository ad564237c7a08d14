"""The stage of preparing a data set: entries like FAIR-Play's, looked into for the first time, and again.

Entries are links to four clips of 10 s (48 kHz 16-bit sound, pictures of 640 x 360 at 30 frames a second), so that the
speed of the disk plays no part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measuring import Bench, Figure, cpu
from visaudio_bench.suites.datasets import DATA_VARIABLE, DATASETS, Candidate, Options
from visaudio_bench.suites.media import round_to_16_bit, write_audio, write_video
from visaudio_bench.suites.preparation import Preparation, Window, examine, journal_line, key_of

RATE, SECONDS = 48000, 10


def make_tree(root: Path, entries: int) -> None:
    """Entries as they are unpacked."""
    (root / "videos").mkdir(parents=True)
    (root / "binaural_audios").mkdir()
    (root / "made").mkdir()
    rng = np.random.default_rng(0)
    backdrop = rng.integers(0, 255, (360, 640 + 300, 3), dtype=np.uint8)
    for k in range(4):
        write_audio(root / "made" / f"{k}.wav", round_to_16_bit(0.1 * rng.standard_normal((2, RATE * SECONDS))), RATE)
        write_video(root / "made" / f"{k}.mp4", (backdrop[:, t : t + 640] for t in range(30 * SECONDS)), 30, crf=35)
    for index in range(1, entries + 1):
        (root / "videos" / f"{index:06d}.mp4").symlink_to(root / "made" / f"{index % 4}.mp4")
        (root / "binaural_audios" / f"{index:06d}.wav").symlink_to(root / "made" / f"{index % 4}.wav")


def look_into(preparation: Preparation, candidate: Candidate) -> list[Window]:
    """What an entry is found to be."""
    return examine(candidate, preparation.found.root, preparation.rules, preparation.folder)


def fill_journal(preparation: Preparation) -> None:
    """The journal that looking into every entry leaves; all are links to four clips, which are looked into."""
    windows = [look_into(preparation, candidate) for candidate in preparation.found.candidates[:4]]
    preparation.folder.mkdir(parents=True)
    with (preparation.folder / "examined.jsonl").open("w", encoding="utf-8") as journal:
        for index, candidate in enumerate(preparation.found.candidates):
            key = key_of(candidate, preparation.found.root, preparation.rules)
            journal.write(journal_line(key, windows[index % 4]) + "\n")


def prepare(bench: Bench) -> Iterator[Figure]:
    """An entry that is new, and one that has not changed."""
    entries, sample = (10_000, 40) if bench.size.full else (8, 4)
    before = os.environ.get(DATA_VARIABLE)
    os.environ[DATA_VARIABLE] = str(bench.folder / "data")
    root = bench.folder / "fairplay"
    make_tree(root, entries)
    preparation = Preparation(DATASETS.get("fairplay"), root, Options())
    some = preparation.found.candidates[:sample]
    per = f"entry of {SECONDS} s, 640 x 360"
    yield bench.compared(
        "prepare", "new entry", per, lambda: [look_into(preparation, candidate) for candidate in some],
        "soundfile.read of its sound", lambda: [soundfile.read(root / "made" / f"{k % 4}.wav") for k in range(sample)],
        units=sample,
    )  # fmt: skip
    fill_journal(preparation)
    with cpu() as took:
        again = Preparation(DATASETS.get("fairplay"), root, Options())
        read = sum(1 for _ in again.examine(1))
        clips = len(again.finish().manifest.entries)
    assert (read, clips) == (0, entries)
    with cpu() as plain:
        _ = [path.stat() for kind in ("videos", "binaural_audios") for path in (root / kind).iterdir()]
    yield Figure("prepare", "unchanged entry", per, took[0] / entries, "stat of its two files", plain[0] / took[0])
    os.environ.pop(DATA_VARIABLE) if before is None else os.environ.update({DATA_VARIABLE: before})
