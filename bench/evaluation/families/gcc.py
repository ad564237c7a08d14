"""GCC-MSE and GCC-MAE of BEWO, by its code and by its paper (`metrics.gcc`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.quantity import undefined

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, Ears
    from visaudio_bench.metrics.gcc import WindowDelays
    from visaudio_bench.suites.media import Samples

WORDS = {
    "code": "of 100 windows, as its code compares them",
    "paper": "of windows at or above -16 dBFS, as its paper says",
}


def _metric(kind: str, protocol: str) -> Metric:
    key, squared = f"gcc_{kind}_{protocol}", kind == "mse"
    what = f"{'Squared' if squared else 'Absolute'} difference of a clip's mean time differences"
    return Metric(
        key=key, title=f"GCC-{kind.upper()} {protocol}", unit="1000 ms²" if squared else "µs", better="lower",
        low=0.0, high=9000.0 if squared else 3000.0, perfect=0.0, track="generation",
        family="visaudio_bench.metrics.gcc", quantities=(key,), aggregate=aggregate.mean(key), needs_reference=True,
        default=False, digits=1 if squared else 0, source="Sun et al. 2025 (BEWO)",
        description=f"{what} {WORDS[protocol]}.",
    )  # fmt: skip


class GccDifferences(Family):
    """GCC-MSE and GCC-MAE in two protocols."""

    name = "gcc"
    metrics = tuple(_metric(kind, protocol) for protocol in WORDS for kind in ("mse", "mae"))

    def quantities(self, inputs: ClipInputs) -> Judged:
        """The four differences; the windows of each sound are cached."""
        from visaudio_bench.metrics.gcc import gcc_quantities

        pair = inputs.prediction.ears, inputs.reference.ears
        if not pair[1].timed:
            return binaural({metric.key: undefined("level_only") for metric in self.metrics})
        return binaural(gcc_quantities(*(_delays(ears) for ears in pair)))


def _delays(ears: Ears) -> WindowDelays:
    from visaudio_bench.metrics.gcc import WindowDelays

    return WindowDelays(**cached(partial(_measured, ears.samples), [ears.digest]))


def _measured(samples: Samples) -> dict[str, Any]:
    from visaudio_bench.metrics.gcc import RATE, window_delays
    from visaudio_bench.suites.media import resample

    return window_delays(resample(samples, SAMPLE_RATE, RATE))._asdict()


FAMILY = GccDifferences()
