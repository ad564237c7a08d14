"""Binaural sound that a data set keeps as two mono files: put together, sample by sample, in the cache.

The only case in which preparation writes sound at all; nothing is resampled or coded, and the user's files stay as
they are. A joined file is named after its two sources, and made again when they change or the cache was emptied.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path, cache_dir
from visaudio_bench.suites.admission import fingerprint

BLOCK = 1 << 20


def joined_folder() -> Path:
    """Where joined files lie."""
    return cache_dir() / "joined"


def joined_path(left: Path, right: Path, folder: Path) -> Path:
    """Name the two-channel file of two mono files.

    Args:
        left: sound of the left ear.
        right: sound of the right ear.
        folder: of such files.

    Returns:
        Where it lies or will lie; another path when the contents of one of the two change.
    """
    return folder / f"{left.stem}-{right.stem}-{fingerprint(left)}-{fingerprint(right)}.wav"


def join(left: Path, right: Path, folder: Path) -> Path:
    """Put two mono files of one rate together, as long as the shorter, if that has not been done.

    Args:
        left: sound of the left ear.
        right: sound of the right ear.
        folder: where two-channel files lie.

    Returns:
        The two-channel file.

    Raises:
        ClipError: a file cannot be read (`unreadable`), is not mono (`not_mono`), or the rates differ (`corrupt`).
    """
    path = joined_path(left, right, folder)
    if path.is_file():
        return path
    try:
        with soundfile.SoundFile(left) as left_file, soundfile.SoundFile(right) as right_file:
            for file in (left_file, right_file):
                if file.channels != 1:
                    raise ClipError("not_mono", f"{file.name} has {file.channels} channels; one ear has one.")
            if left_file.samplerate != right_file.samplerate:
                raise ClipError(
                    "corrupt", f"{left} has {left_file.samplerate} Hz and {right} {right_file.samplerate} Hz."
                )
            _interleave(path, left_file, right_file)
    except soundfile.LibsndfileError as error:
        raise ClipError("unreadable", f"{left} and {right} cannot be read: {error.error_string}") from error
    return path


def _interleave(path: Path, left_file: soundfile.SoundFile, right_file: soundfile.SoundFile) -> None:
    both = {left_file.subtype, right_file.subtype}  # what holds the samples of both: nothing is rounded or cut off
    subtype = "PCM_16" if both == {"PCM_16"} else "PCM_24" if both <= {"PCM_16", "PCM_24"} else "FLOAT"
    left = min(left_file.frames, right_file.frames)
    with (
        atomic_path(path) as temporary,
        soundfile.SoundFile(temporary, "w", left_file.samplerate, 2, subtype, format="WAV") as out,
    ):
        while left > 0:
            count = min(left, BLOCK)
            out.write(
                np.stack([left_file.read(count, dtype="float32"), right_file.read(count, dtype="float32")], axis=1)
            )
            left -= count
