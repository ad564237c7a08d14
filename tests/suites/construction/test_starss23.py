"""STARSS23 from its own layout to a suite: directions arrive with signs, axes and times; what is wrong is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.bench.evaluation.families.direction import as_arrays
from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.direction import label_quantities
from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.ambisonics import encode
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.construction.starss23 import find_starss23, read_recording
from visaudio_bench.suites.datasets import DATA_VARIABLE
from visaudio_bench.suites.direction_labels import clip_labels, in_window
from visaudio_bench.suites.media import read_sound, resample, write_audio
from visaudio_bench.suites.simulated import simroom_mini
from visaudio_bench.suites.simulator.field import ambisonic_sound
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.render import scene_sounds
from visaudio_bench.suites.yuv_pictures import Colours, write_planes

from .conftest import noise, pictures, texture

RATE, SECONDS, WINDOW = 24_000, 9.0, 4
RECORDINGS = ("dev-train-sony/fold3_room21_mix001", "dev-test-tau/fold4_room2_mix007")
Written = Callable[[int, float], tuple[int, float]]


def azimuths(seed: int) -> np.ndarray:
    """Degrees in each label frame: another place every 0.3 s, never near the middle or the back."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(25, 155, 30) * np.where(rng.random(30) < 0.5, -1, 1)
    return np.repeat(places, 3)


def tree(folder: Path, written: Written = lambda frame, azimuth: (frame, azimuth)) -> Path:
    """Two recordings of a source that jumps, and the metadata that somebody wrote of them."""
    for seed, name in enumerate(RECORDINGS):
        block = RATE // 10
        sound = noise(SECONDS, RATE, seed).reshape(-1, block)
        field = np.concatenate(
            [encode(part, math.radians(place)) for part, place in zip(sound, azimuths(seed), strict=True)], axis=1
        )
        for kind in ("foa_dev", "video_dev", "metadata_dev"):
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(folder / "foa_dev" / f"{name}.wav", field, RATE)
        write_planes(
            folder / "video_dev" / f"{name}.mp4", pictures([texture()] * 90), Fraction(10), Colours(2, 2, 2, 0)
        )
        rows = [written(frame, float(azimuth)) for frame, azimuth in enumerate(azimuths(seed))]
        lines = [f"{frame},1,0,{round(azimuth)},0,250" for frame, azimuth in rows if frame >= 0]
        (folder / "metadata_dev" / f"{name}.csv").write_bytes("\r\n".join(lines).encode())
    return folder


@pytest.fixture
def built(bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, float]]:
    """Builds and prepares a tree; gives the share of label frames whose sound is on the label's side, by clip."""

    def make(written: Written = lambda frame, azimuth: (frame, azimuth)) -> dict[str, float]:
        source, out = tree(tmp_path / "starss23", written), tmp_path / "out"
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
        asked = ("--seconds", WINDOW, "--size", 32, "--decoder", "kemar", "--workers", 1)
        told = bench("data", "build", "starss23", "--from", source, "--out", out, *asked)
        assert told.code == 0, told.err
        told = bench("data", "prepare", "starss23", "--from", out, "--workers", 1)
        assert told.code == 0, told.err
        clips = [clip for part in ("test", "train") for clip in open_suite(f"starss23:{part}").clips()]
        return {clip.id: on_their_side(clip) for clip in clips}

    return make


def on_their_side(clip: Clip) -> float:
    assert clip.audio is not None
    sound = read_sound(clip.audio).samples
    blocks = sound[:, : WINDOW * 44100].reshape(2, -1, 4410)
    louder = np.sign(np.diff(np.log(np.square(blocks).mean(-1) + 1e-12), axis=0)[0]) * -1
    rows = [row for row in clip_labels(clip) if abs(math.sin(row.azimuth) * math.cos(row.elevation)) > 0.15]
    return float(np.mean([louder[row.frame] == np.sign(row.azimuth) for row in rows]))


def test_a_tree_becomes_a_suite_whose_directions_are_right(built: Callable, tmp_path: Path) -> None:
    sides = built()
    assert list(sides) == [
        *(f"fold4_room2_mix007_{frame:05d}" for frame in (0, 40)),
        *(f"fold3_room21_mix001_{frame:05d}" for frame in (0, 40)),
    ]
    assert min(sides.values()) > 0.95
    clip = open_suite("starss23").clips()[1]
    labels = clip_labels(clip)
    assert [row.frame for row in labels] == list(range(40))
    assert {row.kind for row in labels} == {"male speech"} and {row.distance for row in labels} == {2.5}
    # The camera turns; differences between neighbouring places are those that were written, but for its drift.
    true = np.radians(azimuths(1)[40:80])
    turned = np.angle(np.exp(1j * (true - [row.azimuth for row in labels])))
    assert np.ptp(np.unwrap(turned)) < math.radians(45)
    assert "labels behind the last whole window" in find_starss23(tmp_path / "starss23", WINDOW).unread[0]


@pytest.mark.parametrize(
    "written",
    [
        lambda frame, azimuth: (frame, -azimuth),
        lambda frame, azimuth: (frame, (90 - azimuth + 180) % 360 - 180),
        lambda frame, azimuth: (frame + 1, azimuth),
        lambda frame, azimuth: (frame - 1, azimuth),
    ],
    ids=["sign", "axes", "one frame late", "one frame early"],
)
def test_metadata_of_another_convention_would_be_seen(built: Callable, written: Written) -> None:
    sides = list(built(written).values())
    assert np.mean(sides) < 0.9  # every clip of the right ones is above 0.95


def test_simulated_scenes_in_this_layout_come_back(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real rooms echo: the ears of first order, against the scenes' own truth."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "data"))
    part = "dev-test-sony"
    scenes = [scene for scene in simroom_mini().scenes.values() if len(scene.sources) == 1][:5]
    for number, scene in enumerate(scenes):
        sounds, name = scene_sounds(scene), f"{part}/fold4_room{number}_mix001"
        for kind in ("foa_dev", "video_dev", "metadata_dev"):
            (tmp_path / "tree" / kind / part).mkdir(parents=True, exist_ok=True)
        field = resample(ambisonic_sound(scene, sounds), 44100, RATE)
        write_audio(tmp_path / "tree" / "foa_dev" / f"{name}.wav", field, RATE)
        video = tmp_path / "tree" / "video_dev" / f"{name}.mp4"
        write_planes(video, pictures([texture()] * 20), Fraction(10), Colours(2, 2, 2, 0))
        rows = [
            (row.frame, 8, 0, *np.rint((*np.degrees((row.azimuth, row.elevation)), 100 * (row.distance or 0))))
            for row in scene_labels(scene, sounds)
        ]
        lines = [",".join(f"{value:g}" for value in row) for row in rows]
        (tmp_path / "tree" / "metadata_dev" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    asked = ("--seconds", 2, "--size", 32, "--decoder", "kemar", "--workers", 1)
    told = bench("data", "build", "starss23", "--from", tmp_path / "tree", "--out", tmp_path / "out", *asked)
    assert told.code == 0, told.err
    assert bench("data", "prepare", "starss23", "--from", tmp_path / "out", "--workers", 1).code == 0
    scores = []
    for clip in open_suite("starss23").clips():
        cues = interaural_cues(read_sound(clip.audio).samples)
        scores.append(label_quantities(cues, as_arrays(clip_labels(clip))))
    errors = [score["label_err"].value for score in scores]
    assert len(errors) == len(scenes)
    assert np.median(errors) < 12
    for wrong in (lambda azimuth: -azimuth, lambda azimuth: math.pi / 2 - azimuth):  # a sign, an exchange of axes
        errors = [
            label_quantities(
                interaural_cues(read_sound(clip.audio).samples),
                as_arrays(tuple(row._replace(azimuth=wrong(row.azimuth)) for row in clip_labels(clip))),
            )["label_err"].value
            for clip in open_suite("starss23").clips()
        ]
        assert np.median(errors) > 12


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("0,1,0,181,0,100", "azimuth"), ("0,1,0,nan,0,100", "is not frame"), ("0,13,0,10,0,100", "class"),
        ("0,1,0,10,95,100", "elevation"), ("0,1,0,10,0,0", "distance"), ("0.5,1,0,10,0,100", "frame"),
        ("0,1,0,10", "is not frame"), ("0,1,0,10,0,100\n0,1,0,20,0,100", "1-0 of clip x has a row at 0 s already"),
    ],
)  # fmt: skip
def test_metadata_that_would_mislead_are_refused(tmp_path: Path, row: str, told: str) -> None:
    (tmp_path / "x.csv").write_text(f"0,2,0,5,5,90\n{row}\n")
    with pytest.raises(ClipError, match=told) as refused:
        read_recording(tmp_path / "x.csv", "x")
    assert refused.value.reason == "bad_labels"


def test_rows_that_stand_twice_count_once_and_are_told(tmp_path: Path) -> None:
    """Three of the 121 recordings of the first edition have such rows."""
    source = tree(tmp_path / "starss23")
    path = source / "metadata_dev" / f"{RECORDINGS[0]}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], *lines[3:7], *lines[7:]]) + "\n")
    read = read_recording(path, path.stem)
    assert len(read) == len(lines) + 4
    assert [row.frame for row in in_window(read, 0.3, 0.4)] == [0, 1, 2, 3]
    found = find_starss23(source, WINDOW)
    assert len(found.panoramas) == 4 and not found.rejects
    assert "4 labels that repeat another one count once" in found.unread


def test_recordings_that_cannot_be_used_are_listed(bench: Callable, tmp_path: Path) -> None:
    source = tree(tmp_path / "starss23")
    first, second = (source / "metadata_dev" / f"{name}.csv" for name in RECORDINGS)
    second.write_text("0,1,0,10,0\n")
    (source / "metadata_dev" / "dev-train-sony" / "fold9_room1_mix001.csv").write_text("0,1,0,10,0\n")
    (source / "video_dev" / f"{RECORDINGS[0]}.mp4").unlink()
    found = find_starss23(source, WINDOW)
    assert [panorama.id for panorama in found.panoramas] == ["fold4_room2_mix007_00000"]
    reasons = {reject.clip_id: reject.reason for reject in found.rejects}
    assert reasons == {
        first.stem: "no_video",
        "fold9_room1_mix001": "unknown_name",
        "fold4_room2_mix007_00040": "no_labels",
    }
    told = bench("data", "build", "starss23", "--from", source / "foa_dev", "--out", tmp_path / "out")
    assert (told.code, "expects STARSS23 with foa_dev" in told.err) == (2, True)
    told = bench("data", "prepare", "starss23", "--from", source)
    assert (told.code, "bench data build starss23" in told.err) == (2, True)
    (source / "video_dev" / f"{RECORDINGS[1]}.mp4").unlink()
    told = bench("data", "build", "starss23", "--from", source, "--out", tmp_path / "out")
    assert (told.code, "no clip could be made" in told.err, "next:" in told.err) == (1, True, False), told.err
    assert "left out: no_video" in told.out and "no_video" in (tmp_path / "out" / "rejects.jsonl").read_text()
