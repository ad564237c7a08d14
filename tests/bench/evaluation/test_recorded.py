"""Looking for sounds that are there already costs little, however many clips there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.baselines import open_system, trivial
from visaudio_bench.bench.evaluation import generation
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.suites import folder
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.folder import FolderSuite

CLIPS = tuple(Clip(f"clip{number:02d}", None, Path(f"clip{number:02d}.wav")) for number in range(40))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clips whose place in the order of pairs was computed."""
    names: list[str] = []
    plain = trivial.clip_seed
    monkeypatch.setattr(trivial, "clip_seed", lambda *of: names.append(of[-1]) or plain(*of))
    return names


def test_pairs_are_made_once_for_all_clips(asked: list[str]) -> None:
    system = trivial.Repaired()
    partners = [system.partner(clip, CLIPS).id for clip in CLIPS]
    assert len(asked) == len(CLIPS)
    assert sorted(partners) == [clip.id for clip in CLIPS]
    assert all(partner != clip.id for partner, clip in zip(partners, CLIPS, strict=True))
    fewer = CLIPS[::2]
    assert {system.partner(clip, fewer).id for clip in fewer} == {clip.id for clip in fewer}
    assert [system.partner(clip, CLIPS).id for clip in CLIPS] == partners


def test_a_sound_without_a_record_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = FolderSuite("s", {clip.id: tmp_path / f"{clip.id}.wav" for clip in CLIPS}, {})
    system = open_system("mono")
    job = SuiteJob(suite, (system,))
    assert len(job.clips) == len(CLIPS)
    guarded = []
    plain = generation.one_clip
    monkeypatch.setattr(generation, "one_clip", lambda: guarded.append(1) or plain())
    assert generation.recorded(Plan((job,), None, tmp_path), job, system) == {}
    assert not guarded


def test_a_dry_run_opens_no_more_files_than_it_needs(
    bench: Callable, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    plain = folder.probe
    monkeypatch.setattr(folder, "probe", lambda path: opened.append(path) or plain(path))
    call = ("run", "--suite", f"folder:{clips}", "--dry-run", "--out", tmp_path / "run")
    told = bench(*call)
    assert (told.code, "clips: 6 clips, ready" in told.err, opened) == (0, True, [])
    for sound in clips.glob("*.wav"):
        sound.unlink()
    told = bench(*call)
    assert "6 clips, ready" in told.err
    assert len(opened) == 6, "without a sound beside them, videos are asked for their own, until one has it"
