"""Names and kinds of files that people have, through the command line: each is read, or said to be left out."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import av
import numpy as np
import pytest
import soundfile

from visaudio_bench.suites.media import Samples, resample, write_audio, write_clip, write_video

RATE = 44100
ONE = ("--metric", "side_mid", "--workers", 1)
NFC, NFD = normalize("NFC", "café"), normalize("NFD", "café")


def noise(seconds: float = 1.2, *, seed: int = 0, peak: float = 0.3) -> Samples:
    """`(2, N)` noise at 44.1 kHz, 6 dB louder on the left, with a spectrum that encoders keep."""
    smooth = np.convolve(np.random.default_rng(seed).standard_normal(round(seconds * RATE)), np.ones(6), "same")
    ears = np.stack([smooth, 0.5 * smooth])
    return (peak * ears / np.abs(ears).max()).astype(np.float32)


def encode(path: Path, samples: Samples, codec: str, form: str) -> None:
    """Sound as an encoder of FFmpeg writes it, opus at its own rate."""
    rate = 48000 if codec == "libopus" else RATE
    with av.open(str(path.absolute()), "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="stereo")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(resample(samples, RATE, rate), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", rate, frame_size=960)
        for block in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))


def film(path: Path, samples: Samples) -> None:
    """A video with FLAC sound."""
    pictures = path.parent / ".pictures.mp4"
    write_video(pictures, [np.full((32, 32, 3), 9 * n, np.uint8) for n in range(24)], 20)
    write_clip(path, pictures, samples, RATE)
    pictures.unlink()


def values(run: Path, system: str) -> dict[str, float | None]:
    """S/M of each clip of a system."""
    with (run / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == system and row["metric"] == "side_mid"]
    return {row["clip"]: float(row["value"]) if row["value"] else None for row in rows}


def test_a_name_is_a_name_whatever_signs_it_has(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "takes"
    folder.mkdir()
    monkeypatch.chdir(folder)
    names = ["2024-01-01T10:30:00", "http:x", "concat:a|b", "-dash", "100% #1 'q' \"r\"", "a.b", "x" * 240]
    for name in names:
        film(folder / f"{name}.mp4", noise())
    done = bench("score", "--predictions", ".", *ONE, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    found = values(tmp_path / "run", "takes")
    assert set(found) == set(names)
    assert None not in found.values()
    for name in names[1:]:
        (folder / f"{name}.mp4").unlink()
    done = bench("run", "--suite", "folder:.", "--system", "noise", *ONE, "--out", tmp_path / "other")
    assert "repaired" in done.err  # there is no other clip to pair it with
    assert values(tmp_path / "other", "reference") == pytest.approx({names[0]: found[names[0]]}, abs=1e-3)


def test_a_video_is_opened_as_a_file_by_generate(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "2024-01-01T10:30:00.mp4"
    film(tmp_path / name, noise())
    film(tmp_path / "-x.mp4", noise())
    monkeypatch.chdir(tmp_path)
    call = ("generate", "--system", "noise+foleyspace-like", "--duration", 1, "--mux", "--out", "out")
    for given in (name, f"./{name}", "-x.mp4"):
        done = bench(*call, "--video", given)
        assert done.code == 0, done.err
    assert {"2024-01-01T10:30:00.wav", "2024-01-01T10:30:00.mp4", "-x.wav"} <= {
        path.name for path in Path("out").iterdir()
    }


def test_names_of_both_unicode_forms_are_one_name(bench: Callable, tmp_path: Path) -> None:
    write_audio(tmp_path / "references" / f"{NFC}.wav", noise(), RATE)
    write_audio(tmp_path / "predictions" / f"{NFD}.wav", noise(), RATE)
    folders = ("--predictions", tmp_path / "predictions", "--references", tmp_path / "references")
    bench("score", *folders, *ONE, "--out", tmp_path / "run")
    assert list(values(tmp_path / "run", "predictions")) == [NFC]
    assert None not in values(tmp_path / "run", "predictions").values()
    write_audio(tmp_path / "predictions" / f"{NFC}.wav", noise(), RATE)
    if len(list((tmp_path / "predictions").iterdir())) < 2:
        pytest.skip("this file system takes both forms for one name")
    done = bench("score", *folders, *ONE, "--out", tmp_path / "run")
    assert done.code == 2
    assert "have names that differ in their Unicode form only: 'cafe\\u0301.wav' and 'caf\\xe9.wav'" in done.err


def test_sounds_of_every_common_kind_are_read(bench: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    kinds = {
        "a.m4a": ("aac", "ipod"),
        "b.M4A": ("aac", "ipod"),
        "c.opus": ("libopus", "ogg"),
        "d.webm": ("libopus", "webm"),
        "e.aac": ("aac", "adts"),
        "f.mp3": ("libmp3lame", "mp3"),
        "g.wma": ("wmav2", "asf"),
        "h.mka": ("libopus", "matroska"),
    }
    for name, (codec, form) in kinds.items():
        encode(folder / name, noise(), codec, form)
    soundfile.write(folder / "i.AIFF", noise().T, RATE)
    soundfile.write(folder / "j.oga", noise().T, RATE, format="OGG")
    done = bench("score", "--predictions", folder, *ONE, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    found = values(tmp_path / "run", "predictions")
    assert "".join(found) == "abcdefghij"
    # One ear has half of the other's sound; encoders change it by a little.
    assert list(found.values()) == pytest.approx([20 * np.log10(0.5 / 1.5)] * 10, abs=1.0)
    assert "not read" not in done.err
    assert "too_long" not in (tmp_path / "run" / "failures.jsonl").read_text()


def test_references_of_other_kinds_are_paired(bench: Callable, tmp_path: Path) -> None:
    for folder, name, codec, form in (("one", "a.m4a", "aac", "ipod"), ("two", "a.opus", "libopus", "ogg")):
        (tmp_path / folder).mkdir()
        encode(tmp_path / folder / name, noise(2.0), codec, form)
    write_audio(tmp_path / "one" / "b.wav", noise(2.0, seed=1), RATE)
    write_audio(tmp_path / "two" / "b.flac", noise(2.0, seed=1), RATE)
    call = ("--predictions", tmp_path / "two", "--references", tmp_path / "one", "--metric", "delta_ild")
    done = bench("score", *call, "--format", "json", "--workers", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
    (found,) = (one for one in results if one["system"] == "two")
    assert found["n"] == 2
    assert found["value"] < 0.3


def test_what_is_not_read_is_counted_and_named_where_it_is_missed(bench: Callable, tmp_path: Path) -> None:
    predictions, references = tmp_path / "predictions", tmp_path / "references"
    for name in "abcd":
        write_audio(references / f"{name}.wav", noise(), RATE)
    write_audio(predictions / "a.wav", noise(), RATE)
    for name in (".DS_Store", "._a.wav", ".a.wav", "._c.wav", "b.xyz", "notes.txt", "more.TXT", "README"):
        (predictions / name).write_bytes(b"something")
    (references / "e.xyz").write_bytes(b"something")
    write_audio(predictions / "e.wav", noise(), RATE)
    (predictions / ".git").mkdir()
    folders = ("--predictions", predictions, "--references", references)
    done = bench("score", *folders, *ONE, "--out", tmp_path / "run")
    assert done.code == 1
    assert "not read: 4 hidden files, 2 .txt, 1 hidden folder, 1 file without a suffix, 1 .xyz" in done.err
    assert 'no sound file for clip "b". The folder holds b.xyz, which is not read: files are read that' in done.err
    assert 'no sound file for clip "c". The folder holds ._c.wav, which is not read' in done.err
    assert 'no sound file for clip "d".\n' in done.err
    assert "references, not read: 1 .xyz" in done.err
    assert "references, 1 of them would have a prediction: e.xyz" in done.err
    assert "1 of its files belong to no clip of the suite: e" in done.err
    (plan,) = json.loads((tmp_path / "run" / "plan.json").read_text())["suites"]
    assert plan["folders"][0] == "references, not read: 1 .xyz"


def test_a_folder_without_media_says_what_it_holds(bench: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_bytes(b"something")
    done = bench("run", "--suite", f"folder:{tmp_path}", "--out", tmp_path / "run")
    assert done.code == 2
    assert f"{tmp_path} holds no media file (not read: 1 .xyz); files are read that end in" in done.err


def test_links_are_followed_once_and_a_broken_one_costs_its_clip(bench: Callable, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "clips", tmp_path / "elsewhere"
    write_audio(folder / "real" / "a.wav", noise(), RATE)
    write_audio(elsewhere / "b.wav", noise(), RATE)
    (folder / "b.wav").symlink_to(elsewhere / "b.wav")
    (folder / "broken.wav").symlink_to("gone.wav")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "back").symlink_to(folder)
    (folder / "latest").symlink_to("real")
    done = bench("score", "--predictions", folder, *ONE, "--out", tmp_path / "run")
    assert done.code == 1
    assert "not read: 2 already read folders" in done.err
    found = values(tmp_path / "run", "clips")
    assert sorted(found) == ["b", "broken", "linked__b", "real__a"]
    assert [name for name, value in found.items() if value is None] == ["broken"]
    assert "broken.wav is a link to gone.wav, which does not exist." in done.err


def test_two_sounds_of_one_name_are_refused_and_a_video_beside_a_sound_is_not(bench: Callable, tmp_path: Path) -> None:
    write_audio(tmp_path / "made" / "a.wav", noise(), RATE)
    film(tmp_path / "made" / "a.mp4", noise(seed=1))
    done = bench("score", "--predictions", tmp_path / "made", *ONE, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert done.err.count("1 clip with a sound file and a video: the sound file is taken") == 1
    write_audio(tmp_path / "made" / "a.flac", noise(), RATE)
    done = bench("score", "--predictions", tmp_path / "made", *ONE, "--out", tmp_path / "run")
    assert done.code == 2
    assert "a.flac and" in done.err
    assert "a.wav belong to the same clip, a." in done.err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("y" * 251, "makes a clip id of 251 bytes; 250 are the most that can name a file."),
        (os.fsdecode(b"caf\xe9"), "is not in UTF-8"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused(bench: Callable, tmp_path: Path, name: str, sentence: str) -> None:
    try:
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    except OSError:
        pytest.skip("this file system has no such name")
    done = bench("score", "--predictions", tmp_path, "--out", tmp_path / "run")
    assert done.code == 2
    assert sentence in done.err


def test_folders_may_have_equals_signs_and_commas_in_their_names(bench: Callable, tmp_path: Path) -> None:
    for folder in ("lr=0.1", "a, b"):
        write_audio(tmp_path / folder / "x.wav", noise(), RATE)
    done = bench("score", "--predictions", tmp_path / "lr=0.1", "--out", tmp_path / "run", "--dry-run")
    assert "system   lr=0.1:" in done.err
    named = f"outputs:mine={tmp_path / 'a, b'}"
    suite = f"folder:{tmp_path / 'a, b'}"
    done = bench("run", "--suite", suite, "--system", named, "--out", tmp_path / "run", "--dry-run")
    assert done.code == 0, done.err
    assert "system   mine:" in done.err


def test_a_wav_that_is_something_else_is_told_what_it_is(bench: Callable, tmp_path: Path) -> None:
    encode(tmp_path / "a.m4a", noise(), "aac", "ipod")
    (tmp_path / "a.m4a").rename(tmp_path / "a.wav")
    done = bench("score", "--predictions", tmp_path, *ONE, "--out", tmp_path / "run")
    assert done.code == 1
    assert (
        "FFmpeg takes it for mov,mp4,m4a,3gp,3g2,mj2 (QuickTime / MOV): give it the suffix of what it is." in done.err
    )


def test_longer_and_narrower_predictions_are_remarked(bench: Callable, tmp_path: Path) -> None:
    write_audio(tmp_path / "references" / "a.wav", noise(1.5), RATE)
    write_audio(tmp_path / "references" / "b.wav", noise(1.5, seed=1), RATE)
    write_audio(tmp_path / "predictions" / "a.wav", noise(2.0), RATE)
    write_audio(tmp_path / "predictions" / "b.wav", resample(noise(1.5, seed=1), RATE, 8000), 8000)
    folders = ("--predictions", tmp_path / "predictions", "--references", tmp_path / "references")
    done = bench("score", *folders, *ONE, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    told = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert {(one["clip"], one["reason"]) for one in told} == {
        ("a", "too_long"), ("b", "wrong_rate"), ("b", "narrow_band"),
    }  # fmt: skip
    note = (
        "predictions: 1 of 2 not at the suite's sample rate, and resampled; 1 of 2 sampled too low for the cues, which "
        "are measured up to 8 kHz; 1 of 2 longer than the clip, and judged only as far as it reaches."
    )
    assert note in (tmp_path / "run" / "leaderboard.md").read_text()
    assert note in " ".join(bench("leaderboard", tmp_path / "run", "--format", "md").out.split())


def test_a_prediction_of_a_part_of_the_video_says_which_duration_fits(bench: Callable, tmp_path: Path) -> None:
    film(tmp_path / "videos" / "a.mp4", noise())
    write_video(tmp_path / "videos" / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 60, 20)
    write_audio(tmp_path / "predictions" / "a.wav", noise(1.25), RATE)
    call = ("score", "--predictions", tmp_path / "predictions", "--videos", tmp_path / "videos", *ONE)
    done = bench(*call, "--out", tmp_path / "run")
    assert done.code == 1
    way_on = "bench score --predictions DIR --references DIR --duration 1.2"
    assert f"it lasts 1.25 s instead of 3.00 s. To judge no more than that of every clip: {way_on}" in done.err
    assert bench(*call, "--duration", 1.2, "--out", tmp_path / "run", "--replace").code == 0


def test_generate_says_which_duration_fits_whatever_the_system(bench: Callable, clips: Path, tmp_path: Path) -> None:
    call = ("generate", "--system", "noise", "--video", clips / "clip0.mp4", "--out", tmp_path / "out")
    done = bench(*call, "--duration", 8)
    assert done.code == 1
    assert "not made: clip0:" in done.err
    assert "shows 2.00 s from 0 s on, and 8 s of sound were asked for. Ask for what there is: --duration 2" in done.err
    assert bench(*call, "--duration", 2.25).code == 0
    write_video(tmp_path / "blink.mp4", [np.zeros((32, 32, 3), np.uint8)] * 4, 20)
    done = bench("generate", "--system", "noise", "--video", tmp_path / "blink.mp4", "--out", tmp_path / "out")
    assert "shows 0.20 s from 0 s on, and the shortest sound that is made for pictures has 0.7 s." in done.err


def test_generate_overwrites_nothing_that_it_did_not_make(bench: Callable, clips: Path) -> None:
    before = (clips / "clip0.wav").read_bytes()
    call = ("generate", "--system", "noise", "--duration", 2, "--video", clips / "clip0.mp4")
    done = bench(*call, "--out", clips)
    assert done.code == 2
    assert "clip0.wav exists and was not made by bench generate" in done.err
    assert (clips / "clip0.wav").read_bytes() == before
    (clips / "clip0.wav").unlink()
    source = (clips / "clip0.mp4").read_bytes()
    assert bench(*call, "--mux", "--out", clips).code == 2
    assert (clips / "clip0.mp4").read_bytes() == source
    for _ in range(2):
        assert bench(*call, "--mux", "--out", clips / "out").code == 0


def test_beyond_full_scale_there_is_one_gain_for_both_ears_and_it_is_recorded(bench: Callable, tmp_path: Path) -> None:
    film(tmp_path / "clips" / "a.mp4", noise())
    write_audio(tmp_path / "clips" / "a.wav", noise(peak=4.0), RATE)
    systems = "motion-pan,mono+foleyspace-like"
    call = ("run", "--suite", f"folder:{tmp_path / 'clips'}", "--system", systems)
    bench(*call, *ONE, "--out", tmp_path / "run")
    for name in ("motion-pan", "mono+foleyspace-like"):
        folder = tmp_path / "run" / "audio" / "clips" / name
        told = json.loads((folder / "a.json").read_text())["provenance"]
        gain = told.get("binauraliser", told)["gain"]
        peak = float(np.abs(soundfile.read(folder / "a.wav")[0]).max())
        assert 0.1 < gain < 0.5
        assert peak == pytest.approx(1.0, abs=1e-4)
    # The reference itself is kept as it is.
    kept, _ = soundfile.read(tmp_path / "run" / "audio" / "clips" / "reference" / "a.wav", dtype="float32")
    assert np.array_equal(kept.T, noise(peak=4.0))
