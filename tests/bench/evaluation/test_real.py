"""Real recordings through the command line: outputs of published systems, and a folder of mixed clips."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from visaudio_bench.metrics.interaural import interaural_cues
from visaudio_bench.suites.media import read_binaural


def results(run: Path) -> dict[tuple[str, str], float]:
    with (run / "results.csv").open() as file:
        return {(r["system"], r["metric"]): float(r["value"]) for r in csv.DictReader(file) if r["value"]}


def test_a_real_clip_is_run_and_its_sides_are_heard(bench: Callable, recording: Any, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for path in recording:
        shutil.copy(path, folder)
    asked = ("--suite", f"folder:{folder}", "--system", "motion-pan", "--out", tmp_path / "run", "--workers", 1)
    told = bench("run", *asked)
    assert told.code == 0, told.err
    assert "without another clip whose reference could stand for it" in " ".join(told.out.split())
    value = results(tmp_path / "run")
    assert (value["reference", "lr_acc"], value["mono", "lr_acc"], value["swapped", "lr_acc"]) == (100, 50, 0)
    assert value["reference", "stft"] == 0  # a 48 kHz reference survives writing and reading exactly
    cues = interaural_cues(read_binaural(recording.sound, sample_rate=44100).samples)
    assert np.mean(cues.lateralisation[cues.active] > 0) > 0.9, "the piano is at the left"


def test_predictions_for_a_real_clip_are_scored(bench: Callable, recording: Any, tmp_path: Path) -> None:
    samples, rate = soundfile.read(recording.sound, dtype="int16")
    for system, ears in (("turned", samples[:, ::-1]), ("late", np.roll(samples, 480, axis=0))):
        (tmp_path / system).mkdir()
        soundfile.write(tmp_path / system / "fairplay_000001.wav", ears, rate)
    asked = [word for system in ("turned", "late") for word in ("--predictions", tmp_path / system)]
    for folder, path in (("references", recording.sound), ("videos", recording.video)):
        (tmp_path / folder).mkdir()
        shutil.copy(path, tmp_path / folder)
        asked += [f"--{folder}", tmp_path / folder]
    told = bench("score", *asked, "--duration", 8, "--out", tmp_path / "run", "--workers", 1, "--allow-missing", 1)
    assert told.code == 0, told.err
    value = results(tmp_path / "run")
    assert value["turned", "lr_acc"] == 0 and value["late", "lr_acc"] > 85
    assert value["turned", "lat_err"] > value["mono", "lat_err"] > value["late", "lat_err"]


def test_descriptive_cues_tell_a_stereo_system_from_a_binaural_one(
    bench: Callable, media: Path, tmp_path: Path
) -> None:
    outputs = media / "outputs"
    folders = [word for name in ("foleyspace", "audiox") for word in ("--predictions", outputs / name)]
    told = bench("score", *folders, "--out", tmp_path / "run", "--workers", 1, "--allow-missing", 1)
    assert told.code == 0, told.err
    value = results(tmp_path / "run")
    assert value["foleyspace", "mean_abs_itd"] == pytest.approx(220, abs=30)
    assert value["audiox", "mean_abs_itd"] == pytest.approx(40, abs=15)
    assert value["audiox", "mono_rate"] == pytest.approx(100 / 3)
    assert all(title in told.out for title in ("|ILD|", "|ITD|", "IACC", "S/M", "mono"))


def test_one_system_can_be_the_other_ones_reference(bench: Callable, media: Path, tmp_path: Path) -> None:
    folders = ["--predictions", media / "outputs" / "audiox", "--references", media / "outputs" / "foleyspace"]
    told = bench("score", *folders, "--out", tmp_path / "run", "--workers", 1, "--allow-missing", 1)
    assert told.code == 0, told.err
    value = results(tmp_path / "run")
    assert (value["reference", "lr_acc"], value["reference", "delta_itd"]) == (100, 0)
    assert 0 < value["audiox", "lr_acc"] < 100


def test_a_folder_of_real_clips_runs_and_names_what_it_refuses(bench: Callable, media: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("0B4dYTMsgHA_000130.mp4", "F8Zt3mYlOqU_000094.mp4", "sphere360_foa_sitar.webm"):
        shutil.copy(media / name, folder / name)
    shutil.copy(media / "fairplay_000001" / "audio" / "audio.wav", folder / "fairplay.wav")
    asked = ("--suite", f"folder:{folder}", "--system", "noise", "--metric", "lr_acc,stft", "--workers", 1)
    told = bench("run", *asked, "--out", tmp_path / "run")
    assert told.code == 1
    (failure,) = [json.loads(line) for line in (tmp_path / "run" / "failures.jsonl").read_text().splitlines()]
    assert (failure["clip"], failure["reason"]) == ("sphere360_foa_sitar", "not_two_channel")
    assert "Render ambisonics or surround sound to binaural first" in failure["message"]
    value = results(tmp_path / "run")
    assert (value["reference", "lr_acc"], value["mono", "lr_acc"], value["swapped", "lr_acc"]) == (100, 50, 0)
    assert value["reference", "stft"] == 0  # a 48 kHz reference survives writing and reading exactly


def test_castanets_that_circle_the_head_go_left_centre_right_centre(media: Path) -> None:
    sound = read_binaural(media / "binaural_castanets_azimuth_0_to_360.wav", sample_rate=44100)
    cues = interaural_cues(sound.samples)
    side = np.where(cues.active, cues.lateralisation, np.nan)
    left, right = int(np.nanargmax(side)), int(np.nanargmin(side))
    assert side[left] == pytest.approx(0.87, abs=0.04)
    assert side[right] == pytest.approx(-0.87, abs=0.04)
    assert left < right
    between = side[left:right]
    assert np.nanmin(np.abs(between)) < 0.15
    assert np.corrcoef(np.arange(right - left), np.nan_to_num(between))[0, 1] < -0.9
