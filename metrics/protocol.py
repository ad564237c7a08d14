"""The choices behind the metrics that papers leave open, by name, so that every result can say how it was made.

Two tools that print the same metric disagree for reasons that neither prints: which channel, which windows, what
happens to a clip that does not fit. `Protocol` names each such choice; the default is this benchmark's, and
`AV_BENCHMARK` is what the reference implementation (av-benchmark, commit 050a5cd) does where it differs.

Some choices have one value here, because nobody needs another; they are recorded all the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

View = Literal["mix", "left", "right", "avg"]


@dataclass(frozen=True)
class Protocol:
    """Named choices. `avg` as a view is the mean of the scores of left and right, each against its own side.

    Attributes:
        name: of the protocol, as results record it.
        mix: how two channels become one; without any gain.
        average: what `avg` is: not the score of the rows of both channels pooled into one set, which is less biased.
        kl: the direction of the divergence, of softmaxes over 527 logits, with the natural logarithm.
        frechet_root: how the trace of the root of two covariances is found.
        frames: which frames of a video are taken, by the rules of `suites.frame_selection`: those that FFmpeg's fps
            filter would emit, each at its time, or counted from the first as in the reference implementation, so that
            pictures which begin late are taken for earlier than they are.
        audio_clips: where ImageBind's three clips of 2 s lie in a sound: the last one reaches to its end.
        unpaired: what becomes of clips without a partner.
        window: whether a sound is cut to its clip before its mean is taken off and it is resampled, or after.
        desync_view: the channel that DeSync is of; the reference implementation takes the mix of a stereo file.
        ib_view: the channel that IB-Score is of; the reference implementation takes the left one of a stereo file
            and does not say so.
        frechet_mean: precision of the mean features in a Fréchet distance; the covariances are float64 in both.
        set_distances: what a distance between sets shows: the value less its bias, with an interval, where there are
            enough clips for that; or the plain one that papers print, and no interval.
        short_video: whether the last frame is held to fill the clip, and the clip recorded, or the clip is dropped.
            The reference implementation's frame filter never emits the last frame, so that it drops every video of
            exactly 8 s with up to 30 frames a second.
        nan_logits: whether a clip with a NaN among its offset logits has no score, or the NaN counts as the maximum.
    """

    name: str = "visaudio-bench"
    mix: Literal["half of the sum"] = "half of the sum"
    average: Literal["mean of the scores"] = "mean of the scores"
    kl: Literal["reference || prediction"] = "reference || prediction"
    frechet_root: Literal["eigenvalues, or singular values where singular"] = (
        "eigenvalues, or singular values where singular"
    )
    frames: Literal["fps_filter_from_zero", "fps_filter"] = "fps_filter_from_zero"
    audio_clips: Literal["to the end"] = "to the end"
    unpaired: Literal["listed, and fail the run"] = "listed, and fail the run"
    window: Literal["clip", "file"] = "clip"
    desync_view: View = "mix"
    ib_view: View = "mix"
    frechet_mean: Literal["float64", "float32"] = "float64"
    set_distances: Literal["bias-corrected", "plain"] = "bias-corrected"
    short_video: Literal["hold", "drop"] = "hold"
    nan_logits: Literal["missing", "maximum"] = "missing"

    def record(self) -> dict[str, str]:
        """List the choices for the provenance of a result.

        Returns:
            The choice of every field by the field's name.

        Example:
            >>> AV_BENCHMARK.record()["ib_view"], OURS.record()["ib_view"]
            ('left', 'mix')
        """
        return asdict(self)


OURS = Protocol()
AV_BENCHMARK = Protocol(
    name="av-benchmark",
    frames="fps_filter",
    window="file",
    ib_view="left",
    frechet_mean="float32",
    set_distances="plain",
    short_video="drop",
    nan_logits="maximum",
)

PROTOCOLS = {protocol.name: protocol for protocol in (OURS, AV_BENCHMARK)}
