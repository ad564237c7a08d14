"""What looking costs: calls of functions and media files opened for each clip, counted, so that no machine is too slow.

A call takes about half a microsecond: 1,000 for each clip are 0.5 ms, where a dry run that opened every file took 25.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from cProfile import Profile
from pathlib import Path
from pstats import Stats

import pytest

from tests.conftest import Bench, flicker, lateral_noise
from visaudio_bench.suites.manifest import Entry, Manifest, write_manifest
from visaudio_bench.suites.media import write_audio, write_video

ROOT = Path(__file__).parents[3]
FEW, MANY = 100, 300


def cost(bench: Bench, *arguments: object) -> tuple[int, int]:
    """Calls of functions that a command makes, and how many of them look into a media file."""
    profile = Profile()
    told = profile.runcall(bench, *arguments)
    assert told.code == 0, told.err
    stats = Stats(profile)
    opened = sum(calls[0] for (_, _, name), calls in stats.stats.items() if name == "probe")  # type: ignore[attr-defined]
    return stats.total_calls, opened  # type: ignore[attr-defined]


def folder_of(root: Path, count: int) -> Path:
    """A folder of so many clips, all of which are the same two files; and a manifest of them."""
    folder = root / str(count)
    write_audio(folder / "c0.wav", lateral_noise(0.5), 44100)
    write_video(folder / "c0.mp4", flicker("left")[:5], 10)
    for number in range(1, count):
        for suffix in ("wav", "mp4"):
            (folder / f"c{number}.{suffix}").hardlink_to(folder / f"c0.{suffix}")
    entries = [Entry(f"c{n}", "test", f"g{n}", f"c{n}.mp4", f"c{n}.wav", 0.0, 0.5) for n in range(count)]
    data = root / f"data-{count}" / "fairplay"
    write_manifest(data / "manifest.jsonl", Manifest("fairplay", folder, tuple(entries)))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--suite", "folder:{clips}", "--system", "outputs:ours={clips}"),
        ("run", "--suite", "fairplay:test"),
        ("score", "--predictions", "ours={clips}", "--references", "{clips}", "--videos", "{clips}"),
    ],
    ids=["folder", "prepared", "score"],
)
def test_a_dry_run_opens_no_clip_and_does_little_for_each(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A cost that grows with the square of the clips shows in the difference of two sizes as well."""
    told = {}
    for count in (2, FEW, MANY):  # the first imports modules
        clips = folder_of(tmp_path, count)
        monkeypatch.setenv("VISAUDIO_BENCH_DATA", str(tmp_path / f"data-{count}"))
        asked = [word.format(clips=clips) for word in words]
        told[count] = cost(bench, *asked, "--out", tmp_path / "out", "--dry-run")
    (few, opened), (many, opened_of_many) = told[FEW], told[MANY]
    assert opened == opened_of_many <= 1  # whether there are references at all
    assert (many - few) / (MANY - FEW) < 1500


def test_a_report_does_next_to_nothing_for_each_row(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are read, resampled and tested as arrays: one by one, each took hundreds of calls."""
    monkeypatch.syspath_prepend(ROOT)
    make_run: Callable[[Path, int], int] = importlib.import_module("benchmarks.reporting").make_run
    rows, calls = {}, {}
    for count in (2, FEW // 2, MANY // 2):
        rows[count] = make_run(tmp_path / str(count), count)
        calls[count], _ = cost(bench, "report", tmp_path / str(count))
    _, few, many = calls
    assert (calls[many] - calls[few]) / (rows[many] - rows[few]) < 1
