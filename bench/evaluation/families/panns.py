"""PANNs Cnn14: distances between sets of its features, one row a clip, and what its classes say of sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.bench.evaluation.sound_classes import divergence, heard
from visaudio_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net


class PannsScores(Family):
    """FD-PANN, KAD-PANN, KL-PANN and IS-PANN."""

    name = "panns"
    metrics = (
        *(METRICS[key] for key in ("fd_pann", "kl_pann", "kad_pann")),
        replace(
            METRICS["fd_pann"], key="is_pann", title="IS-PANN", better="higher", low=1.0, high=527.0, perfect=None,
            features="panns_logits", distance="inception", interval="none", needs_reference=False, default=False,
            family="visaudio_bench.metrics.divergence", source="Salimans et al. 2016; av-benchmark (ISC-PANNS)",
            description="Inception score of the classes of PANNs: each clip certain of its own, all classes alike.",
        ),
    )  # fmt: skip
    networks = (Network("panns", "visaudio_bench.models.backbones.panns:Cnn14"),)

    def quantities(self, inputs: ClipInputs) -> Judged:
        """KL-PANN of each view, and `avg`, the mean of left and right."""
        return divergence("kl_pann", inputs.networks["panns"], inputs)

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip, of features and of logits."""
        answer = heard(networks["panns"], sound.native)
        return {"panns": answer["features"][None], "panns_logits": answer["logits"][None]}


FAMILY = PannsScores()
