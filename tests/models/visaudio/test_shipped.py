"""The checkpoint that is part of the package: file, card, recipe and parts agree, and it does what the card says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.visaudio import FlowSystem
from visaudio_bench.models import weights
from visaudio_bench.models.training.recipe import changed
from visaudio_bench.models.visaudio.checkpoint_notes import read_notes
from visaudio_bench.models.visaudio.parts import open_parts, require_same_parts
from visaudio_bench.models.visaudio.pipeline import Request
from visaudio_bench.models.visaudio.tiny.shipped import shipped_checkpoint
from visaudio_bench.models.visaudio.tiny.vocoder import SHARED, Vocoder
from visaudio_bench.models.visaudio.training.recipe import PRESETS, FlowRecipe
from visaudio_bench.suites.filmed_scenes import FILMED
from visaudio_bench.suites.media import probe, read_sound, write_video

CARD = shipped_checkpoint().with_name("CARD.md").read_text(encoding="utf-8")


def test_the_card_is_of_this_file() -> None:
    assert f"`{weights.sha256(shipped_checkpoint())}`" in CARD
    assert shipped_checkpoint().stat().st_size <= 12e6


def test_the_command_on_the_card_is_the_recipe_in_the_file() -> None:
    notes = read_notes(shipped_checkpoint())
    kept = FlowRecipe.from_dict(json.loads(notes["recipe"]))
    first, second = re.findall(r"^bench train visaudio(.*)$", CARD, re.MULTILINE)
    assert not first and f"{PRESETS['tiny'].steps} steps of {PRESETS['tiny'].batch} clips by the first" in CARD
    said = changed(PRESETS["tiny"], re.findall(r"--set (\S+)", second))
    for name in ("steps", "batch", "learning_rate", "decay_at", "decay", "drop", "drop_text", "seed", "guidance"):
        assert getattr(said, name) == getattr(kept, name), name
    assert notes["step"] == str(kept.steps)
    assert notes["sampling_steps"] == str(kept.sampling_steps)
    noise = Vocoder().sampling.noise
    assert "from the noise that it learnt from, and where it sounds from none" in CARD
    assert (noise[:SHARED].min(), noise[SHARED:].max()) == (1, 0)
    system = open_system("visaudio-tiny")
    assert isinstance(system, FlowSystem)
    assert system.settings.window == float(notes["duration"]) == FILMED.duration


def test_it_was_trained_with_the_parts_that_are_here() -> None:
    require_same_parts(open_parts("built-in"), read_notes(shipped_checkpoint()), "the package's checkpoint")


def test_a_video_gets_its_sound_without_any_option(bench: Callable, clips: Path, tmp_path: Path) -> None:
    done = bench("generate", "--video", clips / "clip0.mp4", "--mux", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    made = read_sound(tmp_path / "out" / "clip0.wav").samples
    assert made.shape == (2, 88200)
    assert 0 < np.abs(made).max() <= 1
    assert probe(tmp_path / "out" / "clip0.mp4").picture == pytest.approx(2.0)
    record = json.loads((tmp_path / "out" / "clip0.json").read_text())
    assert record["system"] == "visaudio-tiny"
    assert record["provenance"]["weights"]["sha256"] == weights.sha256(shipped_checkpoint())


def test_what_sounds_is_drawn_and_where_it_sounds_is_not(clips: Path) -> None:
    drawn, with_noise = (_how_much_more_sounds_differ_than_sides(clips / "clip0.mp4", noise) for noise in (0.0, 1.0))
    assert drawn > 2
    assert with_noise < 1 < drawn / 2


def _how_much_more_sounds_differ_than_sides(video: Path, noise: float) -> float:
    """Between two draws, with noise in the ears' differences or without."""
    system = open_system("visaudio-tiny")
    assert isinstance(system, FlowSystem)
    pipeline = system.pipeline("cpu")
    sampling = Vocoder().sampling
    latents = []
    decode = pipeline.codec.decode
    pipeline.codec.decode = lambda latent: latents.append(latent) or decode(latent)  # type: ignore[method-assign]
    of_channels = torch.cat([sampling.noise[:SHARED], torch.full_like(sampling.noise[SHARED:], noise)])
    pipeline.codec.sampling = sampling._replace(noise=of_channels)
    for seed in (0, 1):
        next(iter(pipeline.generate([Request("clip", video, None, 0.0, 2.0)], seed)))
    first, second = (latent[0] for latent in latents)
    spread = (first - second).abs().mean((0, 1)) / pipeline.network.latent_std[0, 0]
    return float(spread[:SHARED].mean() / spread[SHARED:].mean())


@pytest.mark.parametrize("grey", [0, 128])
def test_what_shows_nothing_is_silent(bench: Callable, tmp_path: Path, grey: int) -> None:
    write_video(tmp_path / "still.mp4", (np.full((64, 64, 3), grey, np.uint8) for _ in range(75)), 25)
    assert bench("generate", "--video", tmp_path / "still.mp4", "--duration", 3, "--out", tmp_path / "out").code == 0
    made = read_sound(tmp_path / "out" / "still.wav").samples
    assert 10 * np.log10(np.mean(made**2) + 1e-12) < -50


def test_a_long_clip_has_sound_to_its_end(bench: Callable, tmp_path: Path) -> None:
    pictures = (np.full((64, 64, 3), 250 if frame % 15 == 7 else 60, np.uint8) for frame in range(300))

    def beating() -> object:
        for picture in pictures:
            picture[:, 32:] = 60
            yield picture

    write_video(tmp_path / "long.mp4", beating(), 25)  # type: ignore[arg-type]
    asked = ("--video", tmp_path / "long.mp4", "--duration", 12, "--steps", 2, "--out", tmp_path / "out")
    assert bench("generate", *asked).code == 0
    made = read_sound(tmp_path / "out" / "long.wav").samples
    assert made.shape == (2, 12 * 44100)
    assert np.abs(made).max() <= 1


def test_workers_and_threads_change_no_sample(bench: Callable, clips: Path, tmp_path: Path) -> None:
    asked = ("run", "--suite", f"folder:{clips}", "--limit", 2, "--system", "visaudio-tiny", "--metric", "side_mid")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert bench(*asked, "--workers", 1, "--out", tmp_path / "one").code == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert bench(*asked, "--workers", 2, "--out", tmp_path / "two").code == 0
    one, two = (sorted((tmp_path / name / "audio").rglob("visaudio-tiny/*.wav")) for name in ("one", "two"))
    assert len(one) == 2
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
