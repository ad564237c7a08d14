"""The folder that `bench mos page` makes: what it holds, what it hides, what it refuses."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.bench.mos.questions import DIMENSIONS
from visaudio_bench.bench.mos.stimuli import RATE, check_sounds
from visaudio_bench.bench.mos.study_material import from_folders
from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.loudness import integrated_loudness
from visaudio_bench.suites.media import probe, read_binaural, write_audio

SYSTEMS = ("ThinkSound", "AudioX", "ViSAGe", "See2Sound", "ViSAudio")


def key_rows(made):
    with made.key.open() as file:
        return list(csv.DictReader(file))


def test_every_sample_has_the_loudness_and_keeps_what_is_between_the_ears(survey):
    rows = key_rows(survey)
    assert len(rows) == 2 * 5
    for row in rows:
        sound = read_binaural(survey.folder / "media" / f"{row['code']}.mp4")
        assert integrated_loudness(sound.samples, sound.sample_rate) == pytest.approx(-26, abs=0.05)
        original = survey.folder.parent / "sounds" / row["system"] / f"{row['clip_id']}.wav"
        before = read_binaural(original).samples
        gain = 10 ** (float(row["gain_db"]) / 20)
        # One gain for both channels: each channel is the original times the same number, to 16 bits.
        assert np.abs(sound.samples[:, : before.shape[1]] - gain * before).max() < 2e-5
        assert float(row["loudness_lufs"]) + float(row["gain_db"]) == pytest.approx(-26, abs=0.002)


def test_pictures_and_sound_are_equally_long_in_every_sample(survey):
    for path in (survey.folder / "media").iterdir():
        info = probe(path)
        assert info.sound == pytest.approx(1.2, abs=0.05)
        assert info.picture == pytest.approx(1.2, abs=0.05)


def test_nothing_in_the_folder_names_a_system(survey):
    for path in survey.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(system.encode() in data for system in SYSTEMS), path
    assert survey.key.parent == survey.folder.parent
    assert not survey.key.is_relative_to(survey.folder)


def test_nothing_is_fetched_from_elsewhere(survey):
    for name in ("index.html", "survey.css", "survey.js", "checks.js", "group.js"):
        text = (survey.folder / name).read_text()
        assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", text, flags=re.M)), name


def test_the_protocol_is_the_papers(survey):
    data = json.loads((survey.folder / "survey.json").read_text())
    assert [dimension["key"] for dimension in data["dimensions"]] == ["SI", "SC", "TA", "SA", "AR"]
    assert all(len(dimension.anchors) == 5 for dimension in DIMENSIONS)
    assert "window.SURVEY = " in (survey.folder / "data.js").read_text()
    assert data["training"] is not None
    assert data["training"]["clip"] not in {group["clip"] for group in data["groups"]}


def test_a_run_folder_and_a_suite_with_controls(tmp_path, monkeypatch, material):
    from visaudio_bench.suites import Clip, Suite
    from visaudio_bench.suites.catalogue import SUITES

    _, videos = material(tmp_path, 2)
    run = tmp_path / "run" / "audio" / "tiny"
    run.parent.mkdir(parents=True)
    (tmp_path / "sounds").rename(run)

    class Tiny(Suite):
        name, title = "tiny", "two clips"

        def pending(self):
            return ("clip01",) if hidden.exists() else ()

        def prepare(self, workers=1):
            hidden.rename(videos / "clip01.mp4")
            yield "clip01"

        def clips(self):
            return tuple(
                Clip(path.stem, path, run / "ViSAudio" / f"{path.stem}.wav", 0.0, 1.2, "a <b>ball</b>")
                for path in (videos / "clip00.mp4", videos / "clip01.mp4")
            )

    hidden = tmp_path / "not made yet.mp4"
    (videos / "clip01.mp4").rename(hidden)

    monkeypatch.setattr(SUITES, "get", lambda name: lambda argument: Tiny())
    result = CliRunner().invoke(
        mos,
        [
            *("page", "--suite", "tiny", "--run", str(tmp_path / "run"), "--systems", "AudioX,ViSAGe"),
            *("--clips", "clip01", "--training", "none", "--hidden-reference", "--low-anchor"),
            *("--out", str(tmp_path / "out")),
        ],
    )
    assert result.exit_code == 0, (result.output, result.exception)
    with (tmp_path / "out.key.csv").open() as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert {name: row["role"] for name, row in rows.items()} == {
        "AudioX": "test",
        "ViSAGe": "test",
        "reference": "hidden_reference",
        "low anchor": "low_anchor",
    }
    anchor = read_binaural(tmp_path / "out" / "media" / f"{rows['low anchor']['code']}.mp4").samples
    assert np.array_equal(anchor[0], anchor[1])
    data = json.loads((tmp_path / "out" / "survey.json").read_text())
    assert (data["training"], len(data["groups"]), len(data["rows"])) == (None, 1, 4)
    assert data["groups"][0]["caption"] == "a <b>ball</b>"
    (run / "ThinkSound").rename(run / "reference")
    clash = ["--systems", "AudioX,reference", "--hidden-reference", "--clips", "1", "--out", str(tmp_path / "n")]
    said = CliRunner().invoke(mos, ["page", "--suite", "tiny", "--run", str(tmp_path / "run"), *clash])
    assert 'the control "reference" and a system have the same name' in str(said.exception)
    said = CliRunner().invoke(
        mos,
        ["page", "--suite", "tiny", "--run", str(tmp_path / "run"), "--systems", "Audio", "--out", str(tmp_path / "n")],
    )
    assert 'no system "Audio". Did you mean "AudioX"?' in str(said.exception)


def test_what_cannot_be_shown_is_refused_and_leaves_nothing(tmp_path, material):
    folders, videos = material(tmp_path, 2)
    systems = [argument for folder in folders for argument in ("--system", folder)]
    base = ["page", *systems, "--videos", str(videos), "--out", str(tmp_path / "out")]

    def refused(*extra: str) -> str:
        result = CliRunner().invoke(mos, [*base, *extra])
        assert isinstance(result.exception, UsageError), (result.output, result.exception)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.key.csv").exists()
        return str(result.exception)

    assert f"--system {folders[0].partition('=')[0]}=DIR is given twice" in refused("--system", folders[0])
    assert "5 clips were asked for; 2 clip(s)" in refused("--clips", "5")
    assert 'no clip "clip1" with a video. Did you mean' in refused("--clips", "clip1")
    assert "would clip at -3 LUFS" in refused("--clips", "1", "--loudness", "-3")
    (tmp_path / "sounds" / "AudioX" / "clip01.wav").unlink()
    assert 'system "AudioX" has no sound for clip "clip01"' in refused("--clips", "clip01")
    write_audio(tmp_path / "sounds" / "AudioX" / "clip01.wav", np.zeros((1, 100), np.float32), 44100)
    result = CliRunner().invoke(mos, [*base, "--clips", "clip01"])
    assert "mono" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_questionnaire_is_never_overwritten(survey):
    folders = [f"{name}={survey.folder.parent / 'sounds' / name}" for name in SYSTEMS]
    systems = [argument for folder in folders for argument in ("--system", folder)]
    videos = survey.folder.parent / "videos"
    result = CliRunner().invoke(
        mos, ["page", *systems, "--videos", str(videos), "--clips", "2", "--out", str(survey.folder)]
    )
    assert "never overwritten" in str(result.exception)


def test_the_checks_hold_what_they_ask_for():
    sounds = check_sounds(-26.0)
    assert np.all(sounds["left"][1] == 0)
    assert np.any(sounds["left"][0])
    assert np.all(sounds["right"][0] == 0)
    assert np.array_equal(sounds["tone-anti"][0], -sounds["tone-anti"][1])
    ratio = np.abs(sounds["tone"]).max() / np.abs(sounds["tone-quiet"]).max()
    assert 20 * np.log10(ratio) == pytest.approx(6.02, abs=0.01)
    assert np.array_equal(sounds["noise-1"][0], sounds["noise-1"][1])
    steady = sounds["huggins-1"][:, 2000:-2000]
    spectra = np.fft.rfft(steady * np.hanning(steady.shape[1]))
    frequency = np.fft.rfftfreq(steady.shape[1], 1 / RATE)
    for low, high, sign in ((575, 625, -1), (100, 500, 1), (700, 4000, 1)):
        band = (frequency > low) & (frequency < high)
        left, right = spectra[0, band], spectra[1, band]
        coherence = np.real(np.vdot(left, right)) / np.sqrt(np.vdot(left, left).real * np.vdot(right, right).real)
        assert coherence == pytest.approx(sign, abs=0.01)
    assert all(np.abs(sound).max() < 1 for sound in sounds.values())


def test_sounds_of_every_kind_are_taken_and_others_are_counted(
    tmp_path: Path, material: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, videos = material(tmp_path, 2)
    sounds = Path(folders[0].partition("=")[2])
    (sounds / "clip00.wav").rename(sounds / "clip00.WAVE")
    (sounds / "._clip00.wav").write_bytes(b"")
    (sounds / "notes.txt").write_text("")
    options = {"clips": "2", "training": None, "hidden_reference": False, "low_anchor": False, "seed": 0}
    chosen = from_folders(folders[:1], videos, **options)
    assert [clip.id for clip in chosen.clips] == ["clip00", "clip01"]
    assert capsys.readouterr().err == "ThinkSound: not read: 1 hidden file, 1 .txt\n"


def test_sounds_of_checks_are_never_cut_off() -> None:
    with pytest.raises(UsageError, match="the sounds of the checks would clip at -3 LUFS"):
        check_sounds(-3.0)
