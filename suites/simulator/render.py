"""From a scene to its files: silent video, reference sound, direction labels, truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.files import write_text
from visaudio_bench.suites.direction_labels import write_labels
from visaudio_bench.suites.media import write_audio, write_video
from visaudio_bench.suites.simulator.hrtf import Samples
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.lenses import PerspectiveLens
from visaudio_bench.suites.simulator.rooms import render
from visaudio_bench.suites.simulator.scenes import Scene, at_times
from visaudio_bench.suites.simulator.sounds import SourceSound, synthesise
from visaudio_bench.suites.simulator.truth import control_times, truth_of
from visaudio_bench.suites.simulator.video import FPS, frames

# Raised whenever the same scene would sound or look different.
RENDERER = "3"

PEAK = 0.7
AMBIENCE = 10 ** (-60 / 20)  # RMS, full scale 1: about that of a quiet room under a source at full level


def clip_files(folder: Path, clip: str) -> tuple[Path, Path, Path]:
    """Name the files of one clip.

    Args:
        folder: of the rendered suite.
        clip: its id.

    Returns:
        Video, sound and truth; the truth is written last, so that it marks the clip as complete.
    """
    return folder / f"{clip}.mp4", folder / f"{clip}.flac", folder / f"{clip}.json"


def labels_file(folder: Path, clip: str) -> Path:
    """Name the file of a clip's direction labels.

    Args:
        folder: of the rendered suite.
        clip: its id.

    Returns:
        Its path, beside the clip's sound.
    """
    return folder / f"{clip}.csv"


def render_files(scene: Scene, folder: Path, size: int) -> None:
    """Write a scene's files; each appears whole or not at all.

    Args:
        scene: what is shown and heard.
        folder: where to.
        size: of the pictures, pixels each way.
    """
    video, audio, truth = clip_files(folder, scene.id)
    sounds = scene_sounds(scene)
    onsets = [sound.onsets for sound in sounds]
    write_video(video, frames(scene, onsets, PerspectiveLens(size)), FPS)
    write_audio(audio, binaural_sound(scene, sounds), SAMPLE_RATE)
    write_labels(labels_file(folder, scene.id), {scene.id: scene_labels(scene, sounds)})
    write_text(truth, json.dumps(truth_of(scene, onsets, RENDERER), separators=(",", ":"), allow_nan=False) + "\n")


def scene_sounds(scene: Scene) -> list[SourceSound]:
    """The dry sound of each source."""
    return [synthesise(source.sound, source.seed, scene.duration) for source in scene.sources]


def binaural_sound(scene: Scene, sounds: Sequence[SourceSound]) -> Samples:
    """Render the reference sound: all sources in their room, brought to a common peak, over a faint ambience.

    One gain for both ears: their level difference is what is measured.

    Args:
        scene: what is heard.
        sounds: the dry sound of each source.

    Returns:
        `(2, T)` at 44.1 kHz, left first.
    """
    times = control_times(scene)
    listener, yaw = at_times(scene.listener, times), at_times(scene.yaw, times)[:, 0]
    mix = np.zeros((2, round(scene.duration * SAMPLE_RATE)), dtype=np.float32)
    for index, (source, sound) in enumerate(zip(scene.sources, sounds, strict=True)):
        path = at_times(source.path, times)
        mix += render(sound.samples, scene.room, path, listener, yaw, seed=scene.seed + index)
    mix *= np.float32(PEAK / np.abs(mix).max())
    mix += ambience(scene.seed, mix.shape[1])
    return mix


def ambience(seed: int, length: int, channels: int = 2) -> Samples:
    """Make faint noise, falling by 6 dB an octave above 200 Hz, independent and equally strong in all channels.

    Args:
        seed: of the noise.
        length: in samples.
        channels: how many.

    Returns:
        `(channels, length)`.
    """
    noise = np.random.default_rng([seed, 1]).standard_normal((channels, length))
    low_pass = scipy.signal.butter(1, 200, fs=SAMPLE_RATE, output="sos")
    dull = scipy.signal.sosfilt(low_pass, noise, axis=-1)
    return np.asarray(AMBIENCE * dull / np.std(dull, axis=-1, keepdims=True), dtype=np.float32)
