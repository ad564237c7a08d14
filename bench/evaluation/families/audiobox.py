"""Audiobox Aesthetics: what listeners would say of a sound by itself, predicted on four axes; of the mix.

As its authors' package 0.0.4 scores a stereo file: the mean of the channels at 16 kHz in windows of 10 s. It hears no
reference, sees no picture, and does not ask where a sound comes from.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import METRICS, Metric
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.models.weights import WeightFile

if TYPE_CHECKING:
    import torch

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net

WEIGHTS = WeightFile(
    "audiobox-aesthetics", "audiobox_aesthetics_checkpoint.pt", "CE, CU, PC, PQ", 396_000_000, "CC-BY-4.0",
    "https://dl.fbaipublicfiles.com/audiobox-aesthetics/checkpoint.pt",
    check="visaudio_bench.models.weight_checks:audiobox",
)  # fmt: skip
PACKAGE = "audiobox_aesthetics"


def load(path: Path, device: str, dtype: torch.dtype) -> Any:
    """Load the network.

    Args:
        path: of the checkpoint.
        device: where it computes.
        dtype: not followed: the package takes sound in float32 alone.

    Returns:
        The network, in float32.
    """
    from visaudio_bench.models.backbones.audiobox import load_aesthetics

    del dtype
    return load_aesthetics(path, device)


def _axis(title: str, meaning: str, **other: Any) -> Metric:
    key = f"aes_{title.lower()}"
    return replace(
        METRICS["ib_score"], key=key, title=title, low=None, high=None, digits=2, quantities=(key,), view_choice="",
        aggregate=aggregate.mean(key), weights=(WEIGHTS.name,), default=False, family=__name__,
        description=f"{meaning} of the sound by itself, as Audiobox Aesthetics predicts it on a scale from 1 to 10.",
        source="Tjandra et al. 2025 (Audiobox Aesthetics)", **other,
    )  # fmt: skip


class AudioboxAesthetics(Family):
    """CE, CU, PC and PQ."""

    name = "audiobox"
    networks = (Network(WEIGHTS, load, by_row=("__call__",)),)
    metrics = (
        _axis("CE", "Content enjoyment"),
        _axis("CU", "Content usefulness"),
        _axis("PC", "Production complexity", better="reference"),
        _axis("PQ", "Production quality"),
    )

    @property
    def unavailable(self) -> str:
        """Whether the package is here, which is looked for and not imported."""
        if find_spec(PACKAGE) is not None:
            return ""
        return f'the package {PACKAGE} is not installed. Install it: pip install "visaudio-bench[aesthetics]"'

    def quantities(self, inputs: ClipInputs) -> Judged:
        """The four scores of the mix."""
        scores = heard(inputs.networks[WEIGHTS.name], inputs.prediction.native)["scores"]
        return {(axis.key, "mix"): Quantity(float(score)) for axis, score in zip(self.metrics, scores, strict=True)}


def heard(net: Net, hearing: Hearing) -> Arrays:
    """Ask Audiobox Aesthetics what listeners would say.

    Args:
        net: the network.
        hearing: the sound.

    Returns:
        `scores` `(4,)` of the mix, in the order of `models.backbones.audiobox.AXES`.
    """
    import torch

    from visaudio_bench.models.backbones.waveform import NETWORK_RATE, resample

    def compute() -> Arrays:
        rate = hearing.sound.source_rate
        row = hearing.view("mix")[:, : round(hearing.seconds * rate)]
        row = resample(row, rate, NETWORK_RATE, torch.float32)
        return {"scores": net.module(row.to(net.device))[0].cpu().numpy()}

    return net.answer("scores", compute, hearing)


FAMILY = AudioboxAesthetics()
