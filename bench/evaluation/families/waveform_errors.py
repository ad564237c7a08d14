"""How far the waveforms themselves are from the reference's (`metrics.binaural_error`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import Quantity

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, Ears
    from visaudio_bench.suites.media import Samples


class WaveformErrors(Family):
    """Distances of spectra, envelopes, phases and samples; for systems that were given the reference's mono mix."""

    name = "waveform_errors"
    metrics = tuple(metric for metric in METRICS.values() if metric.track == "binauralisation")

    def quantities(self, inputs: ClipInputs) -> Judged:
        """The errors, cached by both sounds, because they cost more than all other families of signals together."""
        pair = inputs.prediction.ears, inputs.reference.ears
        values = cached(partial(_errors, *pair), [ears.digest for ears in pair])
        return binaural({name: Quantity(float(value)) for name, value in values.items()})


def _errors(prediction: Ears, reference: Ears) -> Mapping[str, float]:
    from visaudio_bench.metrics.binaural_error import ERROR_RATE, clip_quantities

    errors = clip_quantities(_resampled(prediction, ERROR_RATE), _resampled(reference, ERROR_RATE), ERROR_RATE)
    return {name: quantity.value for name, quantity in errors.items()}


@lru_cache(maxsize=2)  # the reference stays for all systems
def _resampled(ears: Ears, rate: int) -> Samples:
    from visaudio_bench.suites.media import resample

    return resample(ears.samples, SAMPLE_RATE, rate)


FAMILY = WaveformErrors()
