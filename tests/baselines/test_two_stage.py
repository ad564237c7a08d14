"""`GENERATOR+BINAURALISER`: any two systems, one cache for the first stage, the provenance of both."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.baselines import open_system
from visaudio_bench.baselines.published.published_system import PublishedSystem
from visaudio_bench.baselines.trivial import Noise
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import cache_dir
from visaudio_bench.suites import Clip, open_suite
from visaudio_bench.suites.media import read_sound, write_audio

PAIRS = ("noise+motion-pan", "noise+foleyspace-like")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """The clips that `noise` is asked for, with a cache of their own."""
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []
    plain = Noise.make

    def make(self: Noise, clip: Clip, clips: object, rng: np.random.Generator) -> np.ndarray:
        asked.append(clip.id)
        return plain(self, clip, clips, rng)

    monkeypatch.setattr(Noise, "make", make)
    yield asked


def noise(seconds: float, channels: int = 1) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal((channels, round(seconds * SAMPLE_RATE)))
    return (0.05 * samples).astype(np.float32)


def test_rows_of_one_generator_share_its_sounds_and_say_how_both_stages_made_them(
    bench: Callable, clips: Path, tmp_path: Path, made: list[str]
) -> None:
    call = ("run", "--suite", f"folder:{clips}", "--limit", 2, "--workers", 1, "--out", tmp_path / "run")
    told = bench(*call, "--system", ",".join(PAIRS))
    assert told.code == 0, told.err
    assert sorted(made) == ["clip0", "clip1"], "each once, for both rows"
    for pair in PAIRS:
        record = json.loads((tmp_path / "run" / "audio" / "clips" / pair / "clip0.json").read_text())
        stages = record["provenance"]
        assert [stages[s]["system"] for s in ("generator", "binauraliser")] == pair.split("+")
        assert "gain" in stages["binauraliser"]
    with (tmp_path / "run" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["system"] in PAIRS]
    assert {row["metric"] for row in rows if row["status"] == "measured"} >= {"lr_acc"}
    assert not any(row["metric"] == "stft" and row["value"] for row in rows), "the sound is not the reference's"
    mono, ears = (
        read_sound(next(folder.glob("*.wav")))
        for folder in (
            next((cache_dir() / "first-stage").glob("noise-*")),
            tmp_path / "run" / "audio" / "clips" / PAIRS[0],
        )
    )
    assert (mono.samples.shape[0], ears.samples.shape[0]) == (1, 2)


@pytest.mark.parametrize("suffix", [".json", ".wav"])
def test_what_is_damaged_of_the_first_stage_is_made_again(
    bench: Callable, clips: Path, tmp_path: Path, made: list[str], suffix: str
) -> None:
    call = ("run", "--suite", f"folder:{clips}", "--limit", 2, "--system", PAIRS[0], "--metric", "side_mid")
    call = (*call, "--workers", 1)
    assert bench(*call, "--out", tmp_path / "one").code == 0
    path = sorted((cache_dir() / "first-stage").glob(f"noise-*/*{suffix}"))[0]
    path.write_bytes(path.read_bytes()[:-9] + b"5")
    assert bench(*call, "--out", tmp_path / "two").code == 0
    assert len(made) == 3, "two, and one of them again"
    for sound in (tmp_path / "one").rglob("*.wav"):
        assert sound.read_bytes() == (tmp_path / "two" / sound.relative_to(tmp_path / "one")).read_bytes()


def test_cards_and_cores_are_shared_where_the_stages_can() -> None:
    assert open_system("noise+motion-pan").shared_by_processes("cpu")
    learned = open_system("visaudio-tiny+motion-pan")
    assert learned.by_card and learned.shared_by_processes("cpu") and not learned.shared_by_processes("cuda")
    assert not open_system("noise+motion-pan").by_card, "nothing of it uses one"


def test_who_hears_the_reference_binauralises() -> None:
    card = open_system("mono+motion-pan").card
    assert (card.name, card.inputs) == ("mono+motion-pan", ("video", "reference_mono"))
    assert card.binauralises and not card.anchor
    assert open_system("noise+foleyspace-like").card.inputs == ("video",)
    assert open_system("noise+motion-pan+foleyspace-like").card.name == "noise+motion-pan+foleyspace-like"
    assert open_system("noise+visual-sound-25d").card.inputs == ("video",)


def test_what_either_stage_was_trained_on_is_said_of_the_row() -> None:
    assert open_system("mono+visual-sound-25d").card.optimised == ("stft",)
    assert open_system("prismaudio+motion-pan").card.optimised == open_system("prismaudio").card.optimised != ()
    assert open_system("noise+motion-pan").card.optimised == ()


def test_a_second_stage_hears_the_first_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="told by its option mono which sounds to hear"):
        open_system(f"noise+visual-sound-25d:mono={tmp_path}")
    alone = open_system("visual-sound-25d")
    assert isinstance(alone, PublishedSystem)
    assert (alone.options["mono"], alone.hearing({}).options.get("mono")) == ("reference", None)


def test_a_second_stage_that_takes_no_mono_sound_is_refused(bench: Callable, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes no mono sound"):
        open_system("noise+swapped")
    with pytest.raises(UsageError, match="takes no mono sound"):
        open_system("noise+mmaudio")
    told = bench("run", "--suite", "simroom-mini", "--system", "noise+motion-pam", "--out", tmp_path / "run")
    assert (told.code, "Did you mean" in told.err, "Traceback" in told.err) == (2, True, False), told.err


def test_a_plus_in_the_name_of_a_folder_is_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "a+motion-pan"
    write_audio(folder / "clip0.wav", noise(1.0), SAMPLE_RATE)
    assert open_system(f"outputs:{folder}").card.name == "a+motion-pan"
    assert open_system(f"outputs:theirs={folder}+motion-pan").card.name == "theirs+motion-pan"


def test_a_clip_that_either_stage_cannot_make_is_reported_by_its_reason(clips: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "theirs"
    for name, seconds in (("clip0", 2.0), ("clip1", 0.5), ("clip3", 2.0)):
        write_audio(sounds / f"{name}.wav", noise(seconds, 2), SAMPLE_RATE)
    suite = [*open_suite(f"folder:{clips}").clips()]
    suite[3] = Clip("clip3", None, suite[3].audio, duration=2.0)
    system = open_system(f"outputs:theirs={sounds}+foleyspace-like")
    (tmp_path / "out").mkdir()
    answers = {one.clip: one for one in system.generate(suite, tmp_path / "out", only={c.id for c in suite})}
    assert answers["clip0"].path is not None
    assert [answers[f"clip{n}"].reason for n in (1, 2, 3)] == ["short", "missing", "no_video"]


def test_a_first_stage_is_made_again_when_its_clip_changes(clips: Path, tmp_path: Path, made: list[str]) -> None:
    system = open_system(PAIRS[0])
    (clip, *_) = suite = open_suite(f"folder:{clips}").clips()
    (tmp_path / "out").mkdir()
    for caption, thought, seed, expected in (
        (None, "", 0, 1), (None, "", 0, 1), ("a bell", "", 0, 2), (None, "", 5, 3), (None, "it rings", 5, 4),
    ):  # fmt: skip
        meta = {"cot": thought} if thought else {}
        changed = [Clip(clip.id, clip.video, clip.audio, 0.0, 2.0, caption, meta), *suite[1:]]
        (done,) = system.generate(changed, tmp_path / "out", only={clip.id}, seed=seed)
        assert done.path is not None
        assert len(made) == expected
