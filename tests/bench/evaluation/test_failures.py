"""What goes wrong, and how it is told: reason codes, exit codes, nothing lost."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visaudio_bench.suites.media import read_sound, write_audio


def score(bench: Callable, clips: Path, predictions: Path, out: Path, *more: object) -> object:
    asked = ("--predictions", predictions, "--references", clips, "--metric", "lr_acc,lat_err", "--workers", 1)
    return bench("score", *asked, "--out", out, *more)


@pytest.fixture
def references(clips: Path) -> Path:
    for video in clips.glob("*.mp4"):
        video.unlink()
    return clips


@pytest.fixture
def predictions(references: Path, tmp_path: Path) -> Path:
    """A perfect prediction of every clip."""
    folder = tmp_path / "predictions"
    for path in references.glob("*.wav"):
        write_audio(folder / path.name, read_sound(path).samples, 44100)
    return folder


def failures(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]


def value(out: Path, system: str, metric: str) -> tuple[str, int, str]:
    with (out / "results.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if (r["system"], r["metric"]) == (system, metric))
    return row["value"], int(row["n"]), row["status"]


def spoil(path: Path, how: str) -> None:
    samples = read_sound(path).samples
    match how:
        case "missing":
            path.unlink()
        case "unreadable":
            path.write_bytes(b"RIFF not really a wav file")
        case "mono":
            write_audio(path, samples[:1], 44100)
        case "too_short":
            write_audio(path, samples[:, :60000], 44100)
        case "silent":
            write_audio(path, samples * 0, 44100)
        case "identical_channels":
            write_audio(path, np.stack([samples[0], samples[0]]), 44100)
        case "nan":
            broken = samples.copy()
            broken[0, 1000] = np.nan
            write_audio(path, broken, 44100)


@pytest.mark.parametrize("how", ["missing", "unreadable", "mono", "too_short", "nan", "silent", "identical_channels"])
def test_one_bad_prediction_is_listed_counted_and_fails_the_run(
    bench: Callable, references: Path, predictions: Path, tmp_path: Path, how: str
) -> None:
    spoil(predictions / "clip2.wav", how)
    out = tmp_path / "run"
    told = score(bench, references, predictions, out)
    assert told.code == 1
    assert "predictions" in told.out  # the table is printed all the same
    assert "--allow-missing 1" in told.err
    # What becomes of the clip is told alike beside it, in the count, and under the table.
    fate = "scored as it is" if how in ("silent", "identical_channels") else "left out"
    assert f"\n{fate}: references/clip2 predictions: " in "\n" + told.err.replace("clips/", "references/")
    assert f"1 clip counts against this run, 0 allowed: 1 with a sound that is {fate}" in told.err
    assert f"A sound is {fate} in 1 of 6 clips: clip2 (predictions {how})." in " ".join(told.out.split())
    (failure,) = failures(out)
    assert (failure["system"], failure["clip"], failure["reason"]) == ("predictions", "clip2", how)
    scored = how in ("silent", "identical_channels")
    text, n, status = value(out, "predictions", "lr_acc")
    assert (float(text), n, status) == ((100 * 5 + 50) / 6 if scored else 100.0, 6 if scored else 5, "measured")
    assert score(bench, references, predictions, out, "--allow-missing", 1).code == 0


def test_a_reference_that_cannot_be_used_is_out_for_every_system(
    bench: Callable, references: Path, predictions: Path, tmp_path: Path
) -> None:
    spoil(references / "clip1.wav", "mono")
    told = score(bench, references, predictions, tmp_path / "run")
    assert told.code == 1
    (failure,) = failures(tmp_path / "run")
    assert (failure["system"], failure["clip"], failure["stage"], failure["reason"]) == ("", "clip1", "read", "mono")
    assert [value(tmp_path / "run", system, "lat_err")[1] for system in ("reference", "predictions")] == [5, 5]


def test_every_mismatched_file_is_listed(bench: Callable, references: Path, predictions: Path, tmp_path: Path) -> None:
    (predictions / "clip2.wav").rename(predictions / "clip_2.wav")
    told = score(bench, references, predictions, tmp_path / "run")
    assert told.code == 1
    assert "1 of its files belong to no clip of the suite: clip_2" in told.err
    assert 'no sound file for clip "clip2". Did you mean "clip_2"?' in failures(tmp_path / "run")[0]["message"]


def test_files_at_another_rate_or_clipped_are_scored_with_a_remark(
    bench: Callable, references: Path, predictions: Path, tmp_path: Path
) -> None:
    samples = read_sound(predictions / "clip0.wav").samples
    write_audio(predictions / "clip0.wav", np.clip(samples * 30, -1, 1), 44100)
    from visaudio_bench.suites.media import resample

    write_audio(predictions / "clip1.wav", resample(read_sound(predictions / "clip1.wav").samples, 44100, 48000), 48000)
    told = score(bench, references, predictions, tmp_path / "run")
    assert told.code == 0, told.err
    assert {f["reason"] for f in failures(tmp_path / "run")} == {"clipped", "wrong_rate"}
    assert value(tmp_path / "run", "predictions", "lr_acc")[1] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "simrom"], 'unknown suite "simrom". Did you mean "simroom"?'),
        (["run", "--system", "motionpan"], 'unknown system "motionpan". Did you mean "motion-pan"?'),
        (["run", "--metric", "lr_ac"], 'unknown metric "lr_ac". Did you mean "lr_acc"?'),
        (["run", "--system", "mono:3"], "takes no argument"),
        (["run", "--system", "outputs"], "--system outputs:DIR"),
        (["run", "--system", "outputs:nowhere"], "nowhere is not a folder"),
        (["run", "--suite", "simroom:4"], "takes no argument"),
        (["run", "--workers", "0"], "--workers"),
        (["rn"], 'no command "rn". Did you mean "run"?'),
        (["score"], "--predictions"),
        (["score", "--predictions", "nowhere"], "nowhere is not a folder"),
        (["report", "nowhere"], "folder of a finished run"),
        (["diff", "nowhere", "nowhere"], "folder of a finished run"),
        (["list", "everything"], "everything"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(bench: Callable, arguments: list[str], message: str) -> None:
    told = bench(*arguments)
    assert (told.code, told.out) == (2, "")
    assert message in told.err
    assert "Traceback" not in told.err


def test_two_folders_of_one_name_need_names(
    bench: Callable, references: Path, predictions: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "predictions"
    other.mkdir(parents=True)
    for path in predictions.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    both = ["--predictions", predictions, "--predictions", other, "--references", references, "--out", tmp_path / "r"]
    told = bench("score", *both)
    assert (told.code, "write NAME=DIR in place of DIR" in told.err) == (2, True)
    both[3] = f"second={other}"
    assert bench("score", "--workers", 1, *both).code == 0
    assert value(tmp_path / "r", "second", "lat_err")[0] == "0.0"


def test_an_output_folder_that_cannot_be_written_is_a_usage_error(bench: Callable, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told = bench("run", "--suite", f"folder:{clips}", "--out", tmp_path / "file" / "run")
    assert told.code == 2
    assert "cannot be written" in told.err
    assert "--out DIR" in told.err


def test_a_full_disk_is_told_and_what_was_made_stays(references: Path, tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: the system refuses the write in the same way."""
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from visaudio_bench.bench.cli import main; main()"
    )
    arguments = ["run", "--suite", f"folder:{references}", "--system", "noise", "--workers", "1"]
    arguments += ["--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", limited, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "lift the limit on the size of files (ulimit -f)" in done.stderr
    assert not list((tmp_path / "run").rglob("*.wav"))
    assert not list((tmp_path / "run").rglob(".clip*"))


def test_a_suite_without_references_gets_descriptive_metrics(
    bench: Callable, predictions: Path, tmp_path: Path
) -> None:
    told = bench("score", "--predictions", predictions, "--out", tmp_path / "run", "--workers", 1)
    assert told.code == 0
    assert "|ILD|" in told.out
    assert "LR-Acc" not in told.out
    assert "Reference" not in told.out


def test_a_system_that_hears_a_reference_is_an_empty_row_where_there_is_none(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    """Said once, before any work, and not clip by clip."""
    for sound in clips.glob("*.wav"):
        sound.unlink()
    told = bench("run", "--suite", f"folder:{clips}", "--system", "motion-pan,noise", "--metric", "mean_iacc",
                 "--workers", 1, "--out", tmp_path / "run", "--format", "json")  # fmt: skip
    assert told.code == 0, told.err
    assert told.err.count("motion-pan is given the sound of a reference, and no clip of clips has one") >= 1
    assert (tmp_path / "run" / "failures.jsonl").read_text() == ""
    rows = {row["system"]: row["cells"]["mean_iacc"] for row in json.loads(told.out)[0]["rows"]}
    assert rows["Noise"]["value"] is not None
    (empty,) = (cell for name, cell in rows.items() if name.startswith("Motion pan"))
    assert empty["value"] is None and "visaudio-tiny+ before its name" in empty["reason"]
    alone = bench("run", "--suite", f"folder:{clips}", "--system", "motion-pan", "--out", tmp_path / "alone")
    assert alone.code == 2 and "Nothing can be judged: motion-pan is given the sound of a reference" in alone.err
    assert not (tmp_path / "alone").exists()


def test_one_clip_is_a_run_whose_repaired_row_says_why_it_is_empty(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    for path in clips.iterdir():
        if path.stem != "clip0":
            path.unlink()
    out = tmp_path / "run"
    told = bench("run", "--suite", f"folder:{clips}", "--system", "noise", "--out", out, "--workers", 1)
    assert told.code == 0, told.err
    (failure,) = failures(out)
    assert (failure["system"], failure["reason"]) == ("repaired", "no_partner")
    row = next(line for line in told.out.splitlines() if "Re-paired" in line)
    assert not any(letter.isdigit() for letter in row)
    assert "Re-paired: 1 of 1 without another clip whose reference could stand for it." in " ".join(told.out.split())
    assert float(value(out, "reference", "lr_acc")[0]) == 100.0
