"""One clip from its panorama: alignment, refusals, independence of everything but its source and recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.construction.build import (
    BuildSettings,
    build_clip,
    clip_files,
    output_rate,
    random_for,
    render_sound,
    sound_poses,
    trajectory_of,
)
from visaudio_bench.suites.construction.sphere360 import Panorama, find_panoramas
from visaudio_bench.suites.construction.trajectory import Trajectory
from visaudio_bench.suites.media import Sound, read_sound, write_audio
from visaudio_bench.suites.yuv_pictures import iter_planes, video_facts

from .conftest import Panoramas, noise, texture

RECIPE = BuildSettings(duration=1.0, size=32)
CLIP = "abcdefghijk_0"


def only(folder: Path) -> Panorama:
    (found,) = find_panoramas(folder).panoramas
    return found


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_a_flash_and_a_click_stay_together(panorama: Panoramas, tmp_path: Path, fps: Fraction) -> None:
    """A flash begins with the 13th picture; the click is at that picture's time."""
    count = round(fps) + 2
    light = [texture() + (90 if 12 <= index < 14 else 0) for index in range(count)]
    click = np.zeros(48000, np.float32)
    click[round(12 / fps * 48000)] = 0.9
    field = encode(click + 0.03 * noise(1.0), 1.2)
    # Sparse clicks have next to no D whatever their direction: the filter is not what is tested here.
    record = build_clip(
        only(panorama(CLIP, light=light, field=field, fps=fps)), tmp_path / "out", replace(RECIPE, difference=0)
    )
    assert "reason" not in record
    files = clip_files(tmp_path / "out", CLIP)
    rate = video_facts(files.video).fps
    assert rate == output_rate(fps) <= 30
    levels = [picture.y.mean() for picture in iter_planes(files.video, fps=rate, duration=1.0)]
    assert len(levels) == round(rate)
    sound = read_sound(files.audio)
    assert sound.samples.shape == (2, 44100) and sound.sample_rate == 44100
    flash = int(np.argmax(np.diff(levels))) + 1
    clicked = int(np.abs(sound.samples).max(axis=0).argmax()) / 44100
    assert abs(clicked - flash / rate) < 0.5 / float(rate)
    assert abs(clicked - 12 / fps) < 0.0015  # the delay of the head's responses


def test_the_camera_of_the_record_made_both_files(panorama: Panoramas, tmp_path: Path) -> None:
    """Random trajectories: the louder ear is on the side where the source is."""
    field = encode(noise(1.0), 1.2)
    right = []
    for seed in range(12):
        record = build_clip(only(panorama(CLIP, field=field)), tmp_path / f"out{seed}", replace(RECIPE, seed=seed))
        yaw = trajectory_of(record).at(0.5).yaw
        assert abs(record["loudest"]["azimuth"] - 1.2) < np.deg2rad(2)
        if abs(np.degrees(1.2 - yaw)) > 10:
            right.append(np.sign(record["width"]["ild"]) == np.sign(1.2 - yaw))
    assert len(right) > 4 and all(right)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("not_ambisonic", {"field": np.stack([noise(1.0), noise(1.0)])}),
        ("low_rate", {"rate": 16000}),
        ("silent", {"field": np.zeros((4, 48000), np.float32)}),
        ("short", {"field": encode(noise(0.5), 1.2)}),
        ("short", {"light": [texture()] * 12}),
        ("no_difference", {"field": np.stack([noise(1.0), *np.zeros((3, 48000), np.float32)])}),
        ("not_panorama", {"light": [texture()[:, 20:100]] * 25}),
        ("stereo_panorama", {"light": [np.concatenate([texture(32).repeat(2, axis=1)] * 2)] * 25}),
    ],
)
def test_what_cannot_be_a_clip_is_refused_with_its_reason(
    panorama: Panoramas, tmp_path: Path, reason: str, change: dict
) -> None:
    source = only(panorama(CLIP, **change))
    record = build_clip(source, tmp_path / "out", RECIPE)
    assert record["reason"] == reason and record["message"]
    files = clip_files(tmp_path / "out", CLIP)
    assert json.loads(files.record.read_text()) == record
    assert not files.video.exists() and not files.audio.exists()
    assert not list((tmp_path / "out").rglob(".*"))


@pytest.mark.parametrize("broken", ["video", "audio"])
def test_damaged_files_are_refused(panorama: Panoramas, tmp_path: Path, broken: str) -> None:
    source = only(panorama(CLIP))
    path = getattr(source, broken)
    path.write_bytes(path.read_bytes()[:100])
    assert build_clip(source, tmp_path / "out", RECIPE)["reason"] in {"unreadable", "corrupt"}


def test_dark_pictures_pass_since_they_prove_nothing(panorama: Panoramas, tmp_path: Path) -> None:
    assert "reason" not in build_clip(only(panorama(CLIP, light=[np.full((64, 128), 16.0)] * 25)), tmp_path, RECIPE)


def test_loud_fields_are_scaled_down_with_one_gain(panorama: Panoramas) -> None:
    field = Sound(encode(9 * noise(1.0), 1.2), 48000, 48000)
    still = Trajectory((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    loud, gain = render_sound(field, still, RECIPE)
    quiet, one = render_sound(Sound(field.samples / 64, 48000, 48000), still, RECIPE)
    assert one == 1 and gain < 1 and np.abs(loud).max() == pytest.approx(0.999, abs=1e-3)
    np.testing.assert_allclose(loud, quiet * np.float32(64 * gain), atol=1e-5)


def test_segments_hold_the_pose_and_many_of_them_are_as_good_as_none() -> None:
    turning = Trajectory((0.1, 0.0, 0.0), (0.17, 0.03, 0.01))
    steps = sound_poses(turning, 48000, 48000, replace(RECIPE, segments=4)).yaw
    np.testing.assert_allclose(np.unique(steps), 0.1 + 0.17 * np.arange(4) / 4)
    field = Sound(encode(noise(1.0), 1.2), 48000, 48000)
    smooth = render_sound(field, turning, RECIPE)[0]
    difference = [
        np.sqrt(np.mean((render_sound(field, turning, replace(RECIPE, segments=count))[0] - smooth) ** 2))
        for count in (8, 240)
    ]
    level = np.sqrt(np.mean(smooth**2))
    assert difference[1] < 10 ** (-50 / 20) * level < difference[0]


def test_seeds_are_of_the_clip_and_the_recipe() -> None:
    def first(clip: str, seed: int) -> float:
        return random_for(clip, BuildSettings(seed=seed)).random()

    assert first("a_0", 0) == first("a_0", 0)
    assert len({first("a_0", 0), first("a_1", 0), first("a_0", 1)}) == 3


def test_a_field_of_another_rate_becomes_the_same_clip(panorama: Panoramas, tmp_path: Path) -> None:
    source = only(panorama(CLIP, rate=44100))
    assert build_clip(source, tmp_path / "out", RECIPE)["source_rate"] == 44100
    assert read_sound(clip_files(tmp_path / "out", CLIP).audio).samples.shape == (2, 44100)


def test_sound_inside_the_video_is_taken_where_there_is_no_other(panorama: Panoramas, tmp_path: Path) -> None:
    folder = panorama(CLIP)
    (folder / f"{CLIP}.flac").rename(folder / "other_name.flac")
    assert build_clip(only(folder), tmp_path / "out", RECIPE)["reason"] == "no_audio"
    write_audio(folder / f"{CLIP}.wav", encode(noise(1.0), 1.2), 48000)
    assert "reason" not in build_clip(only(folder), tmp_path / "out", RECIPE)
