"""What frozen networks say of sounds and pictures, clip by clip, every answer cached.

A clip is decoded once and goes through every network in all its views. What a network answers is kept under the hash
of what it was given (decoded samples; the bytes of a video file and the window), the hash of its weights and the
source of the code in front of it, so that references and videos are embedded once for all systems and all runs.

Sound goes to the networks from the file's own sample rate, by the resampling that their published scores are made with.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.errors import ClipError
from visaudio_bench.files import digest
from visaudio_bench.metrics.protocol import OURS
from visaudio_bench.models.weights import Located
from visaudio_bench.suites.frame_selection import find_policy
from visaudio_bench.suites.media import TOLERANCE, Sound, read_sampled_frames

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from visaudio_bench.models.hear_modules import HearBackbone
    from visaudio_bench.models.weights import Located
    from visaudio_bench.suites.media import Sound

Arrays = dict[str, Any]
Dtype = Literal["float32", "bfloat16"]

# Imported by name, so that an answer depends on the source of its own network and not on that of the others.
NETWORKS = {
    "vggish": "visaudio_bench.models.backbones.vggish:Vggish",
    "panns": "visaudio_bench.models.backbones.panns:Cnn14",
    "synchformer": "visaudio_bench.models.backbones.synchformer:Synchformer",
    "imagebind": "visaudio_bench.models.backbones.imagebind:ImageBind",
}

SYNC_RATE, IMAGEBIND_RATE = Fraction(25), Fraction(1, 2)
SAMPLES_A_FRAME = 640  # of Synchformer's sound at 16 kHz
# Synchformer compares windows of 4.8 s; ImageBind looks at pairs of frames, one every 2 s.
SYNC_SECONDS, IMAGEBIND_SECONDS = 4.8, 4.0
# One example of VGGish: 96 frames of log-mel.
VGGISH_SECONDS = 0.975


@dataclass(frozen=True)
class Hearing:
    """One sound as the networks are given it: native samples `(2, N)`, and the length of the clip in seconds."""

    sound: Sound
    duration: float | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of samples, rate and length."""
        head = f"{self.sound.samples.shape}/{self.sound.source_rate}/{self.duration}/"
        return hashlib.sha256(head.encode() + np.ascontiguousarray(self.sound.samples).tobytes()).hexdigest()

    @property
    def seconds(self) -> float:
        """Length of what is judged."""
        length: float = self.sound.samples.shape[1] / self.sound.source_rate
        return length if self.duration is None else min(length, self.duration)

    @property
    def missing(self) -> float:
        """How much earlier than its clip the sound ends, seconds to a sample; 0 where it does not."""
        if self.duration is None:
            return 0.0
        rate = self.sound.source_rate
        samples: int = max(0, round(self.duration * rate) - self.sound.samples.shape[1])
        return samples / rate

    @cached_property
    def views(self) -> Tensor:
        """Mix, left and right, `(3, N)`."""
        import torch

        from visaudio_bench.models.backbones.waveform import views

        return views(torch.from_numpy(np.array(self.sound.samples)))

    def view(self, name: str) -> Tensor:
        """One view as a row `(1, N)`."""
        return self.views[("mix", "left", "right").index(name)][None]


@dataclass(frozen=True)
class Seeing:
    """The pictures of one clip, by the bytes of the file, the window, and the rule by which frames are taken."""

    path: Path
    start: float
    duration: float
    policy: str = OURS.frames

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, the window, and the name of the rule."""
        with self.path.open("rb") as file:
            return f"{hashlib.file_digest(file, 'sha256').hexdigest()}/{self.start}/{self.duration}/{self.policy}"

    def count(self, rate: Fraction) -> int:
        """How many frames the window has at `rate`."""
        return int(rate * Fraction(self.duration).limit_denominator(1000))

    @cached_property
    def _sampled(self) -> dict[Fraction, tuple[Any, int]]:
        """Frames for both networks from one decoding, and how many of them hold the last one."""
        rates = [rate for rate in (SYNC_RATE, IMAGEBIND_RATE) if self.count(rate)]
        policy = find_policy(self.policy)
        selects = [partial(policy.select, rate=rate, count=self.count(rate)) for rate in rates]
        sampled = read_sampled_frames(
            self.path, selects, start=self.start, duration=self.duration, as_played=policy.looks_back
        )
        return dict(zip(rates, sampled, strict=True))

    def frames(self, rate: Fraction) -> tuple[Any, int]:
        """Frames `(N, H, W, 3)` uint8 at `rate` by the networks' rule, and how many of them hold the last one.

        Raises:
            ClipError: `short_video` where the video ends more than 0.25 s before the clip.
        """
        frames, held = self._sampled[rate]
        if held > max(1, TOLERANCE * rate):
            missing = float(held / rate)
            raise ClipError(
                "short_video", f"{self.path} ends {missing:.2f} s before its clip of {self.duration:g} s does."
            )
        return frames, held

    def held(self, rate: Fraction) -> int:
        """How many frames at `rate` hold the last one, however many."""
        held: int = self._sampled[rate][1]
        return held


class Net:
    """A frozen network that is loaded when it is first needed and not before."""

    def __init__(self, name: str, weights: Located, device: str, dtype: Dtype = "float32"):
        self.name = name
        self.weights = weights
        self.device = device
        self.dtype = dtype

    @cached_property
    def module(self) -> Any:
        """The network with its weights, on its device."""
        import torch

        from visaudio_bench.models.weight_loading import load

        module, _, network = NETWORKS[self.name].partition(":")
        kind = getattr(importlib.import_module(module), network)
        return load(kind, self.weights.path, device=self.device, dtype=getattr(torch, self.dtype))

    def answer(self, digests: Sequence[str], compute: Callable[[], Arrays]) -> Arrays:
        """What the network says of what has these digests, computed unless it was before."""
        import torch

        # A graphics card rounds otherwise than a processor: what one said is not shown as the other's.
        made_by = [self.weights.sha256, self.dtype, kind_of(self.device)]
        with torch.inference_mode():
            return cached(compute, [*made_by, *digests], NETWORKS[self.name].partition(":")[0])


def kind_of(device: torch.device | str) -> str:
    """`cpu` or `cuda`, whichever card it is."""
    return str(device).partition(":")[0]


def _sound_rows(net: Net, hearing: Hearing) -> Tensor:
    from visaudio_bench.models.backbones.waveform import to_16k

    rows = to_16k(hearing.views, hearing.sound.source_rate, hearing.duration, remove_mean=True)
    return rows.to(net.device)


def vggish(net: Net, hearing: Hearing) -> Arrays:
    """`features` `(3, k, 128)`: mix, left and right, one row for every complete 0.96 s."""

    def compute() -> Arrays:
        return {"features": net.module.embed(_sound_rows(net, hearing)).cpu().numpy()}

    return net.answer(["features", hearing.digest], compute)


def panns(net: Net, hearing: Hearing) -> Arrays:
    """`features` `(3, 2048)` and `logits` `(3, 527)` of mix, left and right."""

    def compute() -> Arrays:
        output = net.module(_sound_rows(net, hearing))
        return {"features": output.features.cpu().numpy(), "logits": output.logits.cpu().numpy()}

    return net.answer(["features", hearing.digest], compute)


def scenes(backbone: HearBackbone, hearing: Hearing) -> Arrays:
    """`features` `(3, width)`: what a HEAR module says of mix, left and right.

    Modules are mono and may look at what else is in a batch: each view is embedded by itself, as it is in the file.
    """

    def compute() -> Arrays:
        import torch

        rate = hearing.sound.source_rate
        views = hearing.views[:, : round(hearing.seconds * rate)]
        return {"features": torch.cat([backbone.embed(view[None], rate) for view in views]).numpy()}

    made_by = [digest(backbone.identity), kind_of(backbone.device)]
    return cached(compute, ["scenes", *made_by, hearing.digest], type(backbone).__module__)


def offsets(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    """`logits` `(2, 21)` of Synchformer for the first and the last 4.8 s, and how many frames were `held`."""

    def compute() -> Arrays:
        import torch

        video, audio = _sync_video(net, seeing), _sync_audio(net, hearing, seeing, view)
        pair = [torch.from_numpy(part["features"])[None].to(net.device) for part in (video, audio)]
        return {"logits": net.module.offset_logits(*pair)[0].cpu().numpy(), "held": video["held"]}

    return net.answer(["offsets", hearing.digest, seeing.digest, view], compute)


def _sync_video(net: Net, seeing: Seeing) -> Arrays:
    from visaudio_bench.models.backbones.synchformer import prepare_frames

    def compute() -> Arrays:
        frames, held = seeing.frames(SYNC_RATE)
        features = net.module.encode_video(prepare_frames(frames)[None].to(net.device))
        return {"features": features[0].cpu().numpy(), "held": held}

    return net.answer(["video", seeing.digest], compute)


def _sync_audio(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    from visaudio_bench.models.backbones.synchformer import segment_log_mel
    from visaudio_bench.models.backbones.waveform import to_16k

    def compute() -> Arrays:
        row = to_16k(hearing.view(view), hearing.sound.source_rate, hearing.duration)
        row = _as_long_as_pictures(row, seeing, hearing)
        return {"features": net.module.encode_audio(segment_log_mel(row).to(net.device))[0].cpu().numpy()}

    return net.answer(["audio", hearing.digest, view], compute)


def _as_long_as_pictures(row: Tensor, seeing: Seeing, hearing: Hearing) -> Tensor:
    """Sound `(1, n)` at 16 kHz, filled with silence or cut to where the pictures end: both have as many segments.

    Raises:
        ClipError: `short` where more than 0.25 s are missing.
    """
    from torch.nn import functional

    wanted = seeing.count(SYNC_RATE) * SAMPLES_A_FRAME
    if hearing.missing > TOLERANCE:
        raise ClipError("short", f"the sound ends {hearing.missing:.2f} s before its clip of {seeing.duration:g} s.")
    return functional.pad(row, (0, wanted - row.shape[-1]))


def meaning(net: Net, hearing: Hearing, seeing: Seeing, view: str) -> Arrays:
    """ImageBind's `audio` and `video` embeddings `(1024,)`, and how many frames were `held`.

    `sync_held` is how many Synchformer would need held: the reference drops such a clip for both networks.
    """
    video = _imagebind_video(net, seeing)
    return {
        "audio": _imagebind_audio(net, hearing, view)["embedding"],
        "video": video["embedding"],
        "held": video["held"],
        "sync_held": video["sync_held"],
    }


def _imagebind_audio(net: Net, hearing: Hearing, view: str) -> Arrays:
    """Of `left` the mean of both channels is subtracted: so the reference does with the left of a stereo file."""
    from visaudio_bench.models.backbones.imagebind import audio_clips

    def compute() -> Arrays:
        rows = hearing.views[1:] if view == "left" else hearing.view(view)
        clips = audio_clips(rows, hearing.sound.source_rate)[None]
        return {"embedding": net.module.embed_audio(clips.to(net.device))[0].cpu().numpy()}

    return net.answer(["audio", hearing.digest, view], compute)


def _imagebind_video(net: Net, seeing: Seeing) -> Arrays:
    from visaudio_bench.models.backbones.imagebind import video_crops

    def compute() -> Arrays:
        frames, held = seeing.frames(IMAGEBIND_RATE)
        embedding = net.module.embed_video([video_crops(frames).to(net.device)])
        return {"embedding": embedding[0].cpu().numpy(), "held": held, "sync_held": seeing.held(SYNC_RATE)}

    return net.answer(["video", seeing.digest], compute)
