"""Errors of a binauralised clip against its reference: how far the waveforms themselves are apart.

They are for the binauralisation track only, where the system was given the mono mix of the reference and the content is
known. Of generation they say nothing about direction: a correct generation with other content scores worse than mono,
and by `stft` a silent file scores better than either.

Both clips are (2, T) at 16 kHz, left first; the longer one is cut to the shorter one, then each is divided by its own
peak over both channels (resample BEFORE that). The score of a set is the mean over its clips.
With X the short-time spectrum (512-point transform, 400-sample periodic Hann window, hop 160, centred, reflected
edges), Σ over the two channels and means over everything else:

| quantity | definition | unit | better | source |
|---|---|---|---|---|
| `stft` | Σ mean squared difference of the parts (real, imaginary) of X | peak² | lower | Gao & Grauman 2019 |
| `env` | Σ root mean square difference of the envelopes | peak | lower | Morgado et al. 2018 |
| `dphase` | mean angle between the spectra of left minus right | rad | lower | Xu et al. 2021 |
| `snr` | 10 log10 (mean g² + 1e-4) / (mean (p - g)² + 1e-4) | dB | higher | Xu et al. 2021 |
| `wav` | 1000 Σ mean squared difference of the waveforms | 1e-3 peak² | lower | Chen et al. 2025 |

The envelope is the magnitude of the analytic signal of the whole clip; angles are wrapped into [0, π]. A perfect
prediction has 0 in all but `snr`, and none but `dphase` has an upper bound that matters.

Known traps, kept because published numbers have them: because of the 1e-4 a perfect prediction has an SNR that depends
on the clip, about 17 dB; left minus right of a mono prediction is 0, whose angle counts as 0, so that its `dphase` is
about π/2, and noise bins weigh like signal bins; 50 ms of delay cost as much as swapped ears. "MAG" of some papers is
exactly twice `stft` and is not shown. Published values are comparable with this peak normalisation only, and within a
split: print the split.

Functions: `binaural_errors`, `clip_quantities`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from visaudio_bench.errors import ClipError
from visaudio_bench.metrics.quantity import Quantity

ERROR_RATE = 16000
FFT_SIZE, WINDOW, HOP = 512, 400, 160
PEAK_FLOOR = 1e-20
SNR_FLOOR = 1e-4

Audio = npt.NDArray[np.floating] | Tensor


class BinauralErrors(NamedTuple):
    """The errors of one clip, in the units of the module's table.

    Attributes:
        stft: squared distance of the spectra, peak²; lower is better.
        env: root mean square distance of the envelopes, peak; lower is better.
        dphase: mean phase difference of left minus right in rad, [0, π]; lower is better.
        snr: signal over error in dB; higher is better.
        wav: squared distance of the waveforms, 1e-3 peak²; lower is better.
        cropped: number of samples that the longer file was cut by.
    """

    stft: float
    env: float
    dphase: float
    snr: float
    wav: float
    cropped: int


def binaural_errors(prediction: Audio, reference: Audio, sample_rate: int = ERROR_RATE) -> BinauralErrors:
    """Compute the errors of one clip.

    Args:
        prediction: (2, T) floating point, left first.
        reference: (2, T') floating point, left first. The longer one is cut to the shorter one's length.
        sample_rate: Hz of both; must be 16 000.

    Returns:
        STFT and envelope distance, phase difference, SNR and waveform distance, with the number of samples cut off.

    Raises:
        ClipError: reason `wrong_rate`, `not_two_channel`, `not_float`, `short` (under one window) or `not_finite`.

    Example:
        A gain does not count; swapped ears turn the phase of left minus right by π:

        >>> noise = np.random.default_rng(0).standard_normal((2, 16000))
        >>> binaural_errors(0.5 * noise, noise).stft
        0.0
        >>> round(binaural_errors(noise[::-1].copy(), noise).dphase, 2)
        3.14
    """
    if sample_rate != ERROR_RATE:
        raise ClipError("wrong_rate", f"got audio at {sample_rate} Hz, expected {ERROR_RATE} Hz: resample both files")
    p, g = _validated(prediction, "prediction"), _validated(reference, "reference")
    length = min(p.shape[1], g.shape[1])
    cropped = max(p.shape[1], g.shape[1]) - length
    p, g = _peak_normalised(p[:, :length]), _peak_normalised(g[:, :length])
    spectra = _spectra(torch.stack((p, g)))
    difference = p - g
    values = torch.stack(
        (
            torch.view_as_real(spectra[0] - spectra[1]).square().mean((1, 2, 3)).sum(),
            (_envelope(p) - _envelope(g)).square().mean(-1).sqrt().sum(),
            _phase_difference(spectra[:, 0] - spectra[:, 1]),
            10 * torch.log10((g.square().mean() + SNR_FLOOR) / (difference.square().mean() + SNR_FLOOR)),
            1000 * difference.square().mean(-1).sum(),
        )
    )
    stft, env, dphase, snr, wav = values.tolist()
    return BinauralErrors(stft, env, dphase, snr, wav, cropped)


def clip_quantities(prediction: Audio, reference: Audio, sample_rate: int = ERROR_RATE) -> dict[str, Quantity]:
    """Compute the errors of one clip as quantities of a table.

    Args:
        prediction: (2, T) floating point, left first.
        reference: (2, T') floating point, left first.
        sample_rate: Hz of both; must be 16 000.

    Returns:
        The errors by name; each carries the reason `cropped` if the files differ in length.

    Raises:
        ClipError: as `binaural_errors`.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((2, 16000))
        >>> clip_quantities(noise, noise[:, :15000])["wav"]
        Quantity(value=0.0, reason='cropped')
    """
    errors = binaural_errors(prediction, reference, sample_rate)
    reason = "cropped" if errors.cropped else None
    return {name: Quantity(value, reason) for name, value in errors._asdict().items() if name != "cropped"}


def _validated(audio: Audio, side: str) -> Tensor:
    if audio.ndim != 2 or audio.shape[0] != 2:
        raise ClipError(
            "not_two_channel", f"got a {side} of shape {tuple(audio.shape)}, expected (2, samples), left first"
        )
    tensor = torch.as_tensor(audio).detach()
    if not tensor.is_floating_point():
        raise ClipError("not_float", f"got a {side} of {tensor.dtype}, expected floating point: divide int16 by 32768")
    if tensor.shape[1] < WINDOW:
        raise ClipError("short", f"got a {side} of {tensor.shape[1]} samples, expected at least {WINDOW} (one window)")
    if not torch.isfinite(tensor).all():
        raise ClipError("not_finite", f"the {side} holds NaN or infinite samples; expected finite samples")
    return tensor.to(torch.float32)


def _peak_normalised(audio: Tensor) -> Tensor:
    return audio / audio.abs().amax().clamp_min(PEAK_FLOOR)


@lru_cache(maxsize=8)
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


def _spectra(audio: Tensor) -> Tensor:
    """Transform (files, 2, T) into complex spectra (files, 2, 257, frames)."""
    flat = torch.stft(
        audio.flatten(0, 1), FFT_SIZE, HOP, WINDOW, _window(audio.device), pad_mode="reflect", return_complex=True
    )
    return flat.view(*audio.shape[:2], *flat.shape[1:])


def _phase_difference(difference: Tensor) -> Tensor:
    """Average the angle in [0, π] between two complex spectra (2, bins, frames); the angle of a zero is zero."""
    angle = (torch.angle(difference[0]) - torch.angle(difference[1])).abs()
    return torch.minimum(angle, 2 * torch.pi - angle).mean()


def _envelope(audio: Tensor) -> Tensor:
    """Take the magnitude of the analytic signal of the whole clip (2, T): of the clip and its Hilbert transform.

    The inverse transform of real signals drops the first and the Nyquist bin, which the factor has made imaginary.
    """
    quadrature = torch.fft.irfft(-1j * torch.fft.rfft(audio), audio.shape[1])
    return torch.hypot(audio, quadrature)
