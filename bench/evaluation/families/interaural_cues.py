"""Where the sound is: scores and sets of interaural cues (`metrics.interaural_scores`, `metrics.interaural_sets`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs


class InterauralCues(Family):
    """Paired scores where there is a reference, and what can be said of the sound alone."""

    name = "interaural_cues"
    metrics = tuple(metric for metric in METRICS.values() if metric.track == "generation")

    def quantities(self, inputs: ClipInputs) -> Judged:
        """Scores, sums and vectors of the cues' segments."""
        from visaudio_bench.metrics.interaural_scores import clip_quantities, without_time

        true = inputs.reference.ears.cues if inputs.has_reference else None
        ears = inputs.prediction.ears
        quantities = clip_quantities(ears.cues, true)
        return binaural(quantities if ears.timed else without_time(quantities))


FAMILY = InterauralCues()
