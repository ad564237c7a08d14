"""Features by the published parts are the same whoever prepares clips and wherever networks run; one clip costs one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.bench.training import feature_extraction
from visaudio_bench.models import serving
from visaudio_bench.models.visaudio.feature_store import FeatureStore, present
from visaudio_bench.suites.media import write_audio

from ...conftest import Bench, lateral_noise
from ...models.visaudio import small_parts
from ...models.visaudio.small_parts import NOTES, PAUSE, put_in_place


@pytest.fixture
def small(tmp_path: Path, filled: Callable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small published parts; returns where their files lie."""
    monkeypatch.setenv(NOTES, "")
    put_in_place(monkeypatch.setattr, tmp_path / "small", filled)
    feature_extraction._parts.cache_clear()
    yield tmp_path / "small"
    feature_extraction._parts.cache_clear()


def words(clips: Path, out: Path, workers: int) -> list[str]:
    asked = ("features", "build", "--suite", f"folder:{clips}", "--parts", "published", "--duration", 0.7)
    return [str(word) for word in (*asked, "--device", "cpu", "--workers", workers, "--out", out)]


def kept(out: Path) -> dict[str, str]:
    """A hash of the tensors of each clip."""
    return {clip: row.sha256 for clip, row in present(out).items()}


def failures(out: Path) -> dict[str, str]:
    path = out / "failures.jsonl"
    return {row["clip"]: row["reason"] for row in map(json.loads, path.read_text().splitlines())}


def loaded(small: Path) -> int:
    """How many processes have loaded networks since this was asked last."""
    pids = set((small / "loaded").read_text().split())
    (small / "loaded").write_text("")
    return len(pids)


def made(bench: Bench, clips: Path, out: Path, workers: int) -> dict[str, str]:
    """What is kept of four clips, two of which cannot be used."""
    for path in clips.glob("clip[45].*"):
        path.unlink()
    write_audio(clips / "clip1.wav", 0 * lateral_noise(2.0), 44100)
    for index in range(4):
        (clips / f"clip{index}.txt").write_text(f"a bell, {index}" if index != 3 else "fails")
    feature_extraction._parts.cache_clear()
    told = bench(*words(clips, out, workers), "--allow-missing", 2)
    assert told.code == 0, told.err
    assert failures(out) == {"clip1": "silent", "clip3": "internal"}
    return kept(out)


def asked_here(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Networks and calls that this process is asked for."""
    asked: list[tuple[str, str]] = []
    plain = serving._Server._done

    def noted(server: serving._Server, request: Any, answer: Any) -> None:
        asked.append((request.network, request.call))
        plain(server, request, answer)

    monkeypatch.setattr(serving._Server, "_done", noted)
    return asked


def test_one_worker_and_two_workers_give_the_same_features(
    bench: Bench, clips: Path, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_here(monkeypatch)
    one = made(bench, clips, tmp_path / "one", 1)
    assert (len(one), loaded(small), asked) == (2, 1, [])
    assert set(FeatureStore(tmp_path / "one").describe(0)) == {"mean", "std", "clip", "sync", "spatial", "text"}
    assert (made(bench, clips, tmp_path / "two", 2), loaded(small)) == (one, 1)
    # The sound, both kinds of pictures, their motion, and the words as they are seen and as they are learnt.
    assert set(asked) == {
        ("codec", "encode"), ("clip", "encode_frames"), ("clip", "encode_text"), ("sync", "encode_videos"),
        ("spatial", "encode_frames"),
    }  # fmt: skip


@pytest.mark.slow
def test_two_devices_give_the_same_features(
    bench: Bench, clips: Path, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(bench, clips, tmp_path / "one", 1)
    assert loaded(small) == 1
    asked = asked_here(monkeypatch)
    monkeypatch.setattr(serving, "devices_of", lambda device: (device,) * 2)
    assert (made(bench, clips, tmp_path / "devices", 2), asked) == (one, [])
    assert loaded(small) in (1, 2)  # as many as had a worker that was there in time


@pytest.mark.slow
def test_a_clip_that_ends_its_worker_costs_itself(bench: Bench, clips: Path, tmp_path: Path, small: Path) -> None:
    (clips / "clip2.txt").write_text("kills")
    told = bench(*words(clips, tmp_path / "out", 2), "--allow-missing", 1)
    assert told.code == 0, told.err
    assert failures(tmp_path / "out") == {"clip2": "crashed"}
    assert len(kept(tmp_path / "out")) == 5


@pytest.mark.slow
def test_the_end_of_a_process_that_runs_networks_is_told_and_the_same_command_goes_on(
    bench: Bench, clips: Path, tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as two_devices:
        two_devices.setattr(serving, "devices_of", lambda device: (device,) * 2)
        (clips / "clip5.txt").write_text("kills")
        told = bench(*words(clips, tmp_path / "out", 2))
    assert told.code == 1
    assert "the process that runs the networks has ended" in told.err and "Traceback" not in told.err
    (clips / "clip5.txt").unlink()
    assert bench(*words(clips, tmp_path / "out", 2)).code == 0
    assert len(kept(tmp_path / "out")) == 6


def test_networks_that_cannot_be_loaded_end_the_command_with_one_sentence(
    bench: Bench, clips: Path, tmp_path: Path, small: Path
) -> None:
    for path in small.glob("*.pth"):
        path.write_bytes(b"x" * 1000)
    told = bench(*words(clips, tmp_path / "out", 2))
    assert told.code == 1
    assert ".pth" in told.err and "Traceback" not in told.err


DRIVER = f"""
import sys
from pathlib import Path
from {small_parts.__name__} import put_in_place
from visaudio_bench.bench.cli import main

put_in_place(setattr, Path(sys.argv.pop(1)))
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_may_be_stopped_at_work_and_goes_on(
    bench: Bench, clips: Path, tmp_path: Path, small: Path, told: signal.Signals
) -> None:
    out = tmp_path / "out"
    for index in range(6, 40):
        for suffix in ("wav", "mp4"):
            (clips / f"clip{index}.{suffix}").symlink_to(clips / f"clip{index % 6}.{suffix}")
    command = [sys.executable, "-c", DRIVER, str(small), *words(clips, out, 2)]
    root = Path(small_parts.__file__).parents[3]
    process = subprocess.Popen(
        command, cwd=root, env={**os.environ, PAUSE: "0.1"}, stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 250
    while not list(out.glob("shard-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1].decode()
    process.send_signal(told)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode != 0 and "Traceback" not in said, said
    first = kept(out)
    assert 0 < len(first) < 40
    again = bench(*words(clips, out, 2))
    assert again.code == 0, again.err
    assert len(kept(out)) == 40 and first.items() <= kept(out).items()
    undisturbed = tmp_path / "undisturbed"
    assert bench(*words(clips, undisturbed, 1)).code == 0
    assert kept(undisturbed) == kept(out)
