"""Labels of a panorama in its view: where its picture shows the source, and where the built sound comes from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.construction.build import BuildSettings, build_clip, clip_files
from visaudio_bench.suites.construction.dataset import Build
from visaudio_bench.suites.construction.sphere360 import find_panoramas
from visaudio_bench.suites.construction.trajectory import DRIFT, Trajectory
from visaudio_bench.suites.construction.view_labels import seen_by
from visaudio_bench.suites.direction_labels import LabelledFrame, read_labels, write_labels
from visaudio_bench.suites.manifest import read_manifest
from visaudio_bench.suites.media import read_sound

from .conftest import Panoramas, noise, texture
from .test_signs import place

RECIPE = BuildSettings(duration=2.0, size=32)
SECONDS = 2.0


def test_a_label_lies_where_the_picture_shows_the_source() -> None:
    shown = 0
    rng = np.random.default_rng(3)
    for _ in range(40):
        source = (float(rng.uniform(-3, 3)), float(rng.uniform(-0.7, 0.7)))
        pose = (source[0] + float(rng.uniform(-1.0, 1.0)), *(float(angle) for angle in rng.uniform(-0.5, 0.5, 2)))
        (row,) = seen_by(Trajectory(pose, (0.0, 0.0, 0.0)), (LabelledFrame(4, *source),), SECONDS)
        direction = place(source, pose)
        if direction is None:
            continue
        shown += 1
        x, y, z = direction
        assert row.visible
        assert math.degrees(row.azimuth) == pytest.approx(math.degrees(math.atan2(y, x)), abs=1.0)
        assert math.degrees(row.elevation) == pytest.approx(math.degrees(math.atan2(z, math.hypot(x, y))), abs=1.0)
    assert shown > 8


@pytest.mark.parametrize(("azimuth", "visible"), [(44, True), (46, False), (-44, True), (-46, False), (180, False)])
def test_the_picture_ends_at_45_degrees(azimuth: float, visible: bool) -> None:
    (row,) = seen_by(Trajectory((0, 0, 0), (0, 0, 0)), (LabelledFrame(0, math.radians(azimuth)),), SECONDS)
    assert row.visible is visible


def test_a_turning_camera_takes_each_frame_in_its_middle() -> None:
    turning = Trajectory((0.3, 0.0, 0.0), (DRIFT[0], 0.0, 0.0))
    rows = seen_by(turning, tuple(LabelledFrame(frame, 0.3) for frame in range(30)), SECONDS)
    assert len(rows) == 20
    assert [row.azimuth for row in rows] == pytest.approx([-DRIFT[0] * (frame + 0.5) / 10 for frame in range(20)])


def test_built_clips_sound_from_where_their_labels_say(panorama: Panoramas, tmp_path: Path) -> None:
    wrong, places = [], []
    for index, azimuth in enumerate((0.4, -2.4, 1.6, -0.9)):
        clip = f"abcdefghij{index}_0"
        folder = panorama(clip, light=[texture()] * 50, field=encode(noise(SECONDS, seed=index), azimuth))
        write_labels(folder / f"{clip}.csv", {clip: [LabelledFrame(frame, azimuth) for frame in range(25)]})
    found = find_panoramas(folder)
    assert found.unread == ()
    out = tmp_path / "out"
    for one in found.panoramas:
        assert "reason" not in build_clip(one, out, RECIPE)
        (rows,) = read_labels(clip_files(out, one.id).labels).values()
        lateral = np.mean([math.sin(row.azimuth) * math.cos(row.elevation) for row in rows])
        heard = interaural_cues(read_sound(clip_files(out, one.id).audio).samples).lateralisation.mean()
        wrong.append(np.degrees(abs(np.arcsin(heard) - np.arcsin(lateral))))
        places.append((lateral, heard))
    assert max(abs(lateral) for lateral, _ in places) > 0.15
    assert all(lateral * heard > 0 for lateral, heard in places if abs(lateral) > 0.15)
    assert np.median(wrong) < 8
    build = Build(found, out, RECIPE)
    assert build.pending() == ()
    build.finish({})
    assert [entry.labels for entry in read_manifest(out / "manifest.jsonl").entries] == [
        f"labels/{one.id}.csv" for one in found.panoramas
    ]
    clip_files(out, found.panoramas[0].id).labels.unlink()
    assert [one.id for one in build.pending()] == [found.panoramas[0].id]


def test_bad_labels_cost_their_clip(panorama: Panoramas, tmp_path: Path) -> None:
    folder = panorama("abcdefghijk_0", light=[texture()] * 50, field=encode(noise(SECONDS), 1.2))
    (folder / "abcdefghijk_0.csv").write_text("clip,t,azimuth_deg\nabcdefghijk_0,0.0,200\n")
    (one,) = find_panoramas(folder).panoramas
    assert build_clip(one, tmp_path / "out", RECIPE)["reason"] == "bad_labels"
    (folder / "abcdefghijk_0.csv").write_text("clip,t,azimuth_deg\nabcdefghijk_0,2.0,20\n")
    assert "labels" not in build_clip(one, tmp_path / "out", RECIPE), "nothing is labelled while the clip lasts"
