"""From what a published system made to what is scored: two channels at 44.1 kHz, exactly as long as the clip.

Every choice that the papers leave open is an option with a default, and is written into the provenance of each sound:

* `stretch`: how five seconds become eight again (`stretch.py`); default `atempo`, both ears together;
* `decoder`: the head that first-order ambisonics are heard by (`suites/ambisonics.py`); default `omnitone`;
* `downmix`: 5.1 to two channels (`downmix.py`); default ITU-R BS.775 at full level.

The sound is taken from its first sample on; what lies beyond the clip is cut off, and up to 50 ms that are missing at
its end are filled with silence. Levels stay as the system made them: only a sound beyond full scale is turned down,
by one gain for both ears. Nothing is normalised. The result has 16-bit values, as the systems' own files have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from baselines.published.downmix import CHANNELS, Downmix, downmix
from baselines.published.stretch import FILTER_VERSION, Stretch, stretch
from suites.ambisonics import binaural
from suites.media import RESAMPLER, Samples, resample, round_to_16_bit
from visaudio_bench.errors import ClipError
from visaudio_bench.files import source_revision

SAMPLE_RATE = 44100
MAX_PAD_SECONDS = 0.05

Provenance = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """The open choices, and what depends on the clip.

    Attributes:
        seconds: length of the clip.
        compressed_seconds: length that the clip's video was compressed to for the system, None where it was not;
            the sound of that length is stretched back to `seconds`.
        stretch: `atempo` or `resample`.
        decoder: `omnitone` or `kemar`.
        downmix: `bs775` or `bs775-integer`.
    """

    seconds: float = 8.0
    compressed_seconds: float | None = None
    stretch: Stretch = "atempo"
    decoder: str = "omnitone"
    downmix: Downmix = "bs775"


class Finished(NamedTuple):
    """Two channels `(2, round(seconds * 44100))` float32 within full scale, and how they came to be, JSON-able."""

    samples: Samples
    provenance: Provenance


Postprocess = Callable[[Samples, int, Options], Finished]
Render = Callable[[Samples, Options], tuple[Samples, Provenance]]


def _mono(samples: Samples, options: Options) -> tuple[Samples, Provenance]:
    del options
    return np.repeat(samples, 2, axis=0), {"step": "duplicate", "to": "both ears"}


def _stereo(samples: Samples, options: Options) -> tuple[Samples, Provenance]:
    del options
    return samples, {"step": "none", "channels": "left, right"}


def _ambisonics(samples: Samples, options: Options) -> tuple[Samples, Provenance]:
    heard = binaural(samples, SAMPLE_RATE, options.decoder)
    made = source_revision("suites.ambisonics", "suites.foa_decoders")
    return heard, {"step": "binaural", "order": "W, Y, Z, X", "decoder": options.decoder, "revision": made}


def _surround(samples: Samples, options: Options) -> tuple[Samples, Provenance]:
    return downmix(samples, options.downmix), {"step": "downmix", "order": ", ".join(CHANNELS), "by": options.downmix}


def _postprocess(layout: str, channels: int, render: Render) -> Postprocess:
    def finish(samples: Samples, sample_rate: int, options: Options) -> Finished:
        """The sound `(C, N)` of a system at `sample_rate` Hz, finished.

        Raises:
            ClipError: `channels`, `not_finite`, `silent` or `short`: what the system made is not what it promised.
        """
        _require(samples, layout, channels)
        covered = options.compressed_seconds or options.seconds
        cut, fitted = _fit(samples, sample_rate, covered)
        ears, rendered = render(_at_target_rate(cut, sample_rate, round(covered * SAMPLE_RATE)), options)
        length = round(options.seconds * SAMPLE_RATE)
        steps = [fitted, {"step": "resample", "from": sample_rate, "to": SAMPLE_RATE, "by": RESAMPLER}, rendered]
        if options.compressed_seconds is not None:
            ears = stretch(ears, SAMPLE_RATE, length, options.stretch)
            steps.append(
                {"step": "stretch", "from": covered, "to": options.seconds, "by": options.stretch}
                | ({"filter": FILTER_VERSION} if options.stretch == "atempo" else {})
            )
        ears, gain = within_full_scale(ears)
        ears = round_to_16_bit(ears)
        native = {"layout": layout, "channels": channels, "sample_rate": sample_rate, "samples": samples.shape[1]}
        return Finished(ears, {"native": native, "steps": steps, "gain": gain, **_levels(ears)})

    return finish


# By the layout of the sound that a system makes, as its card names it.
POSTPROCESSES: dict[str, Postprocess] = {
    "mono": _postprocess("mono", 1, _mono),
    "stereo": _postprocess("stereo", 2, _stereo),
    "foa": _postprocess("foa", 4, _ambisonics),
    "5.1": _postprocess("5.1", len(CHANNELS), _surround),
}


def within_full_scale(samples: Samples) -> tuple[Samples, float]:
    """The sound turned down by one gain for all channels where its peak exceeds 1, and that gain (else 1.0)."""
    peak = float(np.abs(samples).max(initial=0))
    if peak <= 1:
        return samples, 1.0
    return np.asarray(samples / np.float32(peak), dtype=np.float32), 1 / peak


def _require(samples: Samples, layout: str, channels: int) -> None:
    if samples.ndim != 2 or samples.shape[0] != channels:
        raise ClipError(
            "channels",
            f"the system made sound of shape {samples.shape}; {layout} sound is ({channels}, samples). "
            "Its card and its runner disagree.",
        )
    if not np.isfinite(samples).all():
        raise ClipError("not_finite", "the system made sound with values that are not numbers.")
    if not samples.any():
        raise ClipError("silent", "the system made digital silence in every channel.")


def _fit(samples: Samples, sample_rate: int, seconds: float) -> tuple[Samples, Provenance]:
    """The first `seconds`, padded at the end by at most 50 ms of silence."""
    length = round(seconds * sample_rate)
    missing = length - samples.shape[1]
    if missing > MAX_PAD_SECONDS * sample_rate:
        raise ClipError(
            "short",
            f"the system made {samples.shape[1] / sample_rate:.3f} s of sound; {seconds:g} s were expected, and at "
            f"most {MAX_PAD_SECONDS * 1000:g} ms are filled with silence.",
        )
    fitted = np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples[:, :length]
    return fitted, {"step": "fit", "padded": max(missing, 0), "cut": max(-missing, 0), "sample_rate": sample_rate}


def _at_target_rate(samples: Samples, sample_rate: int, length: int) -> Samples:
    resampled = samples if sample_rate == SAMPLE_RATE else resample(samples, sample_rate, SAMPLE_RATE)
    missing = length - resampled.shape[1]  # rounding of the resampler: a sample or two
    return np.pad(resampled, ((0, 0), (0, missing))) if missing > 0 else resampled[:, :length]


def _levels(samples: Samples) -> Provenance:
    rms = np.sqrt(np.mean(samples.astype(np.float64) ** 2, axis=1))
    return {"peak": float(np.abs(samples).max()), "rms": {"left": float(rms[0]), "right": float(rms[1])}}
