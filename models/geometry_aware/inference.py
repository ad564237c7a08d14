"""Binaural sound of whole clips: windows of 0.63 s, one every 0.1 s, averaged where they overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.geometry_aware.config import PICTURE_RATE, SAMPLE_RATE, SAMPLES
from visaudio_bench.models.geometry_aware.network import GeometryAware, Seen
from visaudio_bench.models.geometry_aware.spectra import loudness_gain, masked, sound_of, spectrum

STEP = 1600  # 0.1 s
AT_ONCE = 16


@torch.no_grad()
def binauralise(network: GeometryAware, mono: Tensor, frames: Tensor, *, mirrored: bool = False) -> Tensor:
    """Make the sound of two ears from a mono sound and pictures.

    Args:
        network: on any device.
        mono: `(T,)` at 16 kHz.
        frames: `(N, 3, H, W)` bytes, ten a second, of the size that the network's crops are taken from.
        mirrored: show it every picture in a mirror, as the control Flipped-Visual does.

    Returns:
        `(2, T)` at 16 kHz, left first.
    """
    device = next(network.parameters()).device
    padded = functional.pad(mono, (0, max(0, SAMPLES - len(mono)))).to(device)
    starts = [*range(0, len(padded) - SAMPLES, STEP), len(padded) - SAMPLES]
    config = network.config
    top, left = (
        (stored - size) // 2 for stored, size in zip(config.stored, (config.height, config.width), strict=True)
    )
    middle = frames[:, :, top : top + config.height, left : left + config.width]
    shown = [min(int((start + SAMPLES / 2) / SAMPLE_RATE * PICTURE_RATE), len(frames) - 1) for start in starts]
    total = torch.zeros(2, len(padded), device=device)
    count = torch.zeros(len(padded), device=device)
    for first in range(0, len(starts), AT_ONCE):
        some = starts[first : first + AT_ONCE]
        pictures = middle[shown[first : first + AT_ONCE]].to(device)
        seen = network.see(pictures.flip(-1) if mirrored else pictures)
        made = ears_of(network, torch.stack([padded[start : start + SAMPLES] for start in some]), seen)
        for start, ears in zip(some, made, strict=True):
            total[:, start : start + SAMPLES] += ears
            count[start : start + SAMPLES] += 1
    return (total / count)[:, : len(mono)]


def ears_of(network: GeometryAware, mono: Tensor, seen: Seen) -> Tensor:
    """Make both ears of windows of mono sound.

    Args:
        network: on the device of the sound.
        mono: `(B, 10080)` at 16 kHz.
        seen: what the network sees in the picture of each window.

    Returns:
        `(B, 2, 10080)`, left first.
    """
    gain = loudness_gain(2 * mono)
    mix = 2 * mono * gain
    parts = spectrum(mix)
    masks = network(parts, seen)
    if masks.ears is not None:
        return sound_of(masked(masks.ears, parts[:, None]), mono.shape[1]) / gain[:, None]
    difference = sound_of(masked(masks.difference, parts), mono.shape[1])
    return torch.stack([mix + difference, mix - difference], 1) / (2 * gain[:, None])
