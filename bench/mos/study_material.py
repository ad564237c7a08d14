"""What a questionnaire shows: clips, the systems' sounds for them, controls, a clip to practise on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from visaudio_bench.bench.console import note
from visaudio_bench.bench.evaluation.generation import made_sounds
from visaudio_bench.bench.failures import prepare
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.pool import available_cores
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites import Clip, open_suite
from visaudio_bench.suites.folder import look_into, unread_words

REFERENCE = "reference"
ANCHOR = "low anchor"


@dataclass(frozen=True)
class StudyMaterial:
    """Clips to rate, a clip to practise on or None, and where each system's sound of each clip lies.

    `sounds` is system -> clip id -> file. `controls` names the roles of systems that are made from the reference
    sound of the clip: `REFERENCE` is the sound itself, `ANCHOR` its left channel on both ears. `unmade` are clips
    whose files the suite could not make.
    """

    suite: str
    clips: tuple[Clip, ...]
    training: Clip | None
    sounds: Mapping[str, Mapping[str, Path]]
    controls: Mapping[str, str]
    unmade: Mapping[str, ClipError] = field(default_factory=dict)


def from_run(
    suite: str,
    run: Path,
    systems: Sequence[str],
    *,
    clips: str,
    training: str | None,
    hidden_reference: bool,
    low_anchor: bool,
    seed: int,
) -> StudyMaterial:
    """Take the sounds of a run folder, `audio/<suite>/<system>/<clip>.wav`, and the suite's videos.

    Args:
        suite: its name.
        run: the run folder.
        systems: which of its systems.
        clips: how many, drawn by `seed`, or ids with commas between.
        training: id of a clip to practise on, `none` for none; None for one that is left over.
        hidden_reference: whether the true sound is a system among the others.
        low_anchor: whether its left channel on both ears is.
        seed: of what is drawn.

    Returns:
        Clips and sounds, and the clips that could not be rendered.

    Raises:
        UsageError: no such run, system, clip or sound.
    """
    opened = open_suite(suite)
    folder = run / "audio" / opened.name
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist; {run} is not a run of {opened.name}. Make one with: bench run")
    sounds = {}
    present = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for system in systems:
        if system not in present:
            raise UsageError(
                f'{folder} has no system "{system}".{did_you_mean(system, present)} It has: {", ".join(present)}.'
            )
        sounds[system] = made_sounds(folder / system)
    chosen = _choose(
        opened.name, opened.clips(), sounds, clips, training, _controls(hidden_reference, low_anchor), seed
    )
    shown = [clip.id for clip in (*chosen.clips, chosen.training) if clip is not None]
    unmade = prepare(opened, available_cores(), shown)
    return replace(chosen, unmade=unmade)


def from_folders(
    folders: Sequence[str],
    videos: Path | None,
    *,
    clips: str,
    training: str | None,
    hidden_reference: bool,
    low_anchor: bool,
    seed: int,
) -> StudyMaterial:
    """Take the sounds of plain folders, and videos of the same names; a video's own sound is its reference.

    Args:
        folders: NAME=DIR each.
        videos: folder of videos.
        clips: how many, drawn by `seed`, or ids with commas between.
        training: id of a clip to practise on, `none` for none; None for one that is left over.
        hidden_reference: whether the video's own sound is a system among the others.
        low_anchor: whether its left channel on both ears is.
        seed: of what is drawn.

    Returns:
        Clips and sounds.

    Raises:
        UsageError: not NAME=DIR, a name twice, or no such folder, video or sound.
    """
    if videos is None or not videos.is_dir():
        raise UsageError(f"--videos must be a folder of videos, got {videos}.")
    sounds = {}
    for given in folders:
        name, _, folder = given.partition("=")
        if not (name and folder and Path(folder).is_dir()):
            raise UsageError(f'--system NAME=DIR with an existing folder was expected, got "{given}".')
        if name in sounds:
            raise UsageError(
                f"--system {name}=DIR is given twice, and each system has one folder. Give one of them another name."
            )
        contents = look_into(Path(folder))
        for line in contents.told():
            note(f"{name}: {line}")
        sounds[name] = contents.heard
    shown = look_into(videos)
    for line in unread_words([*shown.unread, *shown.sounds.values()]):
        note(f"{videos.name}: {line}")
    shown_clips = tuple(Clip(name, path, path, 0.0, None) for name, path in shown.videos.items())
    return _choose(videos.name, shown_clips, sounds, clips, training, _controls(hidden_reference, low_anchor), seed)


def _controls(hidden_reference: bool, low_anchor: bool) -> dict[str, str]:
    return ({REFERENCE: "hidden_reference"} if hidden_reference else {}) | (
        {ANCHOR: "low_anchor"} if low_anchor else {}
    )


def _choose(
    suite: str,
    clips: Sequence[Clip],
    sounds: Mapping[str, Mapping[str, Path]],
    wanted: str,
    training: str | None,
    controls: Mapping[str, str],
    seed: int,
) -> StudyMaterial:
    for name in controls:
        if name in sounds:
            raise UsageError(f'the control "{name}" and a system have the same name; leave one of them out.')
    by_id = {clip.id: clip for clip in clips if clip.video is not None}
    full = [name for name in by_id if all(name in files for files in sounds.values())]
    if not wanted.isdigit():
        chosen = [name.strip() for name in wanted.split(",")]
    elif int(wanted) < 1 or int(wanted) > len(full):
        counts = ", ".join(f"{system} {len(files)}" for system, files in sounds.items())
        raise UsageError(
            f"{wanted} clips were asked for; {len(full)} clip(s) of {suite} have a video and a sound of every system "
            f"({len(by_id)} videos; sounds: {counts})."
        )
    else:
        picked = np.random.default_rng(seed).permutation(len(full))[: int(wanted)]
        chosen = [full[index] for index in sorted(picked)]
    for name in (*chosen, *([training] if training and training != "none" else [])):
        _check(name, by_id, sounds, suite)
    spare = [name for name in full if name not in chosen]
    practice = training or (spare[0] if spare else "none")
    return StudyMaterial(
        suite,
        tuple(by_id[name] for name in chosen),
        by_id.get(practice) if practice != "none" else None,
        sounds,
        controls,
    )


def _check(name: str, by_id: Mapping[str, Clip], sounds: Mapping[str, Mapping[str, Path]], suite: str) -> None:
    if name not in by_id:
        raise UsageError(f'{suite} has no clip "{name}" with a video.{did_you_mean(name, by_id)}')
    for system, files in sounds.items():
        if name not in files:
            raise UsageError(f'system "{system}" has no sound for clip "{name}".')
