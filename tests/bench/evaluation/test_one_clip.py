"""One clip costs one clip: an error is thrown from every function that works on one, through the command line.

Each time the clip is listed with its stage and the reason `internal`, the traceback is kept, the others are done, and
the exit code is 1.
"""

from __future__ import annotations

import ast
import csv
import errno
import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import visaudio_bench.registry
from visaudio_bench.baselines.catalogue import SYSTEMS
from visaudio_bench.baselines.system import Generation, System, SystemCard
from visaudio_bench.models.visaudio.checkpoints import save_network
from visaudio_bench.models.visaudio.config import CONFIGS
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.visaudio.network import build
from visaudio_bench.models.visaudio.parts import open_parts
from visaudio_bench.pool import map_unordered
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import read_sound, write_audio, write_video

BAD = "clip1"
ROOT = Path(__file__).resolve().parents[3]
WORDS = "thrown on purpose"


def concerns(value: Any, bad: str) -> bool:
    """Whether an argument is of the clip: the clip, its id, its file, or something that carries one of them."""
    if isinstance(value, str):
        return value == bad
    if isinstance(value, Path):
        return value.stem == bad
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return any(concerns(one, bad) for one in value)
    return any(getattr(value, name, None) == bad for name in ("id", "clip")) or (
        hasattr(value, "clip") and getattr(value.clip, "id", None) == bad
    )


@pytest.fixture
def throw(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a function raise wherever it is given something of one clip; it is what it was for all others."""

    def put(where: str, bad: str = BAD, error: Exception | None = None) -> None:
        module, _, name = where.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = name.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        plain = getattr(owner, name)

        def thrower(*arguments: Any, **named: Any) -> Any:
            if any(concerns(one, bad) for one in (*arguments, *named.values())):
                raise error or RuntimeError(WORDS)
            return plain(*arguments, **named)

        monkeypatch.setattr(owner, name, thrower)

    return put


@pytest.fixture
def three(clips: Path) -> Path:
    """Three clips of 2 s."""
    for path in clips.glob("clip[3-5].*"):
        path.unlink()
    return clips


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is otherwise read in processes of their own is read in this one, where functions can be replaced."""

    def in_this_process(function: Any, items: Any, workers: int, timeout: float) -> Iterator[Any]:
        return map_unordered(function, items, 1)

    monkeypatch.setattr("visaudio_bench.suites.preparation.map_isolated", in_this_process)
    monkeypatch.setattr("visaudio_bench.isolation.map_isolated", in_this_process)


def listed(folder: Path, name: str = "failures.jsonl") -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def require_told(told: Any, folder: Path, expected: set[tuple[str, str, str]]) -> None:
    """Each (system, clip, stage) is listed, kept and said, and nothing else is wrong."""
    assert told.code == 1, told.err
    assert "Traceback" not in told.err
    failures = listed(folder)
    assert {(one["system"], one["clip"], one["stage"]) for one in failures} == expected
    assert {one["reason"] for one in failures} == {"internal"}
    assert all(set(one) == {"suite", "system", "clip", "stage", "reason", "message"} for one in failures)
    kept = (folder / "tracebacks.txt").read_text()
    assert f"RuntimeError: {WORDS}" in kept and "in thrower" in kept
    said = [line for line in told.err.splitlines() if line.startswith("unexpected error")]
    for _, clip, stage in expected:
        assert f'clip "{clip}" ({stage}' in kept
        assert any(f'clip "{clip}" ({stage}' in line and str(folder / "tracebacks.txt") in line for line in said)
    assert all("please report it" in line for line in said)


def counts(run: Path, metric: str = "lat_err") -> dict[str, int]:
    with (run / "results.csv").open() as file:
        return {row["system"]: int(row["n"]) for row in csv.DictReader(file) if row["metric"] == metric}


def run_of(bench: Callable, suite: object, out: Path, *more: object, workers: int = 1) -> Any:
    options = ("--metric", "lat_err", "--out", out, "--workers", workers, "--device", "cpu")
    return bench("run", "--suite", suite, *options, *more)


class Odd(System):
    """A plug-in that makes all clips in one go and raises at one of them, or always."""

    card = SystemCard("odd", "Odd", "", (), "1")
    hopeless = False
    calls = 0

    def __init__(self, argument: str | None = None):
        self.hopeless = argument == "hopeless"

    def generate(self, clips: Any, out: Path, *, only: Any, device: str = "cpu", seed: int = 0) -> Iterator[Generation]:
        Odd.calls += 1
        for clip in clips:
            if clip.id in only:
                if clip.id == BAD or self.hopeless:
                    thrower()
                shutil.copy(clip.audio, out / f"{clip.id}.wav")
                yield Generation(clip.id, out / f"{clip.id}.wav", 0.0)


def thrower() -> None:
    raise RuntimeError(WORDS)


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS._builtin, "odd", Odd)
    monkeypatch.setattr(Odd, "calls", 0)


ALL = ("reference", "mono", "swapped", "repaired", "noise", "odd", "noise+foleyspace-like")
# For each clip where something is thrown; the systems that lose it, and the stage. Of clip1 the plug-in raises.
RUN = {
    "clip2": ("visaudio_bench.bench.evaluation.signal_scores:read_reference", ("",), "read"),
    "clip3": ("visaudio_bench.bench.evaluation.signal_scores:_refuse_silence", ("",), "read"),
    "clip4": ("visaudio_bench.bench.evaluation.execution:admit", ("",), "read"),
    "clip5": ("visaudio_bench.bench.evaluation.generation:_record", ALL, "generate"),
    "clip6": ("visaudio_bench.bench.evaluation.generation:_key", ALL, "generate"),
    "clip7": ("visaudio_bench.bench.evaluation.signal_scores:_screen", ALL, "score"),
    "clip8": ("visaudio_bench.bench.evaluation.execution:score_clip", ALL, "score"),
    "clip9": ("visaudio_bench.baselines.trivial:_seconds", ("noise", "noise+foleyspace-like"), "generate"),
    "clip10": (
        "visaudio_bench.baselines.foleyspace_like:track_of",
        ("noise+foleyspace-like",),
        "generate",
    ),
    "clip11": ("visaudio_bench.baselines.two_stage:read_sound", ("noise+foleyspace-like",), "generate"),
}


def test_a_run(bench: Callable, clips: Path, tmp_path: Path, throw: Callable, odd: None) -> None:
    for index in range(6, 12):
        for suffix in (".mp4", ".wav"):
            shutil.copy(clips / f"clip{index - 6}{suffix}", clips / f"clip{index}{suffix}")
    for clip, (where, _, _) in RUN.items():
        throw(where, clip)
    told = run_of(bench, f"folder:{clips}", tmp_path / "run", "--system", "noise,odd,noise+foleyspace-like")
    expected = {(system, clip, stage) for clip, (_, systems, stage) in RUN.items() for system in systems}
    require_told(told, tmp_path / "run", {*expected, ("odd", BAD, "generate")})
    assert counts(tmp_path / "run") == {
        "reference": 5, "mono": 5, "swapped": 5, "repaired": 5, "noise": 4, "odd": 4, "noise+foleyspace-like": 2
    }  # fmt: skip


def test_a_chunk_of_clips_that_fails_as_a_whole(bench: Callable, three: Path, tmp_path: Path, throw: Callable) -> None:
    throw("visaudio_bench.bench.evaluation.generation:_generate_chunk")
    told = run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise")
    systems = ("reference", "mono", "swapped", "repaired", "noise")
    require_told(told, tmp_path / "run", {(system, BAD, "generate") for system in systems})
    again = run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise", "--allow-missing", 1)
    assert again.code == 0, again.err


def test_a_run_in_worker_processes(
    bench: Callable, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system and a metric of a plug-in raise what cannot even be sent to another process."""
    (tmp_path / "thrower_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "thrower_plugin", raising=False)
    points = {
        f"visaudio_bench.{kind}": [EntryPoint(name, f"thrower_plugin:{name}", f"visaudio_bench.{kind}")]
        for kind, name in (("systems", "Picky"), ("metrics", "LEVEL"))
    }
    monkeypatch.setattr(visaudio_bench.registry, "entry_points", lambda group: points.get(group, []))
    told = bench(
        "run", "--suite", f"folder:{three}", "--system", "Picky", "--metric", "LEVEL,lat_err", "--out",
        tmp_path / "run", "--workers", 2, "--device", "cpu",
    )  # fmt: skip
    assert told.code == 1, told.err
    found = {(one["system"], one["clip"], one["stage"], one["reason"]) for one in listed(tmp_path / "run")}
    assert found == {("picky", BAD, "generate", "internal"), ("picky", "clip2", "score", "internal")}
    kept = (tmp_path / "run" / "tracebacks.txt").read_text()
    assert "Unsendable: of clip1" in kept and "Unsendable: too loud" in kept
    assert counts(tmp_path / "run") == {"reference": 3, "mono": 3, "swapped": 3, "repaired": 3, "picky": 1}


PLUGIN = """
from dataclasses import replace
from visaudio_bench.baselines.trivial import Swapped
from visaudio_bench.bench.evaluation.family import Family, binaural
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import Quantity

class Unsendable(Exception):
    def __init__(self, what, whom):
        super().__init__(f"{what} {whom}")

class Picky(Swapped):
    card = replace(Swapped.card, name="picky", title="Picky", anchor=False)

    def make(self, clip, clips, rng):
        if clip.id == "clip1":
            raise Unsendable("of", clip.id)
        return super().make(clip, clips, rng) * (5 if clip.id == "clip2" else 0.5)

class Level(Family):
    name = "LEVEL"
    metrics = (replace(
        METRICS["side_mid"], key="LEVEL", title="Level", family="thrower_plugin", quantities=("LEVEL",),
        aggregate=aggregate.mean("LEVEL"), better="higher",
    ),)

    def quantities(self, inputs):
        if abs(inputs.prediction.ears.samples).max() > abs(inputs.reference.ears.samples).max() * 2:
            raise Unsendable("too", "loud")
        return binaural({"LEVEL": Quantity(1.0)})

LEVEL = Level()
"""


def test_a_system_that_can_make_nothing_is_not_asked_for_ever(
    bench: Callable, clips: Path, tmp_path: Path, odd: None
) -> None:
    told = run_of(bench, f"folder:{clips}", tmp_path / "run", "--system", "odd:hopeless")
    assert told.code == 1
    assert {one["clip"] for one in listed(tmp_path / "run")} == {f"clip{index}" for index in range(6)}
    assert Odd.calls <= 6


HEAR = """
import torch

class Model(torch.nn.Module):
    sample_rate = 44100
    scene_embedding_size = timestamp_embedding_size = 2

def load_model(path=""):
    return Model()

def get_scene_embeddings(audio, model):
    if audio.shape[1] == 2 * 44100 and abs(float(audio[0, 7]) - MARK) < 1e-6:
        raise RuntimeError("thrown on purpose")
    return torch.stack([audio.std(1), audio.abs().mean(1)], 1)

def get_timestamp_embeddings(audio, model):
    raise NotImplementedError
"""


@pytest.mark.parametrize("where", ["visaudio_bench.bench.evaluation.network_scores:read_native", None])
def test_networks(
    bench: Callable, three: Path, tmp_path: Path, throw: Callable, monkeypatch: pytest.MonkeyPatch, where: str | None
) -> None:
    """The scores of signals stay; distances between sets are refused for want of a clip."""
    mark = float(read_sound(three / f"{BAD}.wav").samples.mean(0)[7]) if where is None else 9.0
    (tmp_path / "thrower_hear.py").write_text(HEAR.replace("MARK", repr(mark)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "thrower_hear", raising=False)
    if where:
        throw(where)
    asked = ("--system", "noise", "--backbone", "hear:thrower_hear")
    told = run_of(bench, f"folder:{three}", tmp_path / "run", *asked)
    assert told.code == 1, told.err
    # The sound of the system `repaired` is that of another clip.
    failures = [one for one in listed(tmp_path / "run") if one["system"] != "repaired"]
    found = {(one["clip"], one["stage"], one["reason"]) for one in failures}
    assert found == {(BAD, "networks", "internal" if where else "backbone_failed")}
    assert WORDS in (tmp_path / "run" / "tracebacks.txt").read_text()
    assert counts(tmp_path / "run")["noise"] == 3
    monkeypatch.delitem(sys.modules, "thrower_hear", raising=False)


def test_rendering_of_simulated_scenes(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, throw: Callable, clips: Path
) -> None:
    from visaudio_bench.suites.simulated import committed_scenes
    from visaudio_bench.suites.simulator.render import clip_files

    def copied(scene: Any, folder: Path, size: int) -> None:
        for source, target in zip(
            (clips / "clip0.mp4", clips / "clip0.wav"), clip_files(folder, scene.id), strict=False
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix == ".flac":
                write_audio(target, read_sound(source).samples, 44100)
            else:
                shutil.copy(source, target)
        clip_files(folder, scene.id)[2].write_text("{}")

    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("visaudio_bench.suites.simulated.render_files", copied)
    scenes = committed_scenes("simroom-mini")[:3]
    monkeypatch.setattr("visaudio_bench.suites.simulated.committed_scenes", lambda name: scenes)
    bad = scenes[0].id
    throw("visaudio_bench.suites.simulated:render_files", bad)
    told = run_of(bench, "simroom-mini", tmp_path / "run", "--system", "noise")
    assert told.code == 1, told.err
    (failure,) = listed(tmp_path / "run")
    assert (failure["clip"], failure["stage"], failure["reason"]) == (bad, "prepare", "internal")
    assert counts(tmp_path / "run")["noise"] == 2
    made = bench("generate", "--system", "noise", "--suite", "simroom-mini", "--limit", 2, "--out", tmp_path / "made")
    assert made.code == 1
    (failure,) = listed(tmp_path / "made" / "simroom-mini")
    assert (failure["clip"], failure["stage"]) == (bad, "prepare")
    store = tmp_path / "store"
    asked = ("--parts", "built-in", "--duration", 1, "--device", "cpu", "--workers", 1, "--out", store)
    assert bench("features", "build", "--suite", "simroom-mini", *asked).code == 1
    (failure,) = listed(store)
    assert (failure["clip"], failure["stage"], len(FeatureStore(store))) == (bad, "prepare", 2)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "micro.safetensors"
    torch.manual_seed(0)
    micro = replace(CONFIGS["tiny"], hidden=16, heads=2, depth=2, fused_depth=1)
    save_network(build(micro), path, open_parts("built-in").notes())
    return path


GENERATE = {
    "clip1": ("visaudio_bench.models.visaudio.pipeline:Pipeline._prepared", "generate"),
    "clip2": ("visaudio_bench.models.visaudio.pipeline:Pipeline._sounds", "generate"),  # a batch of several
    "clip3": ("visaudio_bench.baselines.visaudio:write_audio", "generate"),
    "clip4": ("visaudio_bench.bench.evaluation.unscored_generation:mux_clip", "mux"),
}


def test_generation(
    bench: Callable, checkpoint: Path, clips: Path, tmp_path: Path, throw: Callable, made_here: None
) -> None:
    for clip, (where, _) in GENERATE.items():
        throw(where, clip)
    videos = [word for path in sorted(clips.glob("*.mp4")) for word in ("--video", path)]
    asked = ("--weights", checkpoint, "--steps", 1, "--duration", 1, "--device", "cpu", "--mux")
    told = bench("generate", *asked, *videos, "--out", tmp_path / "out")
    expected = {("visaudio-tiny", clip, stage) for clip, (_, stage) in GENERATE.items()}
    require_told(told, tmp_path / "out", expected)
    assert {path.stem for path in (tmp_path / "out").glob("*.mp4")} == {"clip0", "clip5"}
    assert {path.stem for path in (tmp_path / "out").glob("*.wav")} == {"clip0", "clip4", "clip5"}


def test_export(bench: Callable, clips: Path, tmp_path: Path, throw: Callable) -> None:
    throw("visaudio_bench.bench.evaluation.suite_export:_write", BAD)
    told = bench("export", f"folder:{clips}", "--out", tmp_path / "out", "--workers", 1)
    require_told(told, tmp_path / "out", {("", BAD, "export")})
    assert len(list((tmp_path / "out" / "references").glob("*.wav"))) == 5


def test_features(bench: Callable, clips: Path, tmp_path: Path, throw: Callable) -> None:
    for clip, name in {"clip1": "features_of", "clip2": "row_of", "clip3": "write_shard"}.items():
        throw(f"visaudio_bench.bench.training.feature_extraction:{name}", clip)
    asked = ("--parts", "built-in", "--duration", 1, "--device", "cpu", "--workers", 1, "--out", tmp_path / "store")
    told = bench("features", "build", "--suite", f"folder:{clips}", *asked)
    expected = {("", clip, "features") for clip in ("clip1", "clip2", "clip3")}
    require_told(told, tmp_path / "store", expected)
    assert [row.clip for row in FeatureStore(tmp_path / "store").rows] == ["clip0", "clip4", "clip5"]


def test_preparation_and_its_check(
    bench: Callable, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: None, throw: Callable
) -> None:
    monkeypatch.setenv("VISAUDIO_BENCH_DATA", str(tmp_path / "data"))
    source = tmp_path / "source"
    for name in ("clip0", "clip1", "clip2"):
        write_video(source / "video" / f"{name}.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 41, 5)
        noise = 0.1 * np.random.default_rng(int(name[-1])).standard_normal((2, 8 * 44100)).astype(np.float32)
        write_audio(source / "audio" / f"{name}.wav", noise, 44100)
    (source / "test.csv").write_text("clip_id,caption\n" + "".join(f"clip{i},a sound\n" for i in range(3)))
    call = ("data", "prepare", "biaudio", "--from", source, "--workers", 1)
    with monkeypatch.context():
        throw("visaudio_bench.suites.preparation:admit")
        told = bench(*call)
    folder = tmp_path / "data" / "biaudio"
    assert (told.code, "Traceback" in told.err) == (1, False), told.err
    (reject,) = listed(folder, "rejects.jsonl")
    assert (reject["clip_id"], reject["reason"], WORDS in reject["message"]) == (BAD, "internal", True)
    assert WORDS in (folder / "tracebacks.txt").read_text()
    assert str(folder / "tracebacks.txt") in told.err
    assert "2" in told.out


def test_construction(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: None, throw: Callable, clips: Path
) -> None:
    twin, built = tmp_path / "twin", tmp_path / "built"
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.write_video", lambda *_: None)
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.write_audio", lambda *_: None)
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.scene_sounds", lambda _: [])
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.ambisonic_sound", lambda *_: None)
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.truth_of", lambda *_: {})
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.scene_labels", lambda *_: ())
    monkeypatch.setattr("visaudio_bench.suites.construction.twin.write_labels", lambda *_: None)
    throw("visaudio_bench.suites.construction.twin:_render", "simroom-001_0")
    told = bench("data", "build", "twin", "--suite", "simroom-mini", "--out", twin, "--workers", 1)
    assert told.code == 1 and "Traceback" not in told.err, told.err
    (reject,) = listed(twin, "rejects.jsonl")
    assert (reject["clip_id"], reject["reason"]) == ("simroom-001_0", "internal")
    assert len(list(twin.glob("*_0.json"))) == 11
    assert WORDS in (twin / "tracebacks.txt").read_text()
    # Nothing of it is media, so that every clip of the built set is refused, and one of them unexpectedly.
    for path in twin.glob("*_0.json"):
        path.with_suffix(".mp4").write_bytes(b"no media at all")
        path.with_suffix(".flac").write_bytes(b"no media at all")
    throw("visaudio_bench.suites.construction.build:read_field", "simroom-002_0")
    told = bench("data", "build", "biaudio", "--from", twin, "--out", built, "--seconds", 2, "--size", 32)
    rejects = {one["clip_id"]: one["reason"] for one in listed(built, "rejects.jsonl")}
    assert told.code == 1 and "Traceback" not in told.err, told.err
    assert rejects["simroom-002_0"] == "internal"
    assert set(rejects.values()) == {"internal", "unreadable"}
    assert WORDS in (built / "tracebacks.txt").read_text()


def test_questionnaires(bench: Callable, clips: Path, tmp_path: Path, throw: Callable) -> None:
    throw("visaudio_bench.bench.mos.questionnaire:_sample", "clip1")
    throw("visaudio_bench.bench.mos.questionnaire:_write_samples", "clip2")
    call = ("mos", "page", "--system", f"ours={clips}", "--videos", clips, "--clips", 4, "--training", "none")
    told = bench(*call, "--clips", "clip0,clip1,clip2,clip3", "--out", tmp_path / "survey")
    require_told(told, tmp_path / "survey.failures", {("", "clip1", "page"), ("", "clip2", "page")})
    data = json.loads((tmp_path / "survey" / "survey.json").read_text())
    assert [group["clip"] for group in data["groups"]] == ["clip0", "clip3"]
    assert len(list((tmp_path / "survey" / "media").iterdir())) == 2
    asked = ("--clips", "clip0,clip1", "--out", tmp_path / "second", "--allow-missing", 1)
    assert bench(*call, *asked).code == 0


def test_pages_of_a_report(bench: Callable, three: Path, tmp_path: Path, throw: Callable) -> None:
    assert run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise").code == 0
    for where in ("predicted_ears", "pictures_file"):
        throw(f"visaudio_bench.bench.report_pages.clip_page:{where}", BAD)
    throw("visaudio_bench.bench.report_pages.report_folder:show_clip", "clip2")
    told = bench("report", tmp_path / "run", "--html", tmp_path / "pages", "--workers", 1)
    assert (told.code, "Traceback" in told.err) == (0, False), told.err
    assert "2 clips" in told.err
    assert WORDS in (tmp_path / "pages" / "tracebacks.txt").read_text()
    pages = [path.read_text() for path in (tmp_path / "pages" / "media").glob("*/clip.js")]
    assert [WORDS in page for page in pages].count(True) == 1


def test_verification(bench: Callable, three: Path, tmp_path: Path, throw: Callable) -> None:
    assert run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise").code == 0
    throw("visaudio_bench.bench.evaluation.signal_scores:_score", BAD)
    told = bench("verify", tmp_path / "run", "--clips", 3, "--workers", 1)
    assert (told.code, "Traceback" in told.err) == (1, False), told.err
    assert BAD in told.out + told.err
    assert not [clip for clip in ("clip0", "clip2") if clip in told.out + told.err]


def test_what_is_not_of_one_clip_ends_the_command_as_before(
    bench: Callable, three: Path, tmp_path: Path, throw: Callable
) -> None:
    throw(
        "visaudio_bench.bench.evaluation.signal_scores:_screen", error=OSError(errno.ENOSPC, "No space left on device")
    )
    told = run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise")
    assert told.code == 1
    assert "make room" in told.err and "unexpected error" not in told.err
    assert not (tmp_path / "run" / "failures.jsonl").exists()


def test_memory_that_ran_out_has_a_reason_of_its_own(
    bench: Callable, three: Path, tmp_path: Path, throw: Callable
) -> None:
    throw("visaudio_bench.bench.evaluation.signal_scores:_screen", error=MemoryError())
    assert run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise").code == 1
    assert {one["reason"] for one in listed(tmp_path / "run")} == {"out_of_memory"}


# Every call of the guard, with where it is met.
SITES = {
    "bench.training.feature_extraction:extract": "test_features",
    "bench.training.feature_extraction:_piece": "test_features",
    "bench.training.feature_extraction:_one_by_one": "test_features",
    "bench.failures:prepare": "test_rendering_of_simulated_scenes",
    "bench.evaluation.signal_scores:admit": "test_a_run",
    "bench.evaluation.suite_export:export": "test_export",
    "bench.evaluation.verification:_again": "test_verification",
    "bench.evaluation.signal_scores:score_clip": "test_scoring_of_a_reference_that_vanishes",
    "bench.evaluation.signal_scores:_score": "test_a_run",
    "bench.evaluation.generation:recorded": "test_a_run",
    "bench.evaluation.generation:generate": "test_a_chunk_of_clips_that_fails_as_a_whole",
    "bench.evaluation.generation:_attempted": "test_a_run",
    "bench.evaluation.generation:_kept": "test_a_run",
    "bench.evaluation.network_scores:_Attempts.__call__": "test_networks",
    "bench.evaluation.network_pipeline:_answered_far": "test_network_pipeline.py",
    "bench.evaluation.network_pipeline:_answered_elsewhere": "test_network_pipeline.py",
    "bench.cluster.slurm_engine:_answers": "tests/bench/cluster/test_engines.py",
    "bench.mos.questionnaire:_fill": "test_questionnaires",
    "bench.report_pages.report_folder:_show_clips": "test_pages_of_a_report",
    "bench.report_pages.clip_page:_Maker._ears": "test_pages_of_a_report",
    "bench.report_pages.clip_page:_Maker._video": "test_pages_of_a_report",
    "bench.evaluation.unscored_generation:_mux_all": "test_generation",
    "bench.evaluation.execution:_admit": "test_a_run",
    "bench.evaluation.execution:_score_all": "test_a_run",
    "suites.making:make_each": "test_construction, test_small_guards, test_rendering_of_simulated_scenes",
    "suites.manifest_check:check_entry": "test_small_guards",
    "suites.construction.build:build_clip": "test_construction",
    "suites.construction.dataset:Build.run": "tests/suites/construction/test_dataset.py, engines",
    "suites.folder:probed": "test_small_guards",
    "suites.preparation:Preparation.examine": "test_preparation_and_its_check",
    "suites.preparation:_hop": "test_small_guards",
    "baselines.two_stage:_kept": "test_a_run",
    "baselines.published.published_system:PublishedSystem.generate": "baselines/published/test_worker.py",
    "baselines.published.published_system:PublishedSystem._generation": "baselines/published/test_worker.py",
    "baselines.system:ClipwiseSystem.generate": "test_a_run",
    "baselines.visaudio:_kept": "test_generation",
    "baselines.visaudio:_duration": "test_small_guards",
    "models.visaudio.pipeline:Pipeline.generate": "test_generation",
    "models.visaudio.pipeline:Pipeline._flush": "test_generation",
}


def test_every_use_of_the_guard_is_tried_here() -> None:
    found = set()
    for room in ("bench", "suites", "baselines", "models", "leaderboards", "metrics"):
        for path in sorted((ROOT / room).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found |= {f"{module}:{name}" for name in _users(ast.parse(path.read_text()), ())}
    assert found == set(SITES)


def _users(node: ast.AST, within: tuple[str, ...]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
        if isinstance(child, ast.Call):
            name = getattr(child.func, "attr", getattr(child.func, "id", ""))
            if name in ("one_clip", "as_clip_error", "clip_error"):
                yield ".".join(within)
        yield from _users(child, (*within, child.name) if named else within)


def test_nobody_asks_a_pool_for_a_bare_result() -> None:
    """Each call of a pool asks its outcomes for their errors: `result` alone would end the command at one clip."""
    for room in ("bench", "suites", "baselines"):
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text()
            if ("map_unordered(" in text or "map_isolated(" in text) and path.name != "data_build.py":
                assert "clip_error()" in text or "with one_clip()" in text, path


def test_small_guards(throw: Callable, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards around what a command does on the side, asked for directly."""
    from visaudio_bench.baselines.visaudio import _duration
    from visaudio_bench.errors import ClipError, ClipsError
    from visaudio_bench.suites.admission import AdmissionRules
    from visaudio_bench.suites.folder import open_folder
    from visaudio_bench.suites.manifest import Entry, Manifest
    from visaudio_bench.suites.manifest_check import check_entry
    from visaudio_bench.suites.preparation import _hop
    from visaudio_bench.suites.prepared_suite import PreparedSuite

    throw("visaudio_bench.suites.folder:probe")
    assert [clip.duration is None for clip in open_folder(str(three)).clips()] == [False, True, False]
    throw("visaudio_bench.baselines.visaudio:probe")
    assert _duration(Clip(BAD, three / f"{BAD}.mp4", None, duration=None)) == 0
    throw("visaudio_bench.suites.manifest_check:sound_format")
    rows = [
        Entry(name, "test", name, f"{name}.mp4", f"{name}.wav", 0.0, 2.0, source_rate=44100, channels=2)
        for name in (BAD, "clip2")
    ]
    manifest = Manifest("own", three, tuple(rows))
    reasons = [check_entry(row, manifest, tmp_path / "traces")[0].reason for row in rows]
    assert reasons == ["internal", "changed"]
    assert WORDS in (tmp_path / "traces" / "tracebacks.txt").read_text()
    monkeypatch.setattr("visaudio_bench.suites.preparation.admit", lambda *_: thrower())
    windows = list(_hop(three / "clip0.mp4", three / "clip0.wav", 0.9, AdmissionRules()))
    assert [(one["start"], one["reason"]) for one in windows] == [(0.0, "internal"), (0.9, "internal")]
    monkeypatch.setattr("visaudio_bench.suites.prepared_suite.join", lambda *_: thrower())
    suite = PreparedSuite.__new__(PreparedSuite)
    monkeypatch.setattr(PreparedSuite, "pending", lambda self: (BAD,))
    suite.name, suite.entries, suite.root = "own", (replace(rows[0], meta={"right": "r.wav"}),), three
    with pytest.raises(ClipsError) as caught:
        list(suite.prepare())
    assert isinstance(caught.value.errors[BAD], ClipError)


def test_scoring_of_a_reference_that_vanishes(
    bench: Callable, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.bench.evaluation import signal_scores

    plain, asked = signal_scores.read_reference, []

    def second_time(clip: Clip) -> Any:
        asked.append(clip.id)
        return thrower() if asked.count(BAD) == 2 and clip.id == BAD else plain(clip)

    monkeypatch.setattr(signal_scores, "read_reference", second_time)
    told = run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise")
    systems = ("reference", "mono", "swapped", "repaired", "noise")
    failures = listed(tmp_path / "run")
    assert {(one["system"], one["clip"], one["stage"], one["reason"]) for one in failures} == {
        (system, BAD, "score", "internal") for system in systems
    }
    assert told.code == 1
    assert set(counts(tmp_path / "run").values()) == {2}


VALUES = {"clip1": (np.nan, "not_finite"), "clip2": (-np.inf, "not_finite"), "clip3": (1e30, "out_of_range"),
          "clip4": (20000, "out_of_range")}  # fmt: skip


def test_one_sample_that_no_sound_has(bench: Callable, clips: Path, tmp_path: Path) -> None:
    """A float file whose one sample is NaN, infinite, or far too large, for every command that reads it."""
    for clip, (value, _) in VALUES.items():
        samples, rate = soundfile.read(clips / f"{clip}.wav", dtype="float32")
        samples[1000, 1] = value
        soundfile.write(clips / f"{clip}.wav", samples, rate, subtype="FLOAT")
    expected = {clip: reason for clip, (_, reason) in VALUES.items()}
    told = run_of(bench, f"folder:{clips}", tmp_path / "run", "--system", "noise")
    assert told.code == 1
    assert {one["clip"]: one["reason"] for one in listed(tmp_path / "run")} == expected
    assert set(counts(tmp_path / "run").values()) == {2}
    asked = ("--parts", "built-in", "--duration", 1, "--device", "cpu", "--workers", 1, "--out", tmp_path / "store")
    told = bench("features", "build", "--suite", f"folder:{clips}", *asked, "--allow-missing", 4)
    assert told.code == 0
    assert {one["clip"]: one["reason"] for one in listed(tmp_path / "store")} == expected
    call = ("mos", "page", "--system", f"ours={clips}", "--videos", clips, "--training", "none")
    assert bench(*call, "--clips", "clip0,clip3", "--out", tmp_path / "survey").code == 1
    assert [one["reason"] for one in listed(tmp_path / "survey.failures")] == ["out_of_range"]
    loud = 6.9 * read_sound(clips / "clip0.wav").samples
    write_audio(clips / "loud.wav", loud, 44100)  # far beyond full scale, and sound all the same
    assert np.abs(read_sound(clips / "loud.wav").samples).max() > 2


def test_videos_without_sound_among_others(bench: Callable, three: Path, tmp_path: Path) -> None:
    mute = (three / "clip0.mp4").read_bytes()
    (three / "mute.mp4").write_bytes(mute)
    (three / "cut.mp4").write_bytes(mute[:400])
    expected = {"mute": "no_audio", "cut": "unreadable"}
    told = run_of(bench, f"folder:{three}", tmp_path / "run", "--system", "noise")
    assert (told.code, "Traceback" in told.err) == (1, False), told.err
    found = listed(tmp_path / "run")
    assert {one["clip"]: one["reason"] for one in found} == expected
    assert {(one["system"], one["stage"]) for one in found} == {("", "read")}
    assert set(counts(tmp_path / "run").values()) == {3}
    store = tmp_path / "store"
    asked = ("--parts", "built-in", "--duration", 1, "--device", "cpu", "--workers", 1, "--out", store)
    assert bench("features", "build", "--suite", f"folder:{three}", *asked, "--allow-missing", 2).code == 0
    assert {one["clip"]: one["reason"] for one in listed(store)} == expected
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(three / "clip0.wav", mine)
    (three / "mute.mp4").rename(mine / "clip1.mp4")
    (three / "cut.mp4").rename(mine / "clip2.mp4")
    asked = ("--system", f"outputs:{mine}", "--allow-missing", 2)
    assert run_of(bench, f"folder:{three}", tmp_path / "other", *asked).code == 0
    found = {(one["system"], one["clip"], one["reason"]) for one in listed(tmp_path / "other")}
    assert found == {("mine", "clip1", "no_audio"), ("mine", "clip2", "unreadable")}
