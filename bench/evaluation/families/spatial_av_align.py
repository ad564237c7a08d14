"""Spatial AV-Align of given detections (`metrics.spatial_av_align`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import Metric

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs

COUNTS = ("av_align.hits", "av_align.events")


class SpatialAvAlign(Family):
    """Spatial AV-Align."""

    name = "spatial_av_align"
    metrics = (
        Metric(
            key="av_align", title="Spatial AV-Align", unit="%", better="higher", low=0.0, high=100.0, perfect=None,
            track="generation", family="visaudio_bench.metrics.spatial_av_align", quantities=COUNTS,
            aggregate=aggregate.share(*COUNTS), needs_reference=False, default=False, digits=1,
            source="Shimada et al. 2024 (SAVGBench)",
            description="Share of the sound events given by --companions that lie near a box given there.",
        ),
    )  # fmt: skip

    def quantities(self, inputs: ClipInputs) -> Judged:
        """Counts of the events of the prediction, and of those near a box."""
        from visaudio_bench.metrics.spatial_av_align import EVENT_RATE, Boxes, Events, align_quantities

        events, boxes = inputs.companion.events(), inputs.companion.boxes()
        length = inputs.clip.duration or (events[:, 0].max(initial=0) + 1) / EVENT_RATE
        places, edges = Events(events[:, 0], events[:, 2]), Boxes(boxes[:, 0], boxes[:, 2], boxes[:, 4])
        return binaural(align_quantities(places, edges, length))


FAMILY = SpatialAvAlign()
