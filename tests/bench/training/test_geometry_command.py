"""`bench train geometry-aware` from end to end, on windows of noise whose side their pictures show, and its systems."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from visaudio_bench.baselines import open_system
from visaudio_bench.bench.training.geometry_run import train as begin
from visaudio_bench.bench.training.run_folder import Asked
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS
from visaudio_bench.models.geometry_aware.clip_windows import identity
from visaudio_bench.models.geometry_aware.config import CONFIGS, SAMPLE_RATE
from visaudio_bench.models.geometry_aware.inference import binauralise
from visaudio_bench.models.geometry_aware.training.batches import Reader
from visaudio_bench.models.geometry_aware.training.recipe import PRESETS
from visaudio_bench.models.visaudio.feature_formats import Storage
from visaudio_bench.models.visaudio.feature_store import FeatureRow, FeatureStore, Kind, claim, write_shard
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import read_sound

from .trainings import call_options, command, environment, killed_at_work, losses

SECONDS = 1.2
MICRO = ("network.trunk=8", "network.audio=8", "batch=4", "log_every=1", "steps=4")
FULL = ("loss_backbone", "loss_coherence", "loss_consistency", "loss_response")


def fill(folder: Path, count: int, *, seed: int = 0, responses: bool = True, exchanged: bool = False) -> Path:
    """A store of noise that is louder on one side, where the pictures have a bright bar; or opposite to it."""
    claim(folder, Kind(*identity("windows-tiny"), Storage(), SECONDS))
    height, width = CONFIGS["tiny"].stored
    clips = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        left = index % 2 == 0
        mono = rng.standard_normal(round(SECONDS * SAMPLE_RATE))
        ears = np.stack([mono, 0.3 * mono] if left != exchanged else [0.3 * mono, mono], axis=1)
        frames = rng.integers(0, 60, (12, 3, height, width)).astype(np.uint8)
        bar = slice(width // 8, width // 4) if left else slice(-width // 4, -width // 8)
        frames[..., bar] = 240
        made = {
            "sound": torch.from_numpy((6000 * ears).clip(-32768, 32767).astype(np.int16)),
            "frames": torch.from_numpy(frames),
        }
        if responses:
            made |= {"responses": torch.rand(3, 2, 64, 64).half(), "seconds": torch.full((3,), 0.4)}
        clips.append((FeatureRow(f"clip{index:02d}", "suite", "", "", 0.0, 0), made))
    write_shard(folder, clips)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("windows"), 8)


@pytest.fixture
def train(bench: Callable, data: Path, tmp_path: Path) -> Callable:
    def call(out: str, *options: object, settings: tuple[str, ...] = MICRO, learnt: Path = data):
        return bench("train", "geometry-aware", *call_options(learnt, tmp_path / out, *settings), *options)

    return call


def test_a_training_leaves_what_visaudios_does_and_is_judged_by_ear(
    train: Callable, data: Path, tmp_path: Path
) -> None:
    told = train("run", "--validation", data)
    assert told.code == 0, told.err
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "training.json", "metrics.jsonl", "state.safetensors", "last.safetensors", "best.safetensors"
    }  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert all(row["loss"] == pytest.approx(sum(row[name] for name in FULL)) for row in steps)
    (seen,) = (row for row in rows if "validation/score" in row)
    assert {"validation/stft", "validation/env", "validation/lr_acc", "validation/coherence"} <= seen.keys()
    assert seen["validation/score"] == -seen["validation/stft"]
    assert CHECKPOINTS.read_config(run / "best.safetensors").system == "geometry-aware"


def test_a_training_in_two_halves_is_the_one_in_one(train: Callable, tmp_path: Path) -> None:
    assert train("whole").code == 0
    assert train("halves", settings=(*MICRO, "steps=2")).code == 0
    assert train("halves", "--resume", settings=("steps=4",)).code == 0
    assert losses(tmp_path / "whole") == losses(tmp_path / "halves")
    one, other = (safetensors.torch.load_file(tmp_path / name / "state.safetensors") for name in ("whole", "halves"))
    assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())
    told = train("halves", "--resume", settings=("steps=5", "mirror=false"))
    assert (told.code, "mirror cannot change" in told.err) == (2, True)


@pytest.mark.slow
def test_killed_it_goes_on_with_the_same_losses(train: Callable, data: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "killed", (*MICRO, "steps=100", "save_every=1")
    with killed_at_work(out, "geometry-aware", *call_options(data, out, *settings)):
        pass
    done = max(losses(out)) + 1
    assert train("killed", "--resume", settings=(f"steps={done}",)).code == 0
    assert train("undisturbed", settings=(*settings, f"steps={done}")).code == 0
    assert losses(out) == losses(tmp_path / "undisturbed")


@pytest.mark.slow
def test_two_processes_do_what_one_does(train: Callable, data: Path, tmp_path: Path) -> None:
    assert train("one").code == 0
    both = command(
        "geometry-aware", *call_options(data, tmp_path / "two", *MICRO, "network.response=true"), processes=2
    )
    done = subprocess.run(both, env=environment(), check=False, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [*losses(tmp_path / "two").values()] == pytest.approx([*losses(tmp_path / "one").values()], rel=1e-4)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("network.coherence=false",), ("loss_backbone", "loss_consistency", "loss_response")),
        (("network.response=false", "network.consistency=false"), ("loss_backbone", "loss_coherence")),
    ],
)
def test_each_loss_is_a_switch(
    train: Callable, tmp_path: Path, change: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert train("run", settings=(*MICRO, "steps=1", *change)).code == 0
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert {key for key in row if key.startswith("loss_")} == set(parts)


def test_what_does_not_fit_is_said_in_one_sentence(train: Callable, data: Path, tmp_path: Path) -> None:
    recorded = fill(tmp_path / "recorded", 4, responses=False)
    for options, settings, said in (
        ((), ("network.trunk=9",), "multiple of 8"),
        (("--preset", "mono2binaural-tine"), (), 'Did you mean "mono2binaural-tiny"'),
        (("--preset", "paper"), (), "choose the preset that fits"),
        ((), ("network.pictures=false",), "there are none"),
    ):
        told = train("run", *options, settings=settings)
        assert (told.code, said in told.err, "Traceback" in told.err) == (2, True, False), told.err
    told = train("run", learnt=recorded)
    assert (told.code, "has an impulse response" in told.err) == (2, True), told.err
    assert train("run", learnt=recorded, settings=(*MICRO, "steps=1", "network.response=false")).code == 0


def test_a_mirror_exchanges_ears_and_pictures_and_never_one_of_them(data: Path) -> None:
    store, config = FeatureStore(data), CONFIGS["tiny"]
    clips, samples = [*range(8)] * 2, [*range(16)]

    def drawn(mirror: bool) -> Mapping[str, torch.Tensor]:
        reader = Reader(store, config, replace(PRESETS["tiny"], mirror=mirror))
        return reader.batch(reader.empty(16, pinned=False), clips, samples).tensors

    plain, mirrored = drawn(mirror=False), drawn(mirror=True)
    turned = [not torch.equal(a, b) for a, b in zip(plain["sound"], mirrored["sound"], strict=True)]
    assert 0 < sum(turned) < 16
    for number, turn in enumerate(turned):
        for name, axis in (("sound", 0), ("frames", -1), ("others", -1), ("responses", 0)):
            wanted = plain[name][number].flip(axis) if turn else plain[name][number]
            assert torch.equal(mirrored[name][number], wanted), name


def learn(data: Path, out: Path) -> Path:
    """Train a network until it knows where the bright bar is."""
    settings = (
        "network.trunk=8", "network.audio=8", "batch=8", "steps=40", "learning_rate=3e-3", "network.response=false"
    )  # fmt: skip
    return begin(Asked(data=data, out=out, settings=settings)).checkpoint


def levels(checkpoint: Path) -> list[float]:
    """By how many dB the left ear is louder where the bar is on the left; then with mirrored pictures."""
    network = CHECKPOINTS.load(checkpoint)
    height, width = network.config.stored
    frames = torch.randint(0, 60, (12, 3, height, width), dtype=torch.uint8)
    frames[..., width // 8 : width // 4] = 240
    mono = torch.randn(round(SECONDS * SAMPLE_RATE), generator=torch.Generator().manual_seed(5)) / 10
    both = [binauralise(network, mono, frames, mirrored=mirrored) for mirrored in (False, True)]
    torch.testing.assert_close(binauralise(network, 2 * mono, frames), 2 * both[0], rtol=1e-3, atol=1e-4)
    assert both[0].shape == (2, len(mono))
    return [float(20 * torch.log10(ears[0].std() / ears[1].std())) for ears in both]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt where the bright bar is."""
    return learn(data, tmp_path_factory.mktemp("trained") / "run")


def test_pictures_decide_on_the_side_and_a_mirror_exchanges_the_ears(trained: Path) -> None:
    plain, mirrored = levels(trained)
    assert plain > 1 and mirrored < -1


def test_the_classifier_learns_whether_the_ears_were_exchanged(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained.parent / "metrics.jsonl").read_text().splitlines()]
    told = [row["loss_coherence"] for row in rows if "loss_coherence" in row]
    assert told[0] > 0.5 and told[-1] < 0.2, "chance is log 2"


@pytest.mark.slow
def test_who_learns_from_exchanged_ears_hears_the_other_side(tmp_path: Path) -> None:
    plain, mirrored = levels(learn(fill(tmp_path / "exchanged", 8, exchanged=True), tmp_path / "run"))
    assert plain < -1 and mirrored > 1


def test_its_rows_are_opened_by_what_they_are(train: Callable, trained: Path, clips: Path, tmp_path: Path) -> None:
    assert train("bare", "--preset", "mono2binaural-tiny", settings=(*MICRO, "steps=1")).code == 0
    bare = tmp_path / "bare" / "last.safetensors"
    assert open_system(f"mono2binaural:{bare}").card.name == "mono2binaural-tiny"
    with pytest.raises(UsageError, match="--system mono2binaural:"):
        open_system(f"geometry-aware:{bare}")
    with pytest.raises(BenchError, match="take last"):
        open_system(f"geometry-aware:{bare.with_name('state.safetensors')}")
    with pytest.raises(UsageError, match="bench train geometry-aware"):
        open_system("geometry-aware")
    with pytest.raises(BenchError, match="its format is"):
        safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
        open_system(f"geometry-aware:{tmp_path / 'other.safetensors'}")
    system = open_system(f"noise+geometry-aware:{trained}")
    assert (system.card.name, system.card.inputs) == ("noise+geometry-aware-tiny", ("video",))
    (tmp_path / "out").mkdir()
    (made,) = system.generate(open_suite(f"folder:{clips}").clips(), tmp_path / "out", only={"clip0"})
    assert made.path is not None, made.message
    assert read_sound(made.path).samples.shape == (2, 88200)
    assert len(made.provenance["binauraliser"]["weights"]["sha256"]) == 64
