"""Sound at 44.1 kHz to the latents of ViSAudio and back: mel spectrogram and VAE one way, VAE and vocoder the other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.models.backbones.bigvgan import BigVgan
from visaudio_bench.models.backbones.mel import HOP, Mel44k
from visaudio_bench.models.backbones.vae import LATENT, Vae
from visaudio_bench.models.weight_loading import load

# samples of a latent frame: a frame of the mel spectrogram, halved in time by the VAE
LATENT_HOP = 2 * HOP


class Codec44k(nn.Module):
    """One channel of sound a row: `encode` to a Gaussian over latents, `decode` latents to sound."""

    sample_rate = SAMPLE_RATE
    latent_dim = LATENT

    def __init__(self, vae: Vae, vocoder: BigVgan):
        super().__init__()
        self.mel = Mel44k()
        self.vae = vae
        self.vocoder = vocoder

    def encode(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Sound `(B, T)` at 44.1 kHz to mean and standard deviation of its latent, each `(B, ceil(T / 1024), 40)`.

        Zeros fill the last latent frame: 8 s are 352,800 samples and 345 latent frames 353,280.
        """
        whole = functional.pad(sound, (0, -sound.shape[-1] % LATENT_HOP))
        return self.vae.encode(self.mel(whole))

    def decode(self, latent: Tensor) -> Tensor:
        """Latent `(B, n, 40)` to sound `(B, 1024 n)` in [-1, 1]."""
        result: Tensor = self.vocoder(self.vae.decode(latent))
        return result


def load_codec(
    vae: Path,
    vocoder: Path,
    *,
    encoder: bool = True,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Codec44k:
    """Build the codec with the weights of the authors' files.

    Args:
        vae: path of `v1-44.pth`.
        vocoder: path of `bigvgan_generator.pt`.
        encoder: whether it can encode; without, it only decodes.
        device: where it computes.
        dtype: of its numbers, apart from those of the spectrogram.

    Returns:
        The codec, frozen.

    Raises:
        BenchError: a file cannot be read, or holds another model.
    """
    codec = Codec44k(
        load(partial(Vae, encoder=encoder), vae, device=device, dtype=dtype),
        load(BigVgan, vocoder, device=device, dtype=dtype),
    )
    return codec.to(device).eval()
