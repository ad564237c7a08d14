"""Synchformer: DeSync, the offset that it sees between sound and pictures."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import undefined

if TYPE_CHECKING:
    from torch import Tensor

    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net, Seeing

RATE = Fraction(25)
CALLS = ("encode_video", "encode_audio", "offset_logits")
SAMPLES_A_FRAME = 640  # of its sound at 16 kHz
SECONDS = 4.8  # of the windows that it compares


class DesyncScore(Family):
    """DeSync."""

    name = "synchformer"
    metrics = (METRICS["desync"],)
    networks = (Network("synchformer", "visaudio_bench.models.backbones.synchformer:Synchformer", by_row=CALLS),)
    frame_rates = (RATE,)

    def quantities(self, inputs: ClipInputs) -> Judged:
        """DeSync of the view that the protocol names."""
        from visaudio_bench.bench.evaluation.held_frames import of_pictures
        from visaudio_bench.metrics.synchrony import desync
        from visaudio_bench.suites.media import TOLERANCE

        hearing, seeing, protocol = inputs.prediction.native, inputs.pictures, inputs.protocol
        key = "desync", protocol.desync_view
        # A sound that ends a little early is filled up.
        if min(seeing.duration, hearing.seconds + TOLERANCE) < SECONDS:
            return {key: undefined("short")}
        answer = offsets(inputs.networks["synchformer"], hearing, seeing, protocol.desync_view)
        scores = desync(answer["logits"][None], nan_is_maximum=protocol.nan_logits == "maximum")
        held = int(answer["held"])
        score = of_pictures(float(scores.per_clip[0]), held, held, protocol, "nan_logits")
        return {key: score._replace(reason=score.reason or ("padded" if hearing.missing else None))}


def offsets(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    """Ask Synchformer how far a sound is from its pictures.

    Args:
        net: the network.
        hearing: the sound.
        seeing: the pictures.
        view: of the sound, `mix`, `left` or `right`.

    Returns:
        `logits` `(2, 21)` for the first and the last 4.8 s, and how many frames were `held`.
    """

    def compute() -> Arrays:
        import torch

        video, audio = _video(net, seeing), _audio(net, hearing, seeing, view)
        pair = [torch.from_numpy(part["features"])[None].to(net.device) for part in (video, audio)]
        return {"logits": net.module.offset_logits(*pair)[0].cpu().numpy(), "held": video["held"]}

    return net.answer("offsets", compute, hearing, seeing, view)


def _video(net: Net, seeing: Seeing) -> Arrays:
    from visaudio_bench.models.backbones.synchformer import prepare_frames

    def compute() -> Arrays:
        frames, held = seeing.frames(RATE)
        features = net.module.encode_video(prepare_frames(frames)[None].to(net.device))
        return {"features": features[0].cpu().numpy(), "held": held}

    return net.answer("video", compute, seeing)


def _audio(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    from visaudio_bench.models.backbones.synchformer import segment_log_mel
    from visaudio_bench.models.backbones.waveform import to_16k

    def compute() -> Arrays:
        row = to_16k(hearing.view(view), hearing.sound.source_rate, hearing.duration)
        row = _as_long_as_pictures(row, seeing, hearing)
        return {"features": net.module.encode_audio(segment_log_mel(row).to(net.device))[0].cpu().numpy()}

    return net.answer("audio", compute, hearing, view)


def _as_long_as_pictures(row: Tensor, seeing: Seeing, hearing: Hearing) -> Tensor:
    """Sound `(1, n)` at 16 kHz, filled with silence or cut to where the pictures end: both have as many segments.

    Raises:
        ClipError: `short` where more than 0.25 s are missing.
    """
    from torch.nn import functional

    from visaudio_bench.suites.media import TOLERANCE

    wanted = seeing.count(RATE) * SAMPLES_A_FRAME
    if hearing.missing > TOLERANCE:
        raise ClipError("short", f"the sound ends {hearing.missing:.2f} s before its clip of {seeing.duration:g} s.")
    return functional.pad(row, (0, wanted - row.shape[-1]))


FAMILY = DesyncScore()
