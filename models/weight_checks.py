"""Known answers: what a weight file must do to be the one that its authors published.

Each function takes the path of a file and raises `BenchError` when it holds another network, or answers differently.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from visaudio_bench.errors import BenchError
from visaudio_bench.models.backbones.bigvgan import BigVgan, lowpass
from visaudio_bench.models.backbones.imagebind import ImageBind
from visaudio_bench.models.backbones.panns import Cnn14
from visaudio_bench.models.backbones.passt import Passt
from visaudio_bench.models.backbones.synchformer import Synchformer
from visaudio_bench.models.backbones.vae import Vae
from visaudio_bench.models.backbones.vggish import Vggish
from visaudio_bench.models.backbones.waveform import to_16k
from visaudio_bench.models.visaudio.checkpoints import load_network
from visaudio_bench.models.weight_loading import SIGNATURES, load, looks_like, read_state

# Statistics that the smoke test published with VGGish expects of a 1 kHz tone, within 10 %.
_VGGISH_MEAN, _VGGISH_STD, _VGGISH_TOLERANCE = 0.131, 0.238, 0.1


def vggish(path: Path) -> None:
    """The smoke test published with VGGish: mean and deviation of the embedding of 3 s of a 1 kHz tone."""
    network = load(Vggish, path)
    time = torch.linspace(0, 3, 3 * 44100, dtype=torch.float64)
    tone = torch.sin(2 * math.pi * 1000 * time).float()[None]
    # the published numbers are of the network with its last ReLU, which the metric leaves out
    embedding = network.embed(to_16k(tone, 44100)).relu()
    measured = (float(embedding.mean()), float(embedding.std(correction=0)))
    expected = (_VGGISH_MEAN, _VGGISH_STD)
    if any(abs(f - e) > _VGGISH_TOLERANCE * e for f, e in zip(measured, expected, strict=True)):
        raise BenchError(
            f"{path} does not pass the smoke test published with VGGish: the embedding of a 1 kHz tone has mean "
            f"{measured[0]:.3f} and deviation {measured[1]:.3f}, expected {expected[0]} and {expected[1]} within 10 %"
        )


def panns(path: Path) -> None:
    """The Fourier transform and the mel filters stored in the file are those of the 16 kHz variant."""
    stored, computed = load(Cnn14, path).state_dict(), Cnn14(channels=(1,) * 6).state_dict()
    for key in computed:
        if key.startswith(("spectrogram_extractor", "logmel_extractor")):
            difference = float((stored[key] - computed[key]).abs().max())
            if difference > 1e-3 * float(computed[key].abs().max()):
                raise BenchError(
                    f"{path} is not the 16 kHz variant of Cnn14: its {key} differs by {difference:.2g} from a window "
                    "of 512 samples and 64 bands between 50 and 8000 Hz"
                )


def passt(path: Path) -> None:
    """Every key and shape, and no value that is not a number."""
    _finite(path, load(Passt, path))


def audiobox(path: Path) -> None:
    """The architecture, by one key; without the authors' package there is no more to compare with."""
    _is(path, "wavlm_model.mask_emb")


def synchformer(path: Path) -> None:
    """Every key and shape, and no value that is not a number."""
    network = load(Synchformer, path)
    _finite(path, network.transformer)


def imagebind(path: Path) -> None:
    """Every key and shape of the audio and vision halves, and the factor of 20 of audio embeddings."""
    network = load(ImageBind, path)
    scale = float(network.audio_scale)
    if abs(scale - 20.0) > 1e-3:
        raise BenchError(f"{path} is not the published ImageBind: audio embeddings are scaled by {scale:.4g}, not 20")


def vae(path: Path) -> None:
    """Every key and shape, and statistics of mel bands that can be divided by."""
    network = load(Vae, path)
    _finite(path, network.decoder)
    if float(network.data_std.min()) <= 0:
        raise BenchError(f"{path} is damaged: the deviation of a mel band is not positive")


def bigvgan(path: Path) -> None:
    """Every key and shape; the stored filters are those of the published architecture."""
    network = load(BigVgan, path)
    for key, stored in network.named_buffers():
        if float((stored - lowpass()).abs().max()) > 1e-5:
            raise BenchError(f"{path} is not the published BigVGAN-v2: {key} is another filter")


def mmaudio(path: Path) -> None:
    """Every key and shape of one of the flow networks, and statistics of the latent that can be divided by."""
    network = load_network(path)
    _finite(path, network.joint_blocks)
    if float(network.latent_std.min()) <= 0:
        raise BenchError(f"{path} is damaged: the deviation of a channel of the latent is not positive")


def clip(path: Path) -> None:
    """The architecture, by one key; without open_clip there is no more to compare with."""
    _is(path, "visual.positional_embedding 730x1280")


def perception_encoder(path: Path) -> None:
    """The architecture, by one key; without timm there is no more to compare with."""
    _is(path, "pos_embed 1x1025x1024")


def depth_anything(path: Path) -> None:
    """The architecture, by one key; without transformers there is no more to compare with."""
    _is(path, "neck.reassemble_stage.layers.0.projection.weight 48x384x1x1")


def _is(path: Path, signature: str) -> None:
    expected, looks = SIGNATURES[signature], looks_like(read_state(path))
    if looks != expected:
        raise BenchError(f"{path} is not {expected}; it looks like {looks or 'nothing that is known here'}")


def _finite(path: Path, network: torch.nn.Module) -> None:
    for key, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise BenchError(f"{path} is damaged: {key} has values that are not numbers")
