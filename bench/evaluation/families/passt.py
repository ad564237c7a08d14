"""PaSST: a distance between sets of its features, one row a clip, and what its classes say, as av-benchmark prints it.

FD-PaSST is of the 768 features before the classifier, KL-PaSST and IS-PaSST of the softmax of the 527 logits after it.
av-benchmark (commit 050a5cd, `extract.py` and `evaluate.py`) hears the mix without its mean at 32 kHz, cut or filled
with silence to 10 s; so does this, and each ear besides. Different from there: a clip is as long as its suite says, up
to those 10 s, where `--audio_length` cuts all alike; a sound that cannot be read is listed, not replaced by the next;
divergences are summed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.bench.evaluation.sound_classes import divergence, heard
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.models.weights import WeightFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Net

WEIGHTS = WeightFile(
    "passt", "passt-s-f128-p16-s10-ap.476-swa.pt", "FD-PaSST, KL-PaSST, IS-PaSST", 344_665_734, "Apache-2.0",
    "https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
    size_is_exact=True, sha256="302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
    checksum_from="others' records, which agree", check="visaudio_bench.models.weight_checks:passt",
)  # fmt: skip
SOURCE = "Koutini et al. 2022 (PaSST); Cheng et al. 2025 (MMAudio)"


class PasstScores(Family):
    """FD-PaSST, KL-PaSST and IS-PaSST."""

    name = "passt"
    networks = (Network(WEIGHTS, "visaudio_bench.models.backbones.passt:Passt", by_row=("__call__",)),)
    metrics = (
        replace(
            METRICS["fd_pann"], key="fd_passt", title="FD-PaSST", features="passt", weights=("passt",), default=False,
            description="Fréchet distance of PaSST's features, one row a clip.", source=SOURCE,
        ),
        replace(
            METRICS["kl_pann"], key="kl_passt", title="KL-PaSST", quantities=("kl_passt",), default=False,
            aggregate=aggregate.mean("kl_passt"), weights=("passt",), source=SOURCE,
            description="KL divergence of the classes of PaSST from the reference's, in nats.",
        ),
        replace(
            METRICS["fd_pann"], key="is_passt", title="IS-PaSST", better="higher", low=1.0, high=527.0, perfect=None,
            features="passt_logits", distance="inception", interval="none", needs_reference=False, weights=("passt",),
            family="visaudio_bench.metrics.divergence", default=False, source="Salimans et al. 2016; " + SOURCE,
            description="Inception score of the classes of PaSST: each clip certain of its own, all classes alike.",
        ),
    )  # fmt: skip

    def quantities(self, inputs: ClipInputs) -> Judged:
        """KL-PaSST of each view, and `avg`, the mean of left and right."""
        return divergence("kl_passt", inputs.networks["passt"], inputs)

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip, of features and of logits."""
        answer = heard(networks["passt"], sound.native)
        return {"passt": answer["features"][None], "passt_logits": answer["logits"][None]}


FAMILY = PasstScores()
