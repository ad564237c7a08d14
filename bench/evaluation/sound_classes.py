"""Networks that say what a sound is: their features, and how far the classes of two sounds are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Judged, by_view

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net


def heard(net: Net, hearing: Hearing, *, side: bool = False) -> Arrays:
    """Ask a network what a sound is, at the network's own rate, without its mean.

    Args:
        net: the network.
        hearing: the sound.
        side: ask for its side instead.

    Returns:
        `features` `(3, d)` and `logits` `(3, classes)` of mix, left and right; one row each of the side.
    """
    from visaudio_bench.models.backbones.waveform import to_rate

    def compute() -> Arrays:
        rate = net.module.sample_rate
        rows = to_rate(
            hearing.side if side else hearing.views, hearing.sound.source_rate, rate, hearing.duration, remove_mean=True
        )
        output = net.module(rows.to(net.device))
        return {"features": output.features.cpu().numpy(), "logits": output.logits.cpu().numpy()}

    return net.answer("features of the side" if side else "features", compute, hearing)


def divergence(name: str, net: Net, inputs: ClipInputs) -> Judged:
    """Compare the classes of a prediction with its reference's.

    Args:
        name: of the quantity.
        net: the network.
        inputs: the clip.

    Returns:
        The KL divergence of each view, in nats, and `avg`, the mean of left and right.
    """
    from visaudio_bench.metrics.divergence import kl_divergence

    own, true = (heard(net, sound.native)["logits"] for sound in (inputs.prediction, inputs.reference))
    return by_view(name, kl_divergence(true, own).per_clip.tolist())
