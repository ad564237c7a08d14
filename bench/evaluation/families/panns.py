"""PANNs Cnn14: distances between sets of its features, one row a clip, and the divergence of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, Network, by_view
from visaudio_bench.metrics.catalogue import METRICS

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, JudgedSound
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net


def load(path: Path, device: str, dtype: torch.dtype) -> Any:
    """Read the network.

    Args:
        path: its weights.
        device: where it runs.
        dtype: numbers that it computes with.

    Returns:
        PANNs' CNN14.
    """
    from visaudio_bench.models.backbones.panns import Cnn14
    from visaudio_bench.models.weight_loading import load as load_weights

    return load_weights(Cnn14, path, device=device, dtype=dtype)


class PannsScores(Family):
    """FD-PANN, KAD-PANN and KL-PANN."""

    name = "panns"
    metrics = tuple(METRICS[key] for key in ("fd_pann", "kl_pann", "kad_pann"))
    networks = (Network("panns", load),)

    def quantities(self, inputs: ClipInputs) -> Judged:
        """KL-PANN of each view, and `avg`, the mean of left and right."""
        from visaudio_bench.metrics.divergence import kl_divergence

        own, true = (
            heard(inputs.networks["panns"], sound.native)["logits"] for sound in (inputs.prediction, inputs.reference)
        )
        return by_view("kl_pann", kl_divergence(true, own).per_clip.tolist())

    def features(self, sound: JudgedSound, networks: Mapping[str, Net]) -> Mapping[str, NDArray[Any]]:
        """One row a clip."""
        return {"panns": heard(networks["panns"], sound.native)["features"][None]}


def heard(net: Net, hearing: Hearing) -> Arrays:
    """Ask PANNs what a sound is.

    Args:
        net: the network.
        hearing: the sound.

    Returns:
        `features` `(3, 2048)` and `logits` `(3, 527)` of mix, left and right.
    """
    from visaudio_bench.models.backbones.waveform import to_16k

    def compute() -> Arrays:
        rows = to_16k(hearing.views, hearing.sound.source_rate, hearing.duration, remove_mean=True)
        output = net.module(rows.to(net.device))
        return {"features": output.features.cpu().numpy(), "logits": output.logits.cpu().numpy()}

    return net.answer("features", compute, hearing)


FAMILY = PannsScores()
