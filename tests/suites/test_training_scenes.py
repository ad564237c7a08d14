from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from visaudio_bench.errors import UsageError
from visaudio_bench.files import CACHE_VARIABLE
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.simulated import simroom, simroom_full, simroom_mini
from visaudio_bench.suites.simulator.render import render_files
from visaudio_bench.suites.simulator.scenes import bearing
from visaudio_bench.suites.training_scenes import ONE_IN_VIEW, TO_LEARN, TO_WATCH, simroom_train, simroom_validation


@pytest.fixture(scope="module")
def learnt():
    return TO_LEARN.scenes("simroom-train", 10 * TO_LEARN.block, 4.0)


def held_out():
    return {
        "evaluation": [s for suite in (simroom(), simroom_mini(), simroom_full()) for s in suite.scenes.values()],
        "validation": list(simroom_validation(str(TO_WATCH.block)).scenes.values()),
    }


@pytest.mark.parametrize("part", ["evaluation", "validation"])
def test_nothing_that_is_learnt_from_is_evaluated_on(learnt, part):
    others = held_out()[part]
    sides = {side for scene in others for side in scene.room.size}
    assert not sides & {side for scene in learnt for side in scene.room.size}, "no room has a side in common"
    sounds = {source.seed for scene in others for source in scene.sources} | {scene.seed for scene in others}
    assert not sounds & {s for scene in learnt for s in (scene.seed, *(source.seed for source in scene.sources))}
    paths = {(source.path, scene.listener) for scene in others for source in scene.sources}
    assert not paths & {(source.path, scene.listener) for scene in learnt for source in scene.sources}
    assert not {scene.listener for scene in others} & {scene.listener for scene in learnt}
    assert not {scene.id for scene in others} & {scene.id for scene in learnt}


def test_no_scene_comes_twice(learnt):
    assert len({replace(scene, id="") for scene in learnt}) == len(learnt)
    assert len({scene.id for scene in learnt}) == len(learnt)
    seeds = [source.seed for scene in learnt for source in scene.sources]
    assert len(seeds) - len(set(seeds)) <= 1, "31-bit seeds: a pair in a million scenes, not one in a thousand"


def test_more_scenes_begin_with_the_same_ones_and_share_their_files(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    few, many = simroom_train("5"), simroom_train(str(TO_LEARN.block + 3))
    assert list(many.scenes.values())[:5] == list(few.scenes.values())
    assert few.folder == many.folder != simroom_validation().folder
    assert few.manifest_hash() != many.manifest_hash()
    assert len(open_suite("simroom-train:3").clips()) == 3


def test_every_block_is_balanced(learnt):
    for start in range(0, len(learnt), TO_LEARN.block):
        block = learnt[start : start + TO_LEARN.block]
        assert set(Counter(scene.factor for scene in block).values()) == {TO_LEARN.block // len(ONE_IN_VIEW)}
        assert all(len(scene.sources) == 1 and scene.sources[0].visible for scene in block)
        azimuth = np.array([bearing(scene, scene.sources[0], np.zeros(1)).azimuth[0] for scene in block])
        assert (azimuth > 0).sum() == (azimuth < 0).sum()


@pytest.mark.parametrize("argument", ["0", "-1", "many", "1.5"])
def test_the_number_of_scenes_must_be_one(argument):
    with pytest.raises(UsageError, match="simroom-train:100"):
        simroom_train(argument)


def test_a_clip_is_cheap(tmp_path):
    scenes = list(simroom_train("5").scenes.values())
    render_files(scenes[0], tmp_path, 96)  # what is read once a process
    began = time.process_time()
    for scene in scenes[1:3]:
        render_files(scene, tmp_path, 96)
    assert (time.process_time() - began) / 2 < 3.0, "several times what an idle core takes"
