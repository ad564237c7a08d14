"""`bench train foleyspace` from end to end with a network of a few thousand weights, and its system."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.foleyspace import FoleySpace
from visaudio_bench.baselines.motion import Array
from visaudio_bench.bench.training import foley_run, training_run
from visaudio_bench.bench.training.run_folder import Asked
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS
from visaudio_bench.models.foleyspace.config import STEPS, Config
from visaudio_bench.models.foleyspace.inference import binauralise, louder_near
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.foleyspace.training.batches import along_a_path, dry_sound
from visaudio_bench.models.foleyspace.training.recipe import PRESETS
from visaudio_bench.models.training.distributed import World
from visaudio_bench.suites import Clip, open_suite
from visaudio_bench.suites.media import read_sound

from .trainings import killed_at_work, losses

MICRO = ("network.rank=4", "network.hidden=8", "network.channels=4", "network.layers=1", "batch=2", "log_every=1")


@pytest.fixture
def train(bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setattr(foley_run, "LISTENED", 2)
    monkeypatch.setattr(training_run, "EVALUATION_SUITE", "simroom-mini")

    def call(out: str, *options: object, settings: tuple[str, ...] = (*MICRO, "steps=4")):
        chosen = [part for setting in settings for part in ("--set", setting)]
        return bench(
            "train", "foleyspace", "--out", tmp_path / out, "--device", "cpu", "--workers", 1, "--format", "csv",
            *options, *chosen,
        )  # fmt: skip

    return call


def test_a_training_in_two_halves_is_the_one_in_one(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visaudio_bench.bench.cli.train._judge", lambda *arguments: None)
    told = train("whole", settings=(*MICRO, "steps=4", "sampling_steps=3"))
    assert told.code == 0, told.err
    assert open_system(f"foleyspace:{tmp_path / 'whole' / 'last.safetensors'}").steps == 3
    assert "validation after step 4: error" in told.err
    assert train("halves", settings=(*MICRO, "steps=2")).code == 0
    assert train("halves", "--resume", settings=("steps=4",)).code == 0
    assert losses(tmp_path / "whole") == losses(tmp_path / "halves")
    one, other = (safetensors.torch.load_file(tmp_path / name / "state.safetensors") for name in ("whole", "halves"))
    assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())
    assert "sounds cannot change" in train("halves", "--resume", settings=("sounds=5",)).err


@pytest.mark.slow
def test_killed_it_goes_on_with_the_same_losses(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visaudio_bench.bench.cli.train._judge", lambda *arguments: None)
    out, settings = tmp_path / "killed", (*MICRO, "steps=1000", "save_every=1", "validate_every=1000")
    chosen = [part for setting in settings for part in ("--set", setting)]
    with killed_at_work(out, "foleyspace", "--out", out, "--device", "cpu", *chosen):
        pass
    done = max(losses(out)) + 1
    assert train("killed", "--resume", settings=(f"steps={done}",)).code == 0
    assert train("undisturbed", settings=(*settings, f"steps={done}")).code == 0
    assert losses(out) == losses(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_training_ends_with_its_leaderboard(train: Callable) -> None:
    told = train("run", settings=(*MICRO, "steps=1"))
    assert told.code == 0, told.err
    rows = {row["row"] for row in csv.DictReader(told.out.splitlines())}
    assert any("FoleySpace (open, from its abstract)" in row for row in rows), rows
    assert any("Motion pan" in row for row in rows), rows


def test_what_does_not_fit_is_said_in_one_sentence(train: Callable, tmp_path: Path) -> None:
    for options, settings, said in (
        (("--data", tmp_path), (), "makes its sounds itself"),
        (("--preset", "tine"), (), 'Did you mean "tiny"'),
        ((), ("network.rank=0",), "rank must be from 1 to"),
        ((), ("sampling_steps=0",), "sampling_steps must lie between 1"),
    ):
        told = train("run", *options, settings=settings)
        assert (told.code, said in told.err, "Traceback" in told.err) == (2, True, False), told.err
    wrong = tmp_path / "other.safetensors"
    told = train("run", "--from", wrong)
    assert (told.code, str(wrong) in told.err, (tmp_path / "run").exists()) == (1, True, False), told.err
    with pytest.raises(UsageError, match="bench train foleyspace"):
        open_system("foleyspace")
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BenchError, match="FoleySpace's diffusion network"):
        open_system(f"foleyspace:{tmp_path / 'other.safetensors'}")


def test_every_scene_in_a_room_has_the_one_source_whose_path_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(foley_run, "_rendered_scenes", lambda name, *others: asked.append(name))
    recipe = replace(PRESETS["rooms-tiny"], sounds=20)
    world = World(0, 1, torch.device("cpu"))
    foley_run.FoleyTraining().data(Asked(), "rooms-tiny", recipe, world)
    scenes = [scene for name in asked for scene in open_suite(name).designed]
    assert len(scenes) == 20 + foley_run.LISTENED
    assert all(len(scene.sources) == 1 and scene.sources[0].visible for scene in scenes)


@pytest.mark.slow
def test_a_training_in_rooms_keeps_the_mean_of_the_ears(
    train: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visaudio_bench.bench.cli.train._judge", lambda *arguments: None)
    told = train("rooms", "--preset", "rooms-tiny", settings=(*MICRO, "steps=1", "sounds=3"))
    assert told.code == 0, told.err
    checkpoint = tmp_path / "rooms" / "last.safetensors"
    system = open_system(f"foleyspace:{checkpoint}")
    assert (system.card.name, system.config.keeps_mean) == ("foleyspace-rooms-tiny", True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows left from right."""
    from visaudio_bench.bench.training.run_folder import Asked

    before, foley_run.LISTENED = foley_run.LISTENED, 2
    settings = (
        "network.rank=16", "network.hidden=32", "network.channels=4", "network.layers=1", "batch=4", "steps=60",
        "learning_rate=1e-2", "warmup=5",
    )  # fmt: skip
    out = tmp_path_factory.mktemp("trained") / "run"
    done = foley_run.train(Asked(out=out, settings=settings)).checkpoint
    foley_run.LISTENED = before
    return done


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """A random network of a few weights whose file says what it is told to."""

    def save(notes: dict[str, str]) -> Path:
        config = Config("tiny", rank=2, hidden=4, channels=2, layers=1)
        torch.manual_seed(0)
        network = SpatialDiffusion(config)
        torch.nn.init.constant_(network.spread, 0.0)
        path = tmp_path / "some" / "last.safetensors"
        CHECKPOINTS.save(config, network.state_dict(), path, notes)
        return path

    return save


def test_the_steps_are_the_checkpoints_or_those_asked_for_and_part_of_the_row(
    checkpoint: Callable[[dict[str, str]], Path], clips: Path, tmp_path: Path
) -> None:
    path = checkpoint({"sampling_steps": "3"})
    usual, same, other = (open_system(f"foleyspace:{path}{behind}") for behind in ("", ":steps=3", ":steps=1"))
    assert isinstance(usual, FoleySpace) and isinstance(other, FoleySpace)
    assert (usual.steps, other.steps) == (3, 1)
    assert (usual.card.name, same.card, other.card.name) == ("foleyspace-tiny", usual.card, "foleyspace-tiny@steps=1")
    assert usual.card.revision != other.card.revision and "steps=1" in other.card.title
    rows = (open_system(f"{first}{path}:steps=1").card.name for first in ("foleyspace:mine=", "noise+foleyspace:"))
    assert tuple(rows) == ("mine@steps=1", "noise+foleyspace-tiny@steps=1")
    sounds = {}
    for system in (usual, other):
        out = tmp_path / system.card.name
        out.mkdir()
        (made,) = system.generate(open_suite(f"folder:{clips}").clips(), out, only={"clip0"})
        assert made.path is not None and made.provenance["steps"] == system.steps
        sounds[system.steps] = read_sound(made.path).samples
    assert np.abs(sounds[1] - sounds[3]).max() > 1e-3


def test_a_number_of_steps_that_is_none_is_said_in_one_sentence(
    bench: Callable, checkpoint: Callable[[dict[str, str]], Path], tmp_path: Path
) -> None:
    path = checkpoint({})
    assert open_system(f"foleyspace:{path}").steps == STEPS
    for option, said in (
        *((f"steps={wrong}", "a whole number from 1 to 1000") for wrong in ("0", "-1", "1.5", "two", "", "1001", "²")),
        ("step=2", 'no option "step=2"'),
    ):
        told = bench(
            "run", "--suite", "simroom-mini", "--system", f"foleyspace:{path}:{option}", "--out", tmp_path / "run"
        )
        assert (told.code, said in told.err, told.err.count("\n"), "Traceback" in told.err) == (2, True, 1, False), told
    odd = path.with_name("last.safetensors:steps=7")
    path.rename(odd)
    assert open_system(f"foleyspace:{odd}").path == odd, "a file of that name is meant by it"
    with pytest.raises(UsageError, match="there is no file"):
        open_system(f"foleyspace:{path}:steps=1")
    with pytest.raises(BenchError, match="sampling_steps"):
        open_system(f"foleyspace:{checkpoint({'sampling_steps': 'many'})}")


def test_it_learns_the_side_of_a_trajectory(trained: Path) -> None:
    network = FoleySpace(trained).network
    assert isinstance(network, SpatialDiffusion)
    mono = torch.from_numpy(dry_sound(7))
    for side in (1.0, -1.0):
        places = torch.tensor([[1.0, 1.7 * side, 0.0]])
        ears = binauralise(network, mono, places, torch.Generator().manual_seed(0))
        level = 20 * torch.log10(ears[0].std() / ears[1].std())
        assert float(level) * side > 2
        true = along_a_path(louder_near(mono.numpy(), places.numpy()), places.numpy())
        assert true.shape == ears.shape


class OnTheRight(FoleySpace):
    """As a user may replace the eyes."""

    def positions(self, clip: Clip, seconds: float) -> Array:
        return np.array([[1.0, -2.0, 0.0]])


def test_its_row_is_made_along_the_trajectory(trained: Path, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (made,) = OnTheRight(trained).generate(open_suite(f"folder:{clips}").clips(), tmp_path / "out", only={"clip0"})
    assert made.path is not None, made.message
    left, right = read_sound(made.path).samples
    assert right.std() > 1.3 * left.std()
    assert open_system(f"noise+foleyspace:{trained}").card.inputs == ("video",)
    assert len(made.provenance["weights"]["sha256"]) == 64
