"""From what a published system made to what is scored: two channels at 44.1 kHz, exactly as long as the clip.

Every choice that the papers leave open is an option with a default, and is written into the provenance of each sound:

* `compression`: how much shorter the system's video was made than the clip, and its sound therefore is; default 1;
* `stretch`: how such a sound gets its length back (`stretch.py`); default `atempo`, both ears together;
* `decoder`: the head that first-order ambisonics are heard by (`suites/ambisonics.py`); default `omnitone`;
* `downmix`: 5.1 to two channels (`downmix.py`); default `bs775`, ITU-R BS.775 at full level.

The sound is taken from its first sample on; what lies beyond the clip is cut off, and up to 50 ms that are missing at
its end are filled with silence. Levels stay as the system made them: only a sound beyond full scale is turned down,
by one gain for both ears. Nothing is normalised. The result has 16-bit values, as the systems' own files have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.baselines.published.contract import Options, Postprocess, ScoredSound
from visaudio_bench.baselines.published.downmix import CHANNELS, Downmix, downmix
from visaudio_bench.baselines.published.stretch import FILTER_VERSION, Stretch, stretch
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.ambisonics import binaural
from visaudio_bench.suites.media import RESAMPLER, Samples, resample, round_to_16_bit, within_full_scale

MAX_PAD_SECONDS = 0.05

Step = dict[str, Any]


@dataclass(frozen=True)
class Choices:
    """What a post-processing reads of a card's options: the clip's length in seconds, and the open choices."""

    seconds: float
    compression: float = 1.0
    stretch: Stretch = "atempo"
    decoder: str = "omnitone"
    downmix: Downmix = "bs775"


class Rendered(NamedTuple):
    """Two channels, and the step that made them."""

    ears: Samples
    step: Step


Render = Callable[[Samples, Choices], Rendered]


def _duplicate(samples: Samples, choices: Choices) -> Rendered:
    del choices
    return Rendered(np.repeat(samples, 2, axis=0), {"step": "duplicate", "to": "both ears"})


def _leave(samples: Samples, choices: Choices) -> Rendered:
    del choices
    return Rendered(samples, {"step": "leave", "order": "left, right"})


def _hear(samples: Samples, choices: Choices) -> Rendered:
    revision = source_revision(binaural)
    step = {"step": "binaural", "order": "W, Y, Z, X", "decoder": choices.decoder, "revision": revision}
    return Rendered(binaural(samples, SAMPLE_RATE, choices.decoder), step)


def _mix(samples: Samples, choices: Choices) -> Rendered:
    step = {"step": "downmix", "order": ", ".join(CHANNELS), "by": choices.downmix}
    return Rendered(downmix(samples, choices.downmix), step)


def _postprocess(channels: int, render: Render) -> Postprocess:
    def finish(samples: NDArray[np.float64], sample_rate: int, options: Options) -> ScoredSound:
        """The sound `(C, N)` of a system at `sample_rate` Hz, finished.

        Raises:
            ClipError: `channels`, `not_finite`, `silent` or `short`: what the system made is not what it promised.
        """
        _require(samples, channels)
        choices = Choices(**{field.name: options[field.name] for field in fields(Choices) if field.name in options})
        covered = choices.compression * choices.seconds
        cut, fitted = _fit(np.asarray(samples, dtype=np.float32), sample_rate, covered)
        resampled = _at_target_rate(cut, sample_rate, round(covered * SAMPLE_RATE))
        ears, rendered = render(resampled, choices)
        steps = [fitted, {"step": "resample", "from": sample_rate, "to": SAMPLE_RATE, "by": RESAMPLER}, rendered]
        if choices.compression != 1:
            ears = stretch(ears, SAMPLE_RATE, round(choices.seconds * SAMPLE_RATE), choices.stretch)
            steps.append(_stretched(choices))
        ears, gain = within_full_scale(ears)
        ears = round_to_16_bit(ears)
        native = {"channels": samples.shape[0], "sample_rate": sample_rate, "samples": samples.shape[1]}
        return ScoredSound(ears, gain, {"native": native, "steps": steps, "gain": gain, **_levels(ears)})

    return finish


POSTPROCESSES: dict[str, Postprocess] = {
    "mono_to_both_ears": _postprocess(1, _duplicate),
    "two_channels": _postprocess(2, _leave),
    "ambisonics_to_binaural": _postprocess(4, _hear),
    "surround_to_two_channels": _postprocess(len(CHANNELS), _mix),
}


def _require(samples: NDArray[np.float64], channels: int) -> None:
    if samples.ndim != 2 or samples.shape[0] != channels:
        raise ClipError(
            "channels",
            f"the system made sound of shape {samples.shape}, and its card promises ({channels}, samples): "
            "the card and the runner disagree.",
        )
    if not np.isfinite(samples).all():
        raise ClipError("not_finite", "the system made sound with values that are not numbers.")
    if not samples.any():
        raise ClipError("silent", "the system made digital silence in every channel.")


def _fit(samples: Samples, sample_rate: int, seconds: float) -> tuple[Samples, Step]:
    """The first `seconds`, padded at the end by at most 50 ms of silence."""
    length = round(seconds * sample_rate)
    missing = length - samples.shape[1]
    if missing > MAX_PAD_SECONDS * sample_rate:
        raise ClipError(
            "short",
            f"the system made {samples.shape[1] / sample_rate:.3f} s of sound; {seconds:g} s were expected, and at "
            f"most {MAX_PAD_SECONDS * 1000:g} ms are filled with silence.",
        )
    step = {"step": "fit", "padded": max(missing, 0), "cut": max(-missing, 0), "sample_rate": sample_rate}
    return _exactly(samples, length), step


def _at_target_rate(samples: Samples, sample_rate: int, length: int) -> Samples:
    resampled = samples if sample_rate == SAMPLE_RATE else resample(samples, sample_rate, SAMPLE_RATE)
    return _exactly(resampled, length)  # resamplers round: a sample more or less


def _exactly(samples: Samples, length: int) -> Samples:
    missing = length - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples[:, :length]


def _stretched(choices: Choices) -> Step:
    step = {"step": "stretch", "to": choices.seconds, "compression": choices.compression, "by": choices.stretch}
    return {**step, "filter": FILTER_VERSION} if choices.stretch == "atempo" else step


def _levels(samples: Samples) -> dict[str, Any]:
    rms = np.sqrt(np.mean(samples.astype(np.float64) ** 2, axis=1))
    return {"peak": float(np.abs(samples).max()), "rms": {"left": float(rms[0]), "right": float(rms[1])}}
