"""Names that would leave the folder, or act on a terminal or a page, through every door that a name comes in by."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.conftest import lateral_noise
from visaudio_bench import registry
from visaudio_bench.baselines.catalogue import SYSTEMS
from visaudio_bench.bench.evaluation.plan import SuiteJob
from visaudio_bench.errors import UsageError
from visaudio_bench.names import fault
from visaudio_bench.suites.clip import Clip, Suite
from visaudio_bench.suites.media import write_audio

LEAVING = ("/abs/victim", "../../victim", "a/../../victim", "..", ".hidden", "a\\..\\victim")
ACTING = ("<script>", "red\x1b[31m", "\x9b31m", "two\nlines", "nul\0", "\x7f", "\u202egnp", "half\ud800", "long" * 75)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    write_audio(tmp_path / "sounds" / "a.wav", lateral_noise(1.2), 44100)
    return tmp_path / "sounds"


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [*LEAVING, *ACTING])
def test_such_names_are_refused_and_nothing_is_written(
    bench: Callable, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "deeper")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a.json").write_text("theirs")
    there = files(tmp_path)
    name = name.replace("/abs", str(tmp_path))
    for call in (
        ("run", "--suite", f"folder:{sounds}", "--system", f"outputs:{name}={sounds}", "--out", "run"),
        ("score", "--predictions", f"{name}={sounds}"),
    ):
        done = bench(*call, "--metric", "side_mid", "--workers", 1)
        assert done.code == 2
        assert "cannot name a file or folder" in done.err
        assert ascii(name) in done.err
    assert files(tmp_path) == there


def test_clips_and_folders_are_names_too(bench: Callable, sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "red\x1b[31m"
    folder.mkdir()
    (folder / "a.wav").symlink_to(sounds / "a.wav")
    done = bench("score", "--predictions", sounds, "--references", folder, "--out", tmp_path / "run")
    assert (done.code, "the suite is called 'red\\x1b[31m'" in done.err) == (2, True)
    (sounds / "b<script>.wav").symlink_to(sounds / "a.wav")
    done = bench("score", "--predictions", sounds, "--out", tmp_path / "run")
    assert (done.code, "it holds '<'. Rename the file." in done.err) == (2, True)
    assert not (tmp_path / "run").exists()


class Theirs(Suite):
    name, title = "theirs", "a plug-in's"

    def clips(self) -> tuple[Clip, ...]:
        return (Clip("../../victim", None, None),)


def test_clips_of_a_plug_in_are_checked() -> None:
    with pytest.raises(UsageError, match=r"suite \"theirs\" is called '../../victim'"):
        _ = SuiteJob(Theirs(), ()).clips
    with pytest.raises(UsageError, match="the suite is called"):
        SuiteJob(type("Other", (Theirs,), {"name": "../x"})(), ())


def test_plug_ins_with_such_names_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, "theirs:system", SYSTEMS.group) for name in ("../x", "fine")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == SYSTEMS.group else [])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        names = SYSTEMS.names()
    assert ("fine" in names, "../x" in names) == (True, False)
    assert "it holds '/'" in str(said[0].message)


def test_no_system_is_called_as_the_references_are(bench: Callable, sounds: Path, tmp_path: Path) -> None:
    done = bench("score", "--predictions", f"@reference={sounds}", "--out", tmp_path / "run")
    assert (done.code, "has the name of the references" in done.err) == (2, True)


def test_ordinary_names_are_names() -> None:
    ordinary = ("a", "2024-01-01T10:30:00", "a.b", "100% #1 'q' \"r\"", "-dash", "für", "音", "x" * 250)
    assert [fault(name) for name in ordinary] == [""] * len(ordinary)
    assert fault("y" * 251) == "it has 251 bytes, 250 are the most"
