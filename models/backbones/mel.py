"""The mel spectrogram between sound at 44.1 kHz and MMAudio's codec: 128 bands, one frame every 512 samples.

Magnitudes of a 2048-point transform on Slaney's scale with Slaney's norm from 0 to 22.05 kHz, natural logarithm. It
is what the VAE was trained on and what the vocoder turns back into sound.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.backbones.waveform import slaney_filters

HOP = 512
BANDS = 128
_FFT = 2048
_FLOOR = 1e-5


class Mel44k(nn.Module):
    """Log-mel spectrogram at 44.1 kHz; its filters and its window are buffers, so that they move with it."""

    mel_basis: Tensor
    hann_window: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = slaney_filters(BANDS, _FFT // 2 + 1, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE)
        self.register_buffer("mel_basis", filters.T.contiguous())
        self.register_buffer("hann_window", torch.hann_window(_FFT, periodic=True, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        """Sound `(..., n)` at 44.1 kHz to log-mel `(..., 128, n // 512)`, float32; `n` of at least 1024.

        Frames are not centred: the sound is mirrored by 768 samples at either end, so that 512 samples make a frame.
        What lies outside [-1, 1] is clipped, as in training.
        """
        flat = x.float().clamp(-1.0, 1.0).reshape(-1, 1, x.shape[-1])
        padded = functional.pad(flat, ((_FFT - HOP) // 2, (_FFT - HOP) // 2), mode="reflect")[:, 0]
        spectrum = torch.view_as_real(
            torch.stft(padded, _FFT, HOP, _FFT, self.hann_window, center=False, return_complex=True)
        )
        magnitude = torch.sqrt(spectrum.square().sum(-1) + 1e-9)
        log_mel = torch.log(torch.matmul(self.mel_basis, magnitude).clamp(min=_FLOOR))
        return log_mel.reshape(*x.shape[:-1], *log_mel.shape[1:])
