"""ImageBind: IB-Score, how near the embeddings of sound and pictures are."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from visaudio_bench.bench.evaluation.family import Family, Judged, Network
from visaudio_bench.metrics.catalogue import METRICS
from visaudio_bench.metrics.quantity import undefined

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs
    from visaudio_bench.bench.evaluation.frozen_networks import Arrays, Hearing, Net, Seeing

CALLS = ("embed_audio", "embed_video")
RATE, SYNC_RATE = Fraction(1, 2), Fraction(25)
SECONDS = 4.0  # it looks at pairs of frames, one every 2 s


class IbScore(Family):
    """IB-Score."""

    name = "imagebind"
    metrics = (METRICS["ib_score"],)
    networks = (Network("imagebind", "visaudio_bench.models.backbones.imagebind:ImageBind", by_row=CALLS),)
    frame_rates = (RATE, SYNC_RATE)

    def quantities(self, inputs: ClipInputs) -> Judged:
        """IB-Score of the view that the protocol names."""
        from visaudio_bench.bench.evaluation.held_frames import of_pictures
        from visaudio_bench.metrics.semantics import ib_score
        from visaudio_bench.suites.media import TOLERANCE

        hearing, seeing, protocol = inputs.prediction.native, inputs.pictures, inputs.protocol
        key = "ib_score", protocol.ib_view
        # A sound that ends a little early is filled up.
        if min(seeing.duration, hearing.seconds + TOLERANCE) < SECONDS:
            return {key: undefined("short")}
        answer = meaning(inputs.networks["imagebind"], hearing, seeing, protocol.ib_view)
        scores = ib_score(answer["video"][None], answer["audio"][None])
        held, sync_held = int(answer["held"]), int(answer["sync_held"])
        return {key: of_pictures(float(scores.per_clip[0]), held, sync_held, protocol, "undefined")}


def meaning(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    """Ask ImageBind what a sound and its pictures mean.

    Args:
        net: the network.
        hearing: the sound.
        seeing: the pictures.
        view: of the sound, `mix`, `left` or `right`.

    Returns:
        `audio` and `video` embeddings `(1024,)`, and how many frames were `held`. `sync_held` is how many Synchformer
        would need held: the reference drops such a clip for both networks.
    """
    video = _video(net, seeing)
    return {
        "audio": _audio(net, hearing, view)["embedding"],
        "video": video["embedding"],
        "held": video["held"],
        "sync_held": video["sync_held"],
    }


def _audio(net: Net, hearing: Hearing, view: str) -> Arrays:
    """Of `left` the mean of both channels is subtracted: so the reference does with the left of a stereo file."""
    from visaudio_bench.models.backbones.imagebind import audio_clips

    def compute() -> Arrays:
        rows = hearing.views[1:] if view == "left" else hearing.view(view)
        clips = audio_clips(rows, hearing.sound.source_rate)[None]
        return {"embedding": net.module.embed_audio(clips.to(net.device))[0].cpu().numpy()}

    return net.answer("audio", compute, hearing, view)


def _video(net: Net, seeing: Seeing) -> Arrays:
    from visaudio_bench.models.backbones.imagebind import video_crops

    def compute() -> Arrays:
        frames, held = seeing.frames(RATE)
        embedding = net.module.embed_video([video_crops(frames).to(net.device)])
        return {"embedding": embedding[0].cpu().numpy(), "held": held, "sync_held": seeing.held(SYNC_RATE)}

    return net.answer("video", compute, seeing)


FAMILY = IbScore()
