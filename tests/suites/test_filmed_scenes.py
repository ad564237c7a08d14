"""Scenes that are filmed as real videos are: balanced, some silent, and nothing shared with what is judged."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.suites import open_suite
from visaudio_bench.suites.filmed_scenes import CROWDED, FILMED, IN_VIEW, TWO_IN_VIEW, FilmedSuite, film_files
from visaudio_bench.suites.media import probe, read_sound
from visaudio_bench.suites.simulated import simroom
from visaudio_bench.suites.simulator.filming import Filming, filmed, filming_of
from visaudio_bench.suites.simulator.render import clip_files
from visaudio_bench.suites.simulator.scenes import Scene
from visaudio_bench.suites.simulator.truth import read_truth
from visaudio_bench.suites.training_scenes import simroom_validation


@pytest.fixture(scope="module")
def block() -> tuple[Scene, ...]:
    return IN_VIEW.scenes("simroom-filmed", IN_VIEW.block, 2.0)


def test_a_block_is_balanced_and_all_that_sounds_is_in_view(block: tuple[Scene, ...]) -> None:
    assert set(Counter(scene.factor for scene in block).values()) == {IN_VIEW.block // len(IN_VIEW.factors)}
    assert all(source.visible for scene in block for source in scene.sources)
    assert FILMED.clips % IN_VIEW.block == 0


def test_rooms_and_seeds_of_what_is_judged_are_others(block: tuple[Scene, ...]) -> None:
    for judged in (simroom().designed, simroom_validation().designed):
        assert not {scene.room.size for scene in block} & {scene.room.size for scene in judged}
        assert not {scene.seed for scene in block} & {scene.seed for scene in judged}


def test_a_clip_is_cheap(block: tuple[Scene, ...], tmp_path: Path) -> None:
    film_files(block[0], tmp_path, 96)  # what is read once a process
    began = time.process_time()
    for scene in block[1:4]:
        film_files(scene, tmp_path, 96)
    assert (time.process_time() - began) / 3 < 3.0, "several times what an idle core takes"


def test_some_scenes_are_silent() -> None:
    silent = [clip.meta["silent"] for clip in open_suite(f"simroom-filmed:{IN_VIEW.block}").clips()]
    assert 0.07 < sum(silent) / len(silent) < 0.22


def test_a_second_design_has_more_of_two_sources_and_of_none() -> None:
    clips = open_suite(f"simroom-crowded:{TWO_IN_VIEW.block}").clips()
    assert 0.15 < sum(clip.meta["silent"] for clip in clips) / len(clips) < 0.35
    two = [clip for clip in clips if clip.meta["factor"] == "two sources"]
    assert len(two) == 2 * len(clips) // len(TWO_IN_VIEW.factors)
    assert all(clip.meta["invisible"] in ((), []) for clip in clips)
    assert CROWDED.clips % TWO_IN_VIEW.block == 0


def test_a_silent_scene_is_heard_as_ambience_and_has_no_onsets(block: tuple[Scene, ...], tmp_path: Path) -> None:
    scene = next(scene for scene in block if filming_of(scene).silent)
    film_files(scene, tmp_path, 32)
    video, audio, truth = clip_files(tmp_path, scene.id)
    assert 20 * np.log10(read_sound(audio).samples.std()) == pytest.approx(-60, abs=1)
    assert not any(len(source.onsets) for source in read_truth(truth).sources)
    assert probe(video).picture == pytest.approx(2.0)


def test_a_still_is_still_and_a_hand_shakes(block: tuple[Scene, ...]) -> None:
    scene, onsets = replace(block[0], yaw=((0.0, 0.0),)), [np.zeros(0) for _ in block[0].sources]
    still = list(filmed(scene, onsets, 32, Filming(silent=True, still=True)))
    assert all(np.array_equal(picture, still[0]) for picture in still)
    steady, shaken = (np.stack(list(filmed(scene, onsets, 32, Filming(shake=s)))).astype(float) for s in (0, 2))
    assert np.abs(np.diff(shaken, axis=0)).mean() > 2 * np.abs(np.diff(steady, axis=0)).mean() + 1
    dark = np.stack(list(filmed(scene, onsets, 32, Filming(exposure=(0.3, 0.3, 0.3)))))
    assert dark.mean() == pytest.approx(0.3 * steady.mean(), rel=0.05)


def test_the_manifest_says_how_each_is_filmed() -> None:
    rows = FilmedSuite(replace(FILMED, clips=3)).manifest()
    assert [row["filming"]["silent"] for row in rows] == [
        filming_of(scene).silent for scene in FilmedSuite().designed[:3]
    ]
