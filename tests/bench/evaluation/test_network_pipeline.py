"""The same answers whoever prepares clips and wherever networks run, and one clip's fault costs that clip."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import visaudio_bench.registry
from visaudio_bench.models import serving
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE
from visaudio_bench.suites.media import write_audio

from ...conftest import lateral_noise
from ..cluster.doubles import conduct

GROUP = "visaudio_bench.metrics"
FILES = ("results.csv", "clips.csv", "failures.jsonl", "leaderboard.md")

FAMILY = """
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from visaudio_bench.bench.evaluation.family import Family, Network, by_view
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.models.weights import WeightFile

WEIGHTS = WeightFile("rows", "rows.safetensors", "Row", 8_300, "CC0-1.0", "https://example.org/rows.safetensors")
HERE = Path(__file__).parent


def load(path, device, dtype):
    import torch

    from visaudio_bench.models.weight_loading import read_state

    with (HERE / "loaded").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    projection = read_state(path)["projection"].to(device, dtype)

    class Rows:
        sample_rate = 16000

        def embed(self, x):
            spectrum = torch.stft(x, 512, window=torch.hann_window(512), return_complex=True).abs().mean(-1)
            return spectrum @ projection

        def look(self, frames):
            return frames.float().flatten(1).mean(1, keepdim=True)

    return Rows()


def embedded(net, hearing):
    def compute():
        from visaudio_bench.models.backbones.waveform import to_rate

        rows = to_rate(hearing.views, hearing.sound.source_rate, net.module.sample_rate, hearing.duration)
        return {"embedding": net.module.embed(rows.to(net.device)).cpu().numpy()}

    return net.answer("embedding", compute, hearing)["embedding"]


def seen(net, seeing):
    def compute():
        import torch

        frames = torch.from_numpy(seeing.frames(Fraction(5))[0])
        return {"mean": net.module.look(frames[None].to(net.device)).cpu().numpy()}

    return net.answer("look", compute, seeing)["mean"]


class RowScores(Family):
    name = "rows"
    networks = (Network(WEIGHTS, load, by_row=("embed", "look")),)
    frame_rates = (Fraction(5),)
    metrics = (
        replace(
            METRICS["kl_pann"], key="row_score", title="Row", quantities=("row_score",),
            aggregate=aggregate.mean("row_score"), weights=("rows",), family=__name__, default=False, source="nobody",
        ),
        replace(
            METRICS["fd_pann"], key="fd_rows", title="FD-Rows", features="rows", weights=("rows",), family=__name__,
            default=False, source="nobody",
        ),
    )

    def quantities(self, inputs):
        if inputs.clip.id in (HERE / "bad").read_text().split():
            raise ValueError(f"{inputs.clip.id} is bad")
        if inputs.clip.id in (HERE / "deadly").read_text().split():
            os._exit(3)
        net = inputs.networks["rows"]
        own, true = (embedded(net, one.native) for one in (inputs.prediction, inputs.reference))
        return by_view("row_score", (abs(own - true).sum(1) + seen(net, inputs.pictures).item()).tolist())

    def features(self, sound, networks):
        return {"rows": embedded(networks["rows"], sound.native)[None]}


FAMILY = RowScores()
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A family of somebody else's whose network answers by row, with its weights; returns where it lies."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(folder))
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("visaudio_bench.models.weights.WEIGHTS", dict(WEIGHTS))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "rows_by_somebody", raising=False)  # another test's, which lies elsewhere
    point = EntryPoint("rows", "rows_by_somebody:FAMILY", GROUP)
    monkeypatch.setattr(visaudio_bench.registry, "entry_points", lambda group: [point] if group == GROUP else [])
    (folder / "rows_by_somebody.py").write_text(FAMILY)
    for name in ("bad", "deadly", "loaded"):
        (folder / name).touch()
    values = np.random.default_rng(1).standard_normal((257, 8)).astype(np.float32)
    save_file({"projection": torch.from_numpy(values)}, folder / "rows.safetensors")
    return folder


def run(bench: Callable, clips: Path, out: Path, workers: int, *more: object) -> Any:
    asked = ("--metric", "rows", "--system", "noise", "--out", out, "--workers", workers, *more)
    return bench("run", "--suite", f"folder:{clips}", *asked)


def left(out: Path) -> dict[str, Any]:
    """What a run left behind, without what says when and where."""
    files: dict[str, Any] = {name: (out / name).read_bytes() for name in FILES if (out / name).exists()}
    for path in sorted((out / "features").rglob("*.npz")):
        with np.load(path) as arrays:
            files[path.name] = {name: arrays[name].tolist() for name in arrays.files}
    return files


def counted(monkeypatch: pytest.MonkeyPatch, *names: str) -> dict[str, int]:
    """How often the process that runs networks does something."""
    counts = dict.fromkeys(names, 0)

    def count(name: str, plain: Callable) -> Callable:
        def counting(*arguments: Any) -> Any:
            counts[name] += 1
            return plain(*arguments)

        return counting

    for name in names:
        monkeypatch.setattr(serving._Server, name, count(name, getattr(serving._Server, name)))
    return counts


def test_one_worker_two_workers_and_three_devices_give_the_same_files(
    bench: Callable, clips: Path, tmp_path: Path, plug_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plug_in / "bad").write_text("clip3")

    def made(name: str, workers: int) -> dict[str, Any]:
        (plug_in / "loaded").write_text("")
        told = run(bench, clips, tmp_path / name / "run", workers, "--allow-missing", 1)
        assert told.code == 0, told.err
        return left(tmp_path / name / "run")

    def loaded() -> int:
        return len(set((plug_in / "loaded").read_text().split()))

    counts = counted(monkeypatch, "_done", "_reply")
    two = made("two", 2)
    assert loaded() == 1
    # The sounds of a clip are embedded together, then its pictures are looked at, unless another clip has the same.
    assert 6 <= counts["_reply"] <= 12 and counts["_done"] > 2 * counts["_reply"]
    assert b"clip3" in two["failures.jsonl"] and b"is bad" in two["failures.jsonl"]
    # One worker does not ask again what two have asked: the keys are the same.
    assert (made("kept", 1), loaded()) == (two, 0)
    for path in clips.glob("clip[0-2].wav"):  # other sounds, for the workers, which remember, to ask again
        write_audio(path, lateral_noise(2.0, seed=len(path.name) + ord(path.stem[-1])), 44100)
    monkeypatch.setattr(serving, "devices_of", lambda device: (device,) * 3)
    three = made("three", 2)
    assert loaded() == 3
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "another cache"))
    assert (made("one", 1), loaded()) == (three, 1)
    assert three["results.csv"] != two["results.csv"]


def test_a_cluster_gives_the_same_files(
    bench: Callable, clips: Path, tmp_path: Path, plug_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plug_in / "bad").write_text("clip1")
    for path in clips.glob("clip[2-5].*"):
        path.unlink()
    assert run(bench, clips, tmp_path / "one" / "run", 1, "--allow-missing", 1).code == 0
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "another cache"))
    cluster = conduct(monkeypatch)
    told = run(bench, clips, tmp_path / "many" / "run", 1, "--allow-missing", 1, "--ray", "auto")
    assert told.code == 0, told.err
    assert left(tmp_path / "many" / "run") == left(tmp_path / "one" / "run")
    names = [getattr(function, "func", function).__name__ for function, _ in cluster.asked]
    assert sorted({*names}) == ["_generate_chunk", "_listen_alone", "admit", "score_clip"]
    assert len((plug_in / "loaded").read_text().split()) == 2, "a worker loads a network once"


@pytest.mark.slow
def test_a_clip_that_ends_its_process_costs_itself(bench: Callable, clips: Path, tmp_path: Path, plug_in: Path) -> None:
    (plug_in / "deadly").write_text("clip2")
    told = run(bench, clips, tmp_path / "run", 2, "--allow-missing", 1)
    assert told.code == 0, told.err
    (failure,) = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert (failure["clip"], failure["stage"], failure["reason"]) == ("clip2", "networks", "crashed")
    rows = [line.split(",") for line in (tmp_path / "run" / "clips.csv").read_text().splitlines()]
    lost = [row for row in rows if row[2] == "clip2" and row[3] == "row_score"]
    assert lost and all(row[5] == "" and row[7] == "crashed" for row in lost)
    assert sum(row[3] == "row_score" and row[1] == "noise" and row[5] != "" for row in rows) == 5 * 4


def test_networks_that_cannot_be_loaded_end_the_run_with_one_sentence(
    bench: Callable, clips: Path, tmp_path: Path, plug_in: Path
) -> None:
    for path in clips.glob("clip[2-5].*"):
        path.unlink()
    path = plug_in / "rows.safetensors"
    path.write_bytes(b"x" * path.stat().st_size)
    told = run(bench, clips, tmp_path / "run", 2)
    assert told.code == 1
    assert "rows.safetensors" in told.err and "Traceback" not in told.err


def test_features_that_are_not_of_the_sounds_are_caught(
    bench: Callable, clips: Path, tmp_path: Path, plug_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in clips.glob("clip[2-5].*"):
        path.unlink()
    out = tmp_path / "run"
    assert run(bench, clips, out, 1).code == 0

    def verified() -> Any:
        return bench("verify", out, "--suite", f"folder:{clips}", "--workers", 1)

    told = verified()
    assert told.code == 0, told.out + told.err
    assert "rows of networks, from 8 clips a suite" in " ".join(told.out.split())
    for system in ("noise", "@reference"):
        (path,) = (out / "features").rglob(f"{system}.npz")
        before = path.read_bytes()
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays["rows"][0] *= 1.01
        np.savez(path, **arrays)
        told = verified()
        assert told.code == 1
        assert f"{system} / clip0: the features of rows differ by 0.01 of their norm" in " ".join(told.out.split())
        path.write_bytes(before)
    (plug_in / "rows.safetensors").unlink()
    told = verified()
    assert told.code == 0
    assert "not scored again, for want of weights or packages: Row, FD-Rows" in " ".join(told.out.split())
