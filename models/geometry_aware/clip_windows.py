"""What a feature store keeps of a clip for a geometry-aware network: small pictures, sound at 16 kHz, and responses.

`frames` `(N, 3, H, W)` bytes, ten a second; `sound` `(T, 2)` 16-bit integers at 16 kHz; of simulated scenes also
`responses` `(K, 2, 64, 64)` float16 and their reverberation times `seconds` `(K,)`, one for every half second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE as FULL_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.models.geometry_aware.config import CONFIGS, PICTURE_RATE, SAMPLE_RATE
from visaudio_bench.models.geometry_aware.spectra import response_spectrum, sample_rate_time
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import Frame, iter_frames, read_binaural, resample
from visaudio_bench.suites.simulator.impulse_responses import scene_responses
from visaudio_bench.suites.simulator.truth import read_truth

RESPONSE_EVERY = 0.5  # s
# Names of `bench features build --parts` -> the preset whose pictures they are for.
PARTS = {"windows": "paper", "windows-tiny": "tiny"}


def identity(parts: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a store says of its pictures and of its sounds."""
    height, width = CONFIGS[PARTS[parts]].stored
    pictures = {"conditioners": "pictures", "height": height, "width": width, "rate": PICTURE_RATE}
    return pictures, {"codec": "samples", "rate": SAMPLE_RATE}


def code() -> str:
    """Revision of the source that makes what is kept."""
    return source_revision(windows_of)


def windows_of(clip: Clip, parts: str, duration: float) -> dict[str, Tensor]:
    """Make what a store keeps of one clip.

    Args:
        clip: with a binaural sound and pictures.
        parts: key of `PARTS`, which network it is for: it sets the size of the pictures.
        duration: seconds that are kept.

    Returns:
        Tensors: `sound` (samples, 2) int16 at 16 kHz, `frames` (N, 3, H, W) uint8, ten a second, and, of simulated
        scenes, impulse responses and their reverberation times in seconds.

    Raises:
        ClipError: the clip has no binaural sound or no pictures, is too short, silent, or cannot be read.
    """
    if clip.audio is None or clip.video is None:
        raise ClipError("no_audio" if clip.audio is None else "no_video", f"clip {clip.id} lacks sound or pictures.")
    if clip.duration is not None and clip.duration < duration:
        raise ClipError("short", f"clip {clip.id} lasts {clip.duration:g} s, and {duration:g} s are to be learnt from.")
    ears = read_binaural(clip.audio, start=clip.start, duration=duration, sample_rate=FULL_RATE).samples
    peak = float(np.abs(ears).max())
    if peak <= 1e-6:
        raise ClipError("silent", f"the sound of clip {clip.id} is silent: there is nothing to learn from.")
    low = resample(ears, FULL_RATE, SAMPLE_RATE)
    # Windows are brought to one loudness later: here only no bit is to be wasted, and none lost.
    whole = np.round(low.T * (32000 / max(float(np.abs(low).max()), 1e-9))).astype(np.int16)
    frames = iter_frames(clip.video, fps=PICTURE_RATE, start=clip.start, duration=duration)
    size = CONFIGS[PARTS[parts]].stored
    kept = {
        "sound": torch.from_numpy(np.ascontiguousarray(whole)),
        "frames": torch.stack([resized(picture, size) for _, picture in frames]),
    }
    return kept | _responses(clip, duration)


def resized(picture: Frame, size: tuple[int, int]) -> Tensor:
    """Bring a picture to another size, whatever its shape was.

    Args:
        picture: `(H, W, 3)` uint8.
        size: height and width, pixels.

    Returns:
        `(3, *size)` uint8.
    """
    whole = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    small = functional.interpolate(whole, size=size, mode="bilinear", antialias=True, align_corners=False)
    return small[0].round().clamp(0, 255).to(torch.uint8)


def _responses(clip: Clip, duration: float) -> dict[str, Tensor]:
    if "truth" not in clip.meta:
        return {}
    times = np.arange(RESPONSE_EVERY / 2, duration, RESPONSE_EVERY)
    responses = torch.from_numpy(resample_each(scene_responses(read_truth(clip.meta["truth"]).scene, times)))
    seconds = torch.stack([sample_rate_time(response).mean() for response in responses])
    return {"responses": torch.stack([response_spectrum(r) for r in responses]).half(), "seconds": seconds.float()}


def resample_each(responses: np.ndarray) -> np.ndarray:
    """Responses `(K, 2, N)` at 16 kHz."""
    return np.stack([resample(response, FULL_RATE, SAMPLE_RATE) for response in responses])
