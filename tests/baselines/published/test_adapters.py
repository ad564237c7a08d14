"""Every adapter through inputs, worker and post-processing on a double of its authors' code, whatever goes wrong.

The doubles answer with noise (see doubles/README.md). What goes wrong is put between the runner and the kit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visaudio_bench.baselines.published import contract_check
from visaudio_bench.baselines.published.card import Card, read_card
from visaudio_bench.baselines.published.installed import card_folders, home_of
from visaudio_bench.baselines.published.published_system import PublishedSystem
from visaudio_bench.baselines.system import Generation
from visaudio_bench.files import write_json
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import read_binaural, write_audio, write_video

from .conftest import read_opened

DOUBLES = Path(__file__).parent / "doubles"
CARDS = {name: read_card(folder) for name, folder in card_folders().items()}
RUNNABLE = [name for name, card in CARDS.items() if card.status == "runnable"]
# All go through the same code of ours. The doubles of these two need no torch, and one of them has weights.
QUICK = {"mmaudio", "prismaudio"}
FAULTY = [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in RUNNABLE]
# Whose authors' demos are so much alike that one double serves both.
SAME_DEMO = {"pseudo-binaural": "sep_stereo"}
# The doubles of these need no torch: a process of theirs starts in a tenth of a second.
LIGHT = (
    "mmaudio", "visual-sound-25d", "sep-stereo", "pseudo-binaural", "selva", "hunyuanvideo-foley", "prismaudio",
    "ccstereo",
)  # fmt: skip
NEED_WEIGHTS = ("audiox", "see2sound", "selva", "hunyuanvideo-foley", "prismaudio", "thinksound")
MILD = {"error": "error", "nan": "not_finite", "zeros": "silent", "channels": "channels", "rate": "wrong_rate",
        "short": "short"}  # fmt: skip
HARD = {"crash": "crash", "killed": "killed", "partial": "crash", "memory": "out_of_memory", "hang": "timeout"}

Adapt = Callable[..., PublishedSystem]


def double_of(name: str) -> Path:
    """What stands for a system's checkout."""
    return DOUBLES / SAME_DEMO.get(name, CARDS[name].folder.name)


@pytest.fixture
def adapt(own_cache: Path, tmp_path: Path) -> Adapt:
    """A published system whose installation is its double."""

    def open_it(name: str, argument: str | None = None, **changes: Any) -> PublishedSystem:
        card = CARDS[name]
        light = str(DOUBLES / "light")
        state = {
            "commit": card.commit,
            "complete": True,
            "source": str(double_of(name)),
            "python": sys.executable,
            "extras": [light] if name in LIGHT else [],
            "packages": "",
            "weights": _weights(card) if name in NEED_WEIGHTS else None,
        }
        write_json(home_of(card) / "install.json", state)
        return PublishedSystem(replace(_spoiled(card, tmp_path), **changes), "", argument)

    return open_it


def _weights(card: Card) -> dict[str, str]:
    """Files that nobody reads, the one that AudioX takes its sizes from, and those that ThinkSound's runner loads."""
    for wanted in card.weights:
        path = home_of(card) / "weights" / wanted.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.suffix:  # a folder of a model hub
            path.mkdir(exist_ok=True)
            continue
        if card.name == "thinksound":
            torch.save({}, path)
            continue
        path.write_text('{"sample_rate": 44100, "sample_size": 485100, "video_fps": 5}')
    return {wanted.file: "" for wanted in card.weights}


def _spoiled(card: Card, folder: Path) -> Card:
    runner = folder / "runners" / card.name / "runner.py"
    runner.parent.mkdir(parents=True, exist_ok=True)
    own, last, end = card.runner.read_text().partition('if __name__ == "__main__":')
    assert "worker_kit.main(load)" in end
    spoil = (DOUBLES / "spoil.py").read_text()
    runner.write_text(own + spoil + last + end.replace("main(load)", "main(spoiled(load))"))
    return replace(card, runner=runner)


@pytest.fixture(scope="session")
def seen_and_heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clip")
    video, sound = folder / "video.mp4", folder / "sound.wav"
    # As large as See2Sound must have it.
    write_video(video, [np.full((200, 200, 3), 9 * index, dtype=np.uint8) for index in range(25)], 25)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 44100), dtype=np.float32)
    write_audio(sound, noise, 44100)
    return video, sound


@pytest.fixture
def named(seen_and_heard: tuple[Path, Path]) -> Callable[[Sequence[str]], list[Clip]]:
    def make(names: Sequence[str]) -> list[Clip]:
        return [Clip(name, *seen_and_heard, 0.0, 1.0, f"caption of {name}") for name in names]

    return make


def run(system: PublishedSystem, clips: Sequence[Clip], out: Path) -> dict[str, Generation]:
    out.mkdir(exist_ok=True)
    device = "cuda:0" if system.details.name == "see2sound" else "cpu"  # it insists; its double uses none
    made = list(system.generate(clips, out, only=[clip.id for clip in clips], device=device))
    assert sorted(one.clip for one in made) == sorted(clip.id for clip in clips)
    return {one.clip: one for one in made}


def sounds(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.wav")}


def test_every_runnable_system_has_a_double_made_from_what_its_program_opens() -> None:
    assert not [name for name in RUNNABLE if not (double_of(name) / "opened.txt").is_file()]


@pytest.mark.parametrize("name", FAULTY)
def test_what_goes_wrong_with_a_clip_is_told_and_the_others_are_made(
    name: str, adapt: Adapt, named: Callable, tmp_path: Path
) -> None:
    order = ["fine1", *MILD, "fine2", *HARD, "fine3"]
    # The doubles with torch take seconds to load, and loading must not be taken for hanging.
    made = run(adapt(name, timeout_seconds=4.0 if name in LIGHT else 30.0), named(order), tmp_path / "out")
    reasons = {clip: one.reason for clip, one in made.items() if one.path is None}
    assert reasons == MILD | HARD, {clip: one.message for clip, one in made.items() if one.path is None}
    run(adapt(name), named(["fine3"]), tmp_path / "alone")
    assert sounds(tmp_path / "alone") == {"fine3": sounds(tmp_path / "out")["fine3"]}


@pytest.mark.parametrize("name", FAULTY)
def test_shards_change_no_byte(name: str, adapt: Adapt, named: Callable, tmp_path: Path) -> None:
    clips = named([f"fine{index}" for index in range(4)])
    run(adapt(name), clips, tmp_path / "one")
    run(adapt(name, "shards=3"), clips[::-1], tmp_path / "three")
    assert len(set(sounds(tmp_path / "one").values())) == 4
    assert sounds(tmp_path / "one") == sounds(tmp_path / "three")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the doubles were given, read before the job's folder goes."""
    from visaudio_bench.baselines.published import published_system as module

    found: list[dict[str, Any]] = []
    original = module.PublishedSystem._generation

    def spy(self: PublishedSystem, heard: Any, out: Path, task: Any) -> Generation:
        lines = (heard.file.parent.parent / "work" / "calls.jsonl").read_text().splitlines() if heard.file else []
        found[:] = [json.loads(line) for line in lines]
        return original(self, heard, out, task)

    monkeypatch.setattr(module.PublishedSystem, "_generation", spy)
    return found


def test_mmaudio_is_called_as_its_demo_calls_it(
    adapt: Adapt, named: Callable, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    made = run(adapt("mmaudio", "steps=3:negative=music"), named(["fine", "short"]), tmp_path / "out")
    assert calls[0] == {
        "pictures": [8, 25], "text": ["caption of fine"], "negative": ["music"], "steps": 3, "guidance": 4.5,
        "device": "cpu", "precision": "bfloat16", "lengths": [345, 64, 192],
    }  # fmt: skip
    assert made["fine"].provenance["worker"]["remarks"] == []
    assert made["short"].reason == "short"


def test_selva_and_hunyuan_are_called_as_their_authors_call_them(
    adapt: Adapt, named: Callable, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    run(adapt("selva", "guidance=3"), named(["fine"]), tmp_path / "selva")
    assert calls == [{
        "pictures": 25, "text": ["caption of fine"], "negative": [""], "steps": 25, "guidance": 3.0, "loaded": True,
        "lengths": [192, [250, 64, 192]],
    }]  # fmt: skip
    run(adapt("hunyuanvideo-foley", "offload=true"), named(["fine"]), tmp_path / "hunyuan")
    assert calls == [{
        "texts": ["noisy, harsh", "caption of fine"], "guidance": 4.5, "steps": 50, "size": "xxl", "offload": True,
    }]  # fmt: skip


def test_prismaudio_is_given_the_length_of_the_clip_and_not_of_the_video(
    adapt: Adapt, named: Callable, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    run(adapt("prismaudio"), named(["fine"]), tmp_path / "out")
    assert calls == [{
        "video_features": [4, 1024], "text_features": [len("caption of fine"), 1024], "sync_features": [16, 768],
        "latents": [1, 64, 22], "objective": "rectified_flow", "loaded": True,
    }]  # fmt: skip


@pytest.mark.parametrize("name", ["visual-sound-25d", "sep-stereo", "pseudo-binaural"])
def test_demos_that_spatialise_keep_their_networks_and_hear_one_sound(
    name: str, adapt: Adapt, named: Callable, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    system = adapt(name)
    run(system, named(["fine1", "fine2"]), tmp_path / "out")
    assert len(calls) == 3, "the first call is the runner's own"
    assert len({call["weight"] for call in calls}) == 1
    assert all(call["same"] and call["device"] == "cpu" for call in calls)
    assert calls[0]["hop"] == CARDS[name].options["hop"].default
    if name != "visual-sound-25d":
        assert calls[0]["fusion"] == ["APNet", True]
    assert system.card.binauralises


def test_ccstereo_is_kept_before_it_is_brought_to_full_scale(
    adapt: Adapt, named: Callable, tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    system = adapt("ccstereo")
    made = run(system, named(["fine1", "fine2"]), tmp_path / "out")
    assert len(calls) == 2
    assert len({call["weight"] for call in calls}) == 1, "the networks are built once"
    assert all(call["same"] and not call["mask"] and call["device"] == "cpu" for call in calls)
    assert calls[0]["hop"] == CARDS["ccstereo"].options["hop"].default
    assert (calls[0]["shown"][0], calls[0]["shown"][-1]) == (4, 8), "pictures in the middle of their windows"
    path = made["fine1"].path
    assert path is not None
    assert np.abs(read_binaural(path).samples).max() < 0.9, "levels stay as they are made"
    assert system.card.binauralises


def test_a_sound_of_another_system_can_be_spatialised(
    adapt: Adapt, named: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visaudio_bench.baselines.published import published_system as module

    def written(*arguments: Any) -> Any:
        folder = write_job(*arguments)
        assert "of-mmaudio" not in (folder.path / "job.json").read_text(), "beside it lies the reference"
        return folder

    write_job = module.write_job
    monkeypatch.setattr(module, "write_job", written)
    monos = tmp_path / "of-mmaudio"
    write_audio(monos / "fine.wav", np.full((2, 44100), 0.25, dtype=np.float32), 44100)
    system = adapt("visual-sound-25d", f"mono={monos}")
    assert not system.card.binauralises, "it does not hear the reference"
    assert system.card.name == "visual-sound-25d-random-weights@mono=of-mmaudio"
    assert system.card.title == "2.5D Visual Sound (random weights, mono=of-mmaudio)"
    (clip, other) = named(["fine", "absent"])
    assert system.sources(clip, [clip]) == (clip.video, monos / "fine.wav")
    made = run(system, [clip, other], tmp_path / "out")
    assert made["absent"].reason == "missing"
    assert made["fine"].path is not None


def recorded() -> Iterator[Any]:
    for name in RUNNABLE:
        if (double_of(name) / "opened.txt").is_file() and name != "see2sound":  # its double is looked at by itself
            yield pytest.param(name, id=name, marks=[] if name in QUICK else [pytest.mark.slow])


@pytest.mark.parametrize("name", recorded())
def test_a_double_opens_what_the_authors_program_opened(
    name: str, adapt: Adapt, named: Callable, tmp_path: Path
) -> None:
    adapt(name)
    system = contract_check.RecordedSystem(CARDS[name], tmp_path / "opened.jsonl")
    assert run(system, named(["fine"]), tmp_path / "out")["fine"].path is not None
    assert set(system.opened) == set(read_opened(double_of(name) / "opened.txt"))


def static() -> Iterator[Any]:
    for name in CARDS:
        yield pytest.param(name, id=name)


@pytest.mark.parametrize("name", static())
def test_every_card_keeps_the_contract_as_far_as_a_folder_can(name: str) -> None:
    card = CARDS[name]
    if card.status == "runnable":
        assert not [one for one in contract_check.static_checks(card) if not one.fine]
    assert card.paper
    assert card.summary
