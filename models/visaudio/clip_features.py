"""What a feature store keeps of a clip: conditions of its pictures and words, latents of its sound."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.files import digest, file_stamp
from visaudio_bench.models.visaudio.codec_interface import Codec
from visaudio_bench.models.visaudio.conditioner_interface import Conditioners
from visaudio_bench.models.visaudio.feature_formats import Storage, pack
from visaudio_bench.models.visaudio.feature_store import FeatureRow
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import probe, read_binaural, scale_to_peak


def features_of(
    clip: Clip, conditioners: Conditioners, codec: Codec, duration: float, storage: Storage
) -> dict[str, Tensor]:
    """Make the tensors of one clip as a store keeps them.

    Args:
        clip: with a binaural sound; pictures and caption may be missing.
        conditioners: look at pictures and words.
        codec: encodes sound.
        duration: seconds from the clip's start that are kept.
        storage: number formats and grid.

    Returns:
        Packed tensors by name: `mean` and `std` of the latents of both ears, and of what the clip has `clip`, `sync`,
        `spatial` and `text`.

    Raises:
        ClipError: the clip has no binaural sound, is too short, silent, or cannot be read.
    """
    if clip.audio is None:
        if clip.video is not None:
            probe(clip.video)  # a file that cannot be opened is refused for that
        raise ClipError("no_audio", f"clip {clip.id} has no sound to learn from.")
    if clip.duration is not None and clip.duration < duration:
        raise ClipError("short", f"clip {clip.id} lasts {clip.duration:g} s, and {duration:g} s are to be learnt from.")
    features = _latents(clip, codec, duration)
    if clip.video is not None:
        conditions = conditioners.encode(clip.video, clip.caption, start=clip.start, duration=duration)
        features |= {"clip": conditions.clip[0], "sync": conditions.sync[0]}
        if conditions.spatial is not None:
            features["spatial"] = conditions.spatial[0]
    caption = training_caption(clip)
    if caption:
        features["text"] = conditioners.encode_text(caption)
    return pack(features, storage)


def training_caption(clip: Clip) -> str | None:
    """The words that are learnt with: those that say which sound is visible, where a suite has them (Section 5.1)."""
    return clip.meta.get("labelled_caption") or clip.caption


@torch.no_grad()
def _latents(clip: Clip, codec: Codec, duration: float) -> dict[str, Tensor]:
    assert clip.audio is not None
    samples = read_binaural(clip.audio, start=clip.start, duration=duration, sample_rate=SAMPLE_RATE).samples
    if float(np.abs(samples).max()) <= 1e-6:
        raise ClipError("silent", f"the sound of clip {clip.id} is silent: there is nothing to learn from.")
    # The peak of both ears together is that of MMAudio's training data; silence that is to be learnt stays silence.
    scaled = samples if clip.meta.get("silent") else scale_to_peak(samples)
    mean, std = codec.encode(torch.from_numpy(scaled)[None])
    return {"mean": mean[0].cpu(), "std": std[0].cpu()}


def code_of(conditioners: Conditioners, codec: Codec) -> str:
    """Name the revision of the source that makes features with these parts.

    Args:
        conditioners: look at pictures and words.
        codec: encodes sound.

    Returns:
        A hash.
    """
    return source_revision(features_of, type(conditioners), type(codec))


def origin_of(clip: Clip, duration: float, code: str) -> str:
    """Identify what a clip's features are made from.

    Args:
        clip: the clip.
        duration: seconds that are kept.
        code: `code_of` the parts.

    Returns:
        A hash of window, caption, size and time of the clip's files, and code.
    """
    files = [file_stamp(path) for path in (clip.video, clip.audio) if path is not None and path.exists()]
    return digest([clip.id, clip.start, duration, training_caption(clip), files, code])


def row_of(clip: Clip, source: str, duration: float, code: str) -> FeatureRow:
    """Make the row of a clip that is about to be written.

    Args:
        clip: the clip.
        source: name of the data that it is from.
        duration: seconds that are kept.
        code: `code_of` the parts.

    Returns:
        The row, without what only writing tells: hash, time, tokens.
    """
    return FeatureRow(clip.id, source, origin_of(clip, duration, code), "", 0.0, 0)
