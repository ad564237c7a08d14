"""Sound in front of the networks: exact resampling, the common loading rules, mel filters, Kaldi log-mels.

Plain torch, in the numerics of torchaudio, whose last release imports beside the CUDA build that it was made for
alone (docs/dependencies.md): `resample` and `kaldi_log_mel` give its numbers bit for bit (a test compares where
torchaudio is installed).
Sound is float32 in [-1, 1], `(..., samples)`, rates in Hz.

The rules follow what av-benchmark feeds its networks (its `data/audio_dataset.py`):
VGGish, PANNs and PaSST: mean over channels, mean of the whole file subtracted, resampled, then cut (`to_rate` with
`remove_mean`); Synchformer: the same without the subtraction; ImageBind: every channel kept and nothing cut.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from visaudio_bench.models.backbones.layers import exact_float32

NETWORK_RATE = 16000

_ZERO_CROSSINGS = 6
_ROLLOFF = 0.99


def resample(x: Tensor, source_rate: int, target_rate: int, kernel_dtype: torch.dtype = torch.float64) -> Tensor:
    """Band-limited resampling by a sinc with a Hann-squared-cosine window, 6 zero crossings, cut-off at 0.99 Nyquist.

    Args:
        x: `(..., n)` float32.
        source_rate: rate of `x` in Hz.
        target_rate: wanted rate in Hz.
        kernel_dtype: precision in which the filter is computed before it is rounded to the type of `x`. The
            reference computes it in float64 for VGGish, PANNs and Synchformer and in float32 for ImageBind; the
            results differ by up to 4e-6 of full scale.

    Returns:
        `(..., ceil(n * target_rate / source_rate))`.
    """
    if source_rate == target_rate:
        return x
    common = math.gcd(source_rate, target_rate)
    step, phases = source_rate // common, target_rate // common
    kernel, reach = _sinc_kernel(step, phases, kernel_dtype)
    kernel = kernel.to(device=x.device, dtype=x.dtype)
    flat = functional.pad(x.reshape(-1, 1, x.shape[-1]), (reach, reach + step))
    with exact_float32(x.device):
        y = functional.conv1d(flat, kernel, stride=step).transpose(1, 2).flatten(1)
    return y[:, : -(-phases * x.shape[-1] // step)].reshape(*x.shape[:-1], -1)


@lru_cache(maxsize=16)
def _sinc_kernel(step: int, phases: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Filter `(phases, 1, taps)`, one row for each output phase, and how far it reaches to the left in samples."""
    cutoff = min(step, phases) * _ROLLOFF
    reach = math.ceil(_ZERO_CROSSINGS * step / cutoff)
    taps = torch.arange(-reach, reach + step, dtype=dtype) / step
    # The phase offsets are rounded to float32 before they are added: torchaudio does, and equality is the point here.
    offsets = torch.arange(0, -phases, -1, dtype=torch.float32) / phases
    t = (offsets.to(dtype)[:, None] + taps) * cutoff
    t = t.clamp(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = torch.cos(t * math.pi / _ZERO_CROSSINGS / 2) ** 2
    t = t * math.pi
    sinc = torch.where(t == 0, torch.ones((), dtype=dtype), torch.sin(t) / t)
    return (sinc * (window * (cutoff / step)))[:, None], reach


def to_rate(
    x: Tensor, sample_rate: int, target_rate: int, duration: float | None = None, *, remove_mean: bool = False
) -> Tensor:
    """Bring sound to a rate: mean removed, resampled, cut.

    The mean is that of the whole row and goes before anything else, as the reference does. Nothing is padded: shorter
    sound stays short.

    Args:
        x: `(..., n)`, one channel a row.
        sample_rate: its rate, Hz.
        target_rate: the wanted one, Hz.
        duration: seconds that are kept, None for all.
        remove_mean: whether the mean goes.

    Returns:
        `(..., n')` at `target_rate`.
    """
    if remove_mean:
        x = x - x.mean(-1, keepdim=True)
    y = resample(x, sample_rate, target_rate)
    return y if duration is None else y[..., : int(target_rate * duration)]


def to_16k(x: Tensor, sample_rate: int, duration: float | None = None, *, remove_mean: bool = False) -> Tensor:
    """Bring sound to 16 kHz, where most networks listen, as `to_rate` does.

    Args:
        x: `(..., n)`, one channel a row.
        sample_rate: its rate, Hz.
        duration: seconds that are kept, None for all.
        remove_mean: whether the mean goes.

    Returns:
        `(..., n')` at 16 kHz.
    """
    return to_rate(x, sample_rate, NETWORK_RATE, duration, remove_mean=remove_mean)


def views(binaural: Tensor) -> Tensor:
    """The three views of `(2, n)` as rows `(3, n)`: mix = (left + right) / 2 without any gain, left, right."""
    if binaural.ndim != 2 or len(binaural) != 2:
        raise ValueError(f"expected binaural sound (2, n), got {tuple(binaural.shape)}")
    return torch.cat([binaural.mean(0, keepdim=True), binaural])


def frame(x: Tensor, length: int, hop: int) -> Tensor:
    """Cut sound into overlapping frames; an incomplete tail is dropped.

    Args:
        x: `(..., n)`.
        length: of a frame, samples.
        hop: from one to the next, samples.

    Returns:
        `(..., 1 + (n - length) // hop, length)`, a view.
    """
    return x.unfold(-1, length, hop)


def htk_mel(frequency: Tensor) -> Tensor:
    """The HTK mel scale, `2595 log10(1 + f / 700)`."""
    return 2595.0 * torch.log10(1.0 + frequency / 700.0)


@lru_cache(maxsize=4)
def htk_filters(bands: int, bins: int, low: float, high: float, sample_rate: int) -> Tensor:
    """Make triangles straight in Hz between points evenly spaced in HTK mel.

    Args:
        bands: how many.
        bins: of the spectrum, from 0 to half the rate.
        low: where the first begins, Hz.
        high: where the last ends, Hz.
        sample_rate: Hz.

    Returns:
        `(bins, bands)` float32, peak 1.
    """
    edges = torch.tensor([low, high], dtype=torch.float32)
    points = torch.linspace(float(htk_mel(edges)[0]), float(htk_mel(edges)[1]), bands + 2)
    points = 700.0 * (10.0 ** (points / 2595.0) - 1.0)
    return _triangles(torch.linspace(0, sample_rate // 2, bins), points)


def _triangles(at: Tensor, points: Tensor) -> Tensor:
    """Triangles `(len(at), len(points) - 2)` over neighbouring triples of `points`."""
    widths = points[1:] - points[:-1]
    slopes = points[None, :] - at[:, None]
    rising = -slopes[:, :-2] / widths[:-1]
    falling = slopes[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp(min=0.0)


def slaney_filters(bands: int, bins: int, low: float, high: float, sample_rate: int) -> Tensor:
    """Make triangles straight in Hz between points even on Slaney's mel scale, each of the same area.

    Always made on the CPU in float64 and rounded once: arithmetic on the meta device costs seconds of imports.

    Args:
        bands: how many.
        bins: of the spectrum, from 0 to half the rate.
        low: where the first begins, Hz.
        high: where the last ends, Hz.
        sample_rate: Hz.

    Returns:
        `(bins, bands)` float32.
    """

    def mel(frequency: float) -> float:
        # linear below 1 kHz (15 mel), logarithmic above with 27 mel for a factor of 6.4
        return frequency * 3 / 200 if frequency < 1000 else 15 + 27 * math.log(frequency / 1000) / math.log(6.4)

    points = torch.linspace(mel(low), mel(high), bands + 2, dtype=torch.float64, device="cpu")
    hertz = torch.where(points < 15, points * 200 / 3, 1000 * torch.exp((points - 15) * math.log(6.4) / 27))
    at = torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64, device="cpu")[:, None]
    left, centre, right = hertz[:-2], hertz[1:-1], hertz[2:]
    triangles = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp(min=0.0)
    return (triangles * 2 / (right - left)).float()


_KALDI_FRAME, _KALDI_HOP, _KALDI_FFT = 400, 160, 512


def kaldi_log_mel(x: Tensor, bands: int = 128, low: float = 20.0) -> Tensor:
    """Compute Kaldi's log mel energies of sound at 16 kHz.

    Frames of 25 ms every 10 ms without padding, mean removed frame by frame, pre-emphasis 0.97 (the first sample
    against itself), symmetric Hann window, 512-point power spectrum, triangles straight in Kaldi's mel `1127 ln(1 + f /
    700)` between `low` and 8000 Hz, natural logarithm with float32's epsilon as floor, no dither.

    Args:
        x: `(..., n)`, at least 400 samples.
        bands: how many.
        low: where the first begins, Hz.

    Returns:
        `(..., 1 + (n - 400) // 160, bands)`.
    """
    frames = frame(x, _KALDI_FRAME, _KALDI_HOP)
    frames = frames - frames.mean(-1, keepdim=True)
    previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    window = torch.hann_window(_KALDI_FRAME, periodic=False, dtype=x.dtype, device=x.device)
    spectrum = torch.fft.rfft((frames - 0.97 * previous) * window, n=_KALDI_FFT)
    filters = kaldi_filters(bands, _KALDI_FFT, low, NETWORK_RATE / 2, NETWORK_RATE)
    energy: Tensor = spectrum.abs().square() @ filters.to(x)
    return energy.clamp(min=torch.finfo(torch.float32).eps).log()


@lru_cache(maxsize=4)
def kaldi_filters(bands: int, fft: int, low: float, high: float, sample_rate: int) -> Tensor:
    """Make triangles straight in Kaldi's mel; the bin at half the rate has weight 0.

    Args:
        bands: how many.
        fft: points of the transform.
        low: where the first begins, Hz.
        high: where the last ends, Hz.
        sample_rate: Hz.

    Returns:
        `(fft // 2 + 1, bands)` float32, peak 1.
    """

    def mel(frequency: float) -> float:
        return 1127.0 * math.log(1.0 + frequency / 700.0)

    step = (mel(high) - mel(low)) / (bands + 1)
    left, centre, right = (mel(low) + (torch.arange(bands)[:, None] + edge) * step for edge in (0.0, 1.0, 2.0))
    at = 1127.0 * torch.log(1.0 + sample_rate / fft * torch.arange(fft // 2) / 700.0)[None, :]
    triangles = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp(min=0.0)
    return functional.pad(triangles, (0, 1)).T.contiguous()
