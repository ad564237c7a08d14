"""From a native file to the sound that is scored: the card's promise, its post-processing, wav."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.baselines.published.card import Card
from visaudio_bench.baselines.published.contract import Options, ScoredSound
from visaudio_bench.baselines.published.postprocess import POSTPROCESSES
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.media import read_sound, write_audio


def finish(card: Card, options: Options, native: Path, seconds: float, path: Path) -> dict[str, Any]:
    """Write the two-channel sound of a native file.

    Args:
        card: the system's; it promises the native rate and names the post-processing.
        options: the system's choices, which the post-processing may read.
        native: file as the system's own program wrote it.
        seconds: length of the clip.
        path: where the sound is written, 44.1 kHz, left first.

    Returns:
        What was done, for the record of the sound.

    Raises:
        ClipError: the native sound is not what the card says, is not finite, is silent or too short.
    """
    sound = read_sound(native)
    if card.native is None or sound.sample_rate != card.native.sample_rate:
        promised = card.native.sample_rate if card.native else "nothing"
        raise ClipError("wrong_rate", f"the system made {sound.sample_rate} Hz; its card promises {promised}.")
    process = POSTPROCESSES[card.postprocess]
    done = process(sound.samples.astype(np.float64), sound.sample_rate, {**options, "seconds": seconds})
    _check(card, done, round(seconds * SAMPLE_RATE))
    write_audio(path, done.samples, SAMPLE_RATE)
    return {"postprocess": card.postprocess, **done.record}


def _check(card: Card, done: ScoredSound, length: int) -> None:
    """What every post-processing must keep, in words for whoever writes a new one."""
    samples = done.samples
    if samples.shape != (2, length) or samples.dtype != np.float32 or not np.isfinite(samples).all():
        raise ClipError(
            "postprocess",
            f"post-processing {card.postprocess} gave {samples.shape} {samples.dtype}; "
            f"finite (2, {length}) float32 is expected.",
        )
