"""`foleyspace-like`: what the eyes see against where a patch was drawn, what the ears hear against where a source was
put, and the row in a run."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.foleyspace_like import FoleySpaceLike, rendered
from visaudio_bench.baselines.motion import FIELD_OF_VIEW, FRAMES_PER_SECOND
from visaudio_bench.baselines.source_track import SOURCE_RADIUS, MotionEstimator, Track, trajectory
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import Frame, read_sound
from visaudio_bench.suites.simulator.truth import read_truth

HEIGHT, WIDTH = 96, 128


def blinking(centre: tuple[int, int], size: int = 8, count: int = 12) -> Iterator[Frame]:
    """Dark pictures with a square that blinks around (row, column)."""
    rows, columns = (slice(middle - size // 2, middle + size // 2) for middle in centre)
    for index in range(count):
        frame = np.full((HEIGHT, WIDTH, 3), 30, dtype=np.uint8)
        frame[rows, columns] = 220 if index % 2 else 60
        yield frame


def noise(seconds: float = 0.5) -> np.ndarray:
    return 0.05 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)


def decibels(samples: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2, axis=-1))


def at(azimuth: float, elevation: float = 0.0, distance: float = 2.0, count: int = 7) -> np.ndarray:
    level = np.cos(elevation)
    ray = (level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation))
    return np.tile(distance * np.array(ray), (count, 1))


@pytest.mark.parametrize(("row", "column"), [(48, 64), (48, 24), (24, 104), (80, 40)])
def test_the_place_of_what_moves_becomes_its_direction(row: int, column: int) -> None:
    track = MotionEstimator().estimate(blinking((row, column)))
    assert track.across.shape == track.up.shape == track.depth.shape == (12,)
    across, up = 1 - 2 * column / WIDTH, (HEIGHT - 2 * row) / WIDTH
    np.testing.assert_allclose(track.across, across, atol=1e-9)
    np.testing.assert_allclose(track.up, up, atol=1e-9)
    # The ray of a pinhole camera: one ahead, tan of half the view to the picture's edge.
    ray = np.array([1, across * np.tan(FIELD_OF_VIEW / 2), up * np.tan(FIELD_OF_VIEW / 2)])
    np.testing.assert_allclose(trajectory(track), track.depth[:, None] * ray / np.linalg.norm(ray), atol=1e-12)


def test_what_looks_twice_as_large_is_half_as_far() -> None:
    far, near = (MotionEstimator().estimate(blinking((48, 64), size)).depth for size in (16, 32))
    # A square of side a has a^2 / 6 as the mean square of its distances from the middle, a disc of radius r r^2 / 2;
    # cells of 4 pixels hide a^2 / 6 of their own.
    side = np.sqrt(16**2 - 4**2) / (WIDTH / 2)
    np.testing.assert_allclose(far, SOURCE_RADIUS / (side / np.sqrt(3) * np.tan(FIELD_OF_VIEW / 2)))
    np.testing.assert_allclose(far / near, 2, rtol=0.03)


def test_where_nothing_moves_the_source_is_in_the_middle() -> None:
    still = MotionEstimator().estimate(iter([np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)] * 5))
    assert not still.across.any()
    assert not still.up.any()
    assert len(set(still.depth)) == 1
    ears = rendered(noise(), trajectory(still))
    np.testing.assert_array_equal(ears[0], ears[1])


def test_motion_of_the_camera_is_not_taken_for_a_source() -> None:
    texture = np.random.default_rng(2).integers(0, 60, (HEIGHT, WIDTH + 40, 3)).astype(np.uint8)

    def turning() -> Iterator[Frame]:
        for index in range(12):
            frame = texture[:, index : index + WIDTH].copy()
            frame[40:56, 16:32] = 250 if index % 2 else 0
            yield frame

    assert MotionEstimator().estimate(turning()).across.mean() > 0.5


def test_a_source_on_the_left_is_louder_and_earlier_left() -> None:
    ears = rendered(noise(), at(np.pi / 2))
    assert decibels(ears)[0] - decibels(ears)[1] > 6
    lags = np.arange(-40, 41)
    both = [np.dot(ears[0][100:-100], np.roll(ears[1], -lag)[100:-100]) for lag in lags]
    assert lags[int(np.argmax(both))] > 15


def test_levels_follow_distance_and_keep_their_middle() -> None:
    mono = noise(2.0)
    level = decibels(rendered(mono, at(0.0, distance=1.0)))[0]
    assert decibels(rendered(mono, at(0.0, distance=5.0)))[0] == pytest.approx(level, abs=1e-6)
    receding = np.concatenate([at(0.0, distance=d, count=1) for d in (1, 2, 4)])
    ears = rendered(mono, receding)
    whole = mono.shape[0]
    start, middle, end = (decibels(ears[0, a : a + 4000]) for a in (0, whole // 2 - 2000, whole - 4000))
    here = [decibels(rendered(mono, at(0.0))[0, a : a + 4000]) for a in (0, whole // 2 - 2000, whole - 4000)]
    assert [start - here[0], middle - here[1], end - here[2]] == pytest.approx([6.02, 0, -6.02], abs=0.7)
    gone = np.concatenate([at(0.0, distance=d, count=1) for d in (1, 1, 1, 500)])
    silent_end = rendered(mono, gone)[0, -400:]
    assert decibels(silent_end) > decibels(rendered(mono, at(0.0))[0, -400:]) - 12.5


@settings(max_examples=10)
@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-0.5, 0.5), st.floats(0.6, 8)), min_size=1, max_size=9))
def test_mirrored_pictures_exchange_the_ears(places: list[tuple[float, float, float]]) -> None:
    across, up, depth = map(np.array, zip(*places, strict=True))
    mono = noise(0.2)
    ears = rendered(mono, trajectory(Track(across, up, depth)))
    mirrored = rendered(mono, trajectory(Track(-across, up, depth)))
    # A direction half-way between two measured ones goes to either.
    assert np.mean(np.abs(ears - mirrored[::-1]) > 2**-14) < 0.2


class AlwaysRight:
    """An estimator as a user may write it."""

    revision = "always-right-1"

    def estimate(self, frames: Iterator[Frame]) -> Track:
        count = len(list(frames))
        assert count == round(2.0 * FRAMES_PER_SECOND)
        return Track(np.full(count, -1.0), np.zeros(count), np.ones(count))


def test_another_estimator_takes_the_place_of_motion(clips: Path, tmp_path: Path) -> None:
    suite = open_suite(f"folder:{clips}")
    system = FoleySpaceLike(None, AlwaysRight())
    assert system.card.revision != open_system("foleyspace-like").card.revision
    (made,) = system.generate(suite.clips(), tmp_path, only={"clip0"})
    assert made.path is not None
    left, right = decibels(read_sound(made.path).samples)
    assert right - left > 3
    assert made.provenance["estimator"] == "always-right-1"


def test_the_row_hears_the_sides_of_the_simulated_rooms(bench: Callable, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told = bench("run", "--suite", "simroom-mini", "--system", "foleyspace-like", "--out", run)
    assert told.code == 0, told.err
    with (run / "results.csv").open() as file:
        rows = {(row["system"], row["metric"]): row for row in csv.DictReader(file)}
    assert float(rows["mono", "lr_acc"]["value"]) < float(rows["foleyspace-like", "lr_acc"]["value"])
    assert float(rows["foleyspace-like", "lat_ccc"]["value"]) > 0.3


def test_the_side_seen_is_the_side_of_the_simulated_source(tmp_path: Path) -> None:
    """In the clip of the small suite whose only source is in the picture and farthest to one side."""
    suite = open_suite("simroom-mini")
    list(suite.prepare())
    sides = {}
    for clip in suite.clips():
        truth = read_truth(Path(clip.meta["truth"]))
        if len(truth.sources) == 1 and truth.sources[0].visible.all():
            sides[clip.id] = float(np.mean(truth.sources[0].azimuth))
    name = max(sides, key=lambda one: abs(sides[one]))
    system = FoleySpaceLike()
    (made,) = system.generate(suite.clips(), tmp_path, only={name})
    assert made.path is not None
    left, right = decibels(read_sound(made.path).samples)
    assert np.sign(left - right) == np.sign(sides[name])
