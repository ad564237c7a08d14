"""The angle between mean directions of given ambisonics (`metrics.foa_angle`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.companions import TRUE
from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import Metric

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs


class FoaAngle(Family):
    """Δangular."""

    name = "foa_angle"
    metrics = (
        Metric(
            key="foa_angular", title="Δangular", unit="rad", better="lower", low=0.0, high=3.1416, perfect=0.0,
            track="generation", family="visaudio_bench.metrics.foa_angle", quantities=("foa_angular",),
            aggregate=aggregate.mean("foa_angular"), needs_reference=True, default=False, digits=3,
            source="Liu et al. 2025 (OmniAudio)",
            description="Angle between the mean intensity vectors of ambisonics given by --companions.",
        ),
    )  # fmt: skip

    def quantities(self, inputs: ClipInputs) -> Judged:
        """The angle of the prediction's ambisonics from the true ones."""
        from visaudio_bench.metrics.foa_angle import angle_between, intensity

        files, length = inputs.companion, inputs.clip.duration
        own, true = (intensity(files.field(system, length)) for system in (files.system, TRUE))
        return binaural({"foa_angular": angle_between(own, true)})


FAMILY = FoaAngle()
