"""Cost of preparing a data set: 10,000 entries like FAIR-Play's, read for the first time and again.

Run: PYTHONPATH=. python benchmarks/prepare.py

On a busy machine, one core:

| what | |
|---|---|
| first time, decoding sound and checking pictures | 27 ms of CPU an entry: 4.5 core minutes for 10,000 |
| again, nothing has changed | 2.2 s of CPU for 10,000 entries, 0 files decoded |

Entries are links to four clips of 10 s (48 kHz 16-bit sound, pictures of 640 x 360 at 30 frames a second), so that
disk speed plays no part.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from visaudio_bench.suites.datasets import DATA_VARIABLE, DATASETS, Candidate, Options
from visaudio_bench.suites.media import round_to_16_bit, write_audio, write_video
from visaudio_bench.suites.preparation import Preparation, Window, examine, key_of

RATE, SECONDS = 48000, 10
ENTRIES, SAMPLE = 10_000, 100


def make_tree(root: Path, entries: int) -> None:
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


def first_time(preparation: Preparation) -> float:
    """CPU seconds of looking into one entry, in this process."""
    some = preparation.found.candidates[:SAMPLE]
    began = time.process_time()
    for candidate in some:
        look_into(preparation, candidate)
    return (time.process_time() - began) / len(some)


def look_into(preparation: Preparation, candidate: Candidate) -> list[Window]:
    return examine(candidate, preparation.found.root, preparation.rules, preparation.folder)


def fill_journal(preparation: Preparation) -> None:
    """The journal that looking into every entry leaves; all are links to four clips, which are looked into."""
    windows = [look_into(preparation, candidate) for candidate in preparation.found.candidates[:4]]
    preparation.folder.mkdir(parents=True)
    with (preparation.folder / "examined.jsonl").open("w", encoding="utf-8") as journal:
        for index, candidate in enumerate(preparation.found.candidates):
            key = key_of(candidate, preparation.found.root, preparation.rules)
            journal.write(json.dumps({"key": key, "windows": windows[index % 4]}) + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ[DATA_VARIABLE] = str(Path(folder) / "data")
        root = Path(folder) / "fairplay"
        make_tree(root, ENTRIES)
        preparation = Preparation(DATASETS.get("fairplay"), root, Options())
        each = first_time(preparation)
        fill_journal(preparation)
        began, cpu = time.perf_counter(), time.process_time()
        again = Preparation(DATASETS.get("fairplay"), root, Options())
        read = sum(1 for _ in again.examine(1))
        clips = len(again.finish().manifest.entries)
        assert (read, clips) == (0, ENTRIES)
        print(
            f"first time: {1000 * each:.0f} ms of CPU an entry, {each * ENTRIES / 60:.1f} core minutes for {ENTRIES:,}"
        )
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        print(f"again: {seconds:.1f} s ({busy:.1f} s of CPU) for {clips:,} entries, {read} files decoded")


if __name__ == "__main__":
    main()
