"""`foleyspace:FILE:depth=NETWORK`: inverse depths that are known, as metres; what the row says; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.depth_track import LOOK_EVERY, DepthEstimator, cell_medians, metres, weighted_median
from visaudio_bench.baselines.foleyspace import FoleySpace
from visaudio_bench.baselines.motion import FRAMES_PER_SECOND
from visaudio_bench.baselines.source_track import CELLS, FARTHEST, NEAREST, MotionEstimator, what_moves
from visaudio_bench.errors import ClipError
from visaudio_bench.models.backbones import depth_anything
from visaudio_bench.models.backbones.depth_anything import CONFIG, PREPROCESSOR, SMALL, TENSORS
from visaudio_bench.models.foleyspace.checkpoints import CHECKPOINTS
from visaudio_bench.models.foleyspace.config import USUAL, Config
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.weights import WEIGHTS_VARIABLE
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.media import Frame

HEIGHT, WIDTH = 48, 64


class Told:
    """A network that answers the pictures it is shown with what it is told."""

    unavailable, library = "", "numpy"

    def __init__(self, *answers: np.ndarray | float, name: str = "told", sha256: str = "0"):
        self.answers, self.name, self.sha256 = answers, name, sha256
        self.looks = 0

    def inverse_depth(self, picture: Frame) -> np.ndarray:
        answer = self.answers[min(self.looks, len(self.answers) - 1)]
        self.looks += 1
        return np.broadcast_to(np.asarray(answer, dtype=np.float32), picture.shape[:2])


def blinking(column: int, count: int) -> Iterator[Frame]:
    """Grey pictures with a square that blinks in the middle of a column."""
    for index in range(count):
        frame = np.full((HEIGHT, WIDTH, 3), 30, dtype=np.uint8)
        frame[20:28, column - 4 : column + 4] = 220 if index % 2 else 60
        yield frame


def looks(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND) // LOOK_EVERY


def test_twice_the_inverse_depth_is_half_as_far() -> None:
    """Far from the instant of the change, which is smoothed over half a second as motion is."""
    near = Told(*[0.7] * looks(8), *[1.4] * looks(8))
    count = LOOK_EVERY * looks(16)
    track = DepthEstimator(near).estimate(blinking(16, count))
    assert near.looks == count / LOOK_EVERY
    assert track.depth[0] / track.depth[-1] == pytest.approx(2, rel=1e-4)
    assert np.median(track.depth) == pytest.approx(USUAL, rel=0.02)
    assert (np.diff(track.depth) < 1e-9).all()
    by_motion = MotionEstimator().estimate(blinking(16, count))
    np.testing.assert_array_equal((track.across, track.up), (by_motion.across, by_motion.up))


@settings(max_examples=20)
@given(st.floats(0.01, 1000), st.floats(0.3, 3))
def test_neither_unit_nor_length_matters(unit: float, ratio: float) -> None:
    inverse = np.array([1.0] * 300 + [ratio] * 99)
    found = metres(unit * inverse)
    np.testing.assert_allclose(found, metres(inverse))
    assert found[0] == pytest.approx(USUAL, rel=1e-6)
    assert found[-1] == pytest.approx(USUAL / ratio, rel=1e-6)


def test_distances_keep_within_the_limits() -> None:
    found = metres(np.array([1.0] * 300 + [0.0] * 99))
    assert (found[0], found[-1]) == (pytest.approx(USUAL), FARTHEST)
    assert metres(np.array([1.0] * 300 + [1e6] * 99))[-1] == NEAREST
    assert (metres(np.zeros(20)) == USUAL).all(), "of nothing but sky no distance is told"


def test_the_depth_is_that_of_what_moves() -> None:
    """A picture whose left is four times as near as its right, and a source that goes over from left to right."""
    picture = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    picture[:, : WIDTH // 2] = 4

    def frames() -> Iterator[Frame]:
        yield from blinking(12, 100)
        yield from blinking(52, 100)

    track = DepthEstimator(Told(picture)).estimate(frames())
    assert track.depth[-1] / track.depth[0] == pytest.approx(4, rel=1e-3)
    # one in four cells of the source is something else that is in front of it
    speckled = picture.copy()
    speckled[20:28, 12:16], speckled[20:28, 52:54] = 900, 900
    again = DepthEstimator(Told(speckled)).estimate(frames())
    np.testing.assert_allclose(again.depth, track.depth, rtol=1e-5)


@pytest.mark.parametrize("count", [1, LOOK_EVERY, LOOK_EVERY + 1])
@pytest.mark.parametrize("grey", [0, 90, 255])
def test_blank_pictures_are_at_the_usual_distance(grey: int, count: int) -> None:
    blank = iter([np.full((HEIGHT, WIDTH, 3), grey, dtype=np.uint8)] * count)
    track = DepthEstimator(Told(0.3)).estimate(blank)
    np.testing.assert_allclose(track.depth, USUAL)
    assert not track.across.any() and not track.up.any() and len(track.depth) == count


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_depths_that_are_none_are_refused(wrong: float) -> None:
    answer = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    answer[3, 5] = wrong
    with pytest.raises(ClipError, match="no numbers, or negative"):
        DepthEstimator(Told(1.0, answer)).estimate(blinking(16, 20))


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1).filter(lambda all_: any(w for _, w in all_))
)
def test_a_weighted_median_is_the_median_of_repeated_values(pairs: list[tuple[int, int]]) -> None:
    values, weights = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    assert weighted_median(values, weights) == repeated[(len(repeated) - 1) // 2]


@pytest.mark.parametrize("size", [(2, 3), (18, CELLS), (518, 924)])
def test_cells_cover_answers_of_any_size(size: tuple[int, int]) -> None:
    ramp = np.broadcast_to(np.arange(size[1], dtype=np.float32) + 0.5, size) / size[1]
    cells = cell_medians(ramp, 18)
    assert cells.shape == (18, CELLS)
    np.testing.assert_allclose(cells[0], (np.arange(CELLS) + 0.5) / CELLS, atol=0.5 / size[1] + 1e-6)
    np.testing.assert_array_equal(cells, np.broadcast_to(cells[0], cells.shape))


def test_where_nothing_moves_is_known() -> None:
    still = what_moves(iter([np.full((HEIGHT, WIDTH, 3), 9, dtype=np.uint8)] * 3))
    assert not still.moves.any() and what_moves(blinking(16, 3)).moves.all()


# --- the row ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A random network of a few weights."""
    config = Config("tiny", rank=2, hidden=4, channels=2, layers=1)
    torch.manual_seed(0)
    path = tmp_path / "some" / "last.safetensors"
    CHECKPOINTS.save(config, SpatialDiffusion(config).state_dict(), path, {})
    return path


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))


def test_the_network_is_part_of_the_row_and_of_what_its_sounds_are_kept_by(
    checkpoint: Path, clips: Path, tmp_path: Path
) -> None:
    plain = FoleySpace(checkpoint)
    one, same, other = (FoleySpace(checkpoint, depth=Told(1.0, sha256=sha256)) for sha256 in ("1", "1", "2"))
    assert (plain.card.name, one.card.name) == ("foleyspace-tiny", "foleyspace-tiny@depth=told")
    assert one.card.title.endswith(", depth=told")
    assert one.card.revision == same.card.revision
    assert len({system.card.revision for system in (plain, one, other)}) == 3
    both = FoleySpace(checkpoint, steps=1, depth=Told(1.0, name="other network"))
    assert both.card.name == "foleyspace-tiny@depth=other-network@steps=1"
    (made,) = one.generate(open_suite(f"folder:{clips}").clips(), tmp_path, only={"clip0"})
    assert made.provenance["depth"] == {"model": "told", "sha256": "1", "library": "numpy"}
    assert "depth" not in plain.provenance()


def test_a_clip_that_the_network_cannot_see_is_reported_by_its_reason(
    checkpoint: Path, clips: Path, tmp_path: Path
) -> None:
    system = FoleySpace(checkpoint, depth=Told(*[1.0] * looks(2), np.nan))
    made = list(system.generate(open_suite(f"folder:{clips}").clips(), tmp_path, only={"clip0", "clip1"}))
    assert [one.reason for one in made] == ["", "depth"]


def test_without_its_weights_a_row_says_how_to_get_them(
    bench: Callable, checkpoint: Path, clips: Path, tmp_path: Path, no_weights: None
) -> None:
    request = f"foleyspace:{checkpoint}:steps=1:depth={SMALL}"
    system = open_system(f"noise+{request}")
    assert open_system(f"foleyspace:mine={checkpoint}:depth={SMALL}").card.name == f"mine@depth={SMALL}"
    assert system.card.name == f"noise+foleyspace-tiny@depth={SMALL}@steps=1"
    assert "99 MB, Apache-2.0" in system.unavailable
    told = bench("generate", "--suite", f"folder:{clips}", "--system", request, "--out", tmp_path / "sounds")
    assert (told.code, f"bench weights fetch {SMALL}" in told.err, told.err.count("\n")) == (1, True, 1), told.err


@pytest.mark.parametrize(
    ("depth", "said"), [("", "has no"), ("depth-anything-v3", f"bench weights fetch {SMALL}"), ("EMPTY", CONFIG)]
)
def test_a_network_that_is_none_is_said_in_one_sentence(
    bench: Callable, checkpoint: Path, clips: Path, tmp_path: Path, depth: str, said: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    request = f"foleyspace:{checkpoint}:depth={depth.replace('EMPTY', str(tmp_path / 'EMPTY'))}"
    told = bench("generate", "--suite", f"folder:{clips}", "--system", request, "--out", tmp_path / "sounds")
    assert (told.code, said in told.err, told.err.count("\n"), "Traceback" in told.err) == (2, True, 1, False), told.err


def described(folder: Path, **changes: object) -> Path:
    """A folder whose descriptions are those of a network, with anything for weights."""
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps({"model_type": "depth_anything", **changes}))
    size = {"height": 518, "width": 518}
    told = {"size": size, "ensure_multiple_of": 14, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / PREPROCESSOR).write_text(json.dumps(told))
    (folder / TENSORS).write_bytes(b"0")
    return folder


def test_a_network_of_another_kind_is_refused(bench: Callable, checkpoint: Path, clips: Path, tmp_path: Path) -> None:
    for index, (changes, said) in enumerate(
        (
            ({"depth_estimation_type": "metric"}, "depth_anything metric depth"),
            ({"model_type": "dpt"}, "dpt relative depth"),
        )
    ):
        folder = described(tmp_path / str(index), **changes)
        request = f"foleyspace:{checkpoint}:depth={folder}"
        told = bench("generate", "--suite", f"folder:{clips}", "--system", request, "--out", tmp_path / "sounds")
        assert (told.code, said in told.err, "Traceback" in told.err) == (2, True, False), told.err


def test_without_the_library_a_row_says_what_to_install(
    bench: Callable, checkpoint: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth_anything, "LIBRARY", "no_such_library")
    request = f"foleyspace:{checkpoint}:depth={described(tmp_path / 'network')}"
    told = bench("generate", "--suite", f"folder:{clips}", "--system", request, "--out", tmp_path / "sounds")
    assert (told.code, 'pip install "visaudio-bench[depth]"' in told.err, told.err.count("\n")) == (1, True, 1), (
        told.err
    )
