"""Public weight files into networks: strictly, without copies, with an error that says what the file really is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from visaudio_bench.errors import BenchError
from visaudio_bench.models.formats import find_format, header_notes, locate, read_header
from visaudio_bench.models.pickles import read_pickled
from visaudio_bench.models.unwrapping import State, unwrap

# A key that only this model's state dict has, with its shape where sizes of one model differ in nothing else -> what
# the model is called in messages. The first that fits counts.
SIGNATURES = {
    "features.13.weight": "VGGish",
    "conv_block6.bn2.weight": "PANNs Cnn14",
    "time_new_pos_embed 1x768x1x99": "PaSST-S for 10 s",
    "time_new_pos_embed": "another PaSST",
    "wavlm_model.mask_emb": "Audiobox Aesthetics",
    "vfeat_extractor.temp_embed": "Synchformer",
    "modality_trunks.vision.blocks.0.attn.in_proj_weight": "ImageBind",
    "single_blocks_l.0.attn.qkv.weight": "ViSAudio's flow network",
    "text_input_proj.2.w1.weight 2560x896": "MMAudio's flow network, large_44k_v2",
    "fused_blocks.13.attn.qkv.weight 2688x896": "MMAudio's flow network, large_44k",
    "audio_input_proj.0.weight 896x40x7": "MMAudio's flow network, medium_44k",
    "audio_input_proj.0.weight 448x40x7": "MMAudio's flow network, small_44k",
    "audio_input_proj.0.weight 448x20x7": "MMAudio's flow network, small_16k (sound at 16 kHz)",
    "audio_input_proj.0.weight": "MMAudio's flow network",
    "data_mean 1x128x1": "MMAudio's VAE (44.1 kHz)",
    "data_mean 1x80x1": "MMAudio's VAE for sound at 16 kHz",
    "visual.positional_embedding 730x1280": "DFN5B CLIP ViT-H/14 at 378 pixels (open_clip)",
    "visual.positional_embedding 257x1280": "a CLIP ViT-H/14 at 224 pixels (open_clip)",
    "visual.positional_embedding 577x1024": "a CLIP ViT-L/14 at 336 pixels (open_clip)",
    "visual.positional_embedding 257x1024": "a CLIP ViT-L/14 at 224 pixels (open_clip)",
    "vision_model.embeddings.class_embedding": "a CLIP model as transformers stores it; open_clip's own file is needed",
    "attn_pool.latent": "a Perception Encoder of the core family (timm)",
    "blocks.0.gamma_1 1024": "a Perception Encoder of the language family (timm)",
    "pos_embed 1x1025x1024": "the Perception Encoder PE-Spatial L/14 at 448 pixels (timm)",
    "norm_pre.weight": "another vision transformer of timm",
    "ln_pre.weight": "a Perception Encoder as its authors store it; timm's file is needed",
    "neck.reassemble_stage.layers.0.projection.weight 48x384x1x1": "a small Depth Anything (transformers)",
    "neck.reassemble_stage.layers.0.projection.weight": "another Depth Anything (transformers)",
    "depth_head.projects.0.weight": "a Depth Anything as its authors store it; transformers' file is needed",
    "visual.trunk.pos_embed": "an open_clip model with a timm trunk",
    "visual.conv1.weight": "a CLIP model",
    **{
        f"conv_pre.{name} 1536x{bands}x7": f"BigVGAN for {bands} mel bands"
        for bands in (80, 100)
        for name in ("weight_v", "parametrizations.weight.original1", "weight")
    },
    "ups.0.0.weight_v 1536x768x8": "BigVGAN with 256 samples a frame",
    "ups.0.0.weight_v 1536x768x16": "BigVGAN with 512 samples a frame",
    "activation_post.act.alpha": "BigVGAN",
    "conv_pre.weight_g": "a HiFi-GAN vocoder",
    "pca_means": "VGGish's PCA parameters",
}

Network = TypeVar("Network", bound=nn.Module)


def load(
    network: Callable[[], Network],
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Load a frozen network.

    Nothing is initialised first: the network is built without memory and takes the file's tensors as they are, so that
    loading costs the size of the file once.

    Args:
        network: class of a backbone (anything with `title` and `ignored`), or a function that makes one.
        path: the authors' public file, a state dict or a training checkpoint that holds one (`open_weights`).
        device: where to put it.
        dtype: float32 reproduces the published numbers; bfloat16 is several times faster and does not.

    Returns:
        The network in evaluation mode with the weights of `path`.

    Raises:
        BenchError: the file cannot be read, or holds another model.
    """
    with torch.device("meta"):
        built = network()
    fill(built, read_state(path), str(path))
    return narrow(built, dtype).to(device).eval().requires_grad_(False)


def narrow(network: Network, dtype: torch.dtype) -> Network:
    """Turn a network's numbers into another type, except for those parts that it names in `exact`.

    What computes a spectrogram stays in float32: decibels in bfloat16 have two digits.

    Args:
        network: is changed.
        dtype: of its floating-point numbers.

    Returns:
        The network itself.
    """
    exact: tuple[str, ...] = getattr(network, "exact", ())
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_floating_point() and not name.startswith(exact):
            tensor.data = tensor.data.to(dtype)
    return network


class Opened(NamedTuple):
    """What a file of weights holds.

    state: names mapped to tensors, mapped from disk where the format allows it. notes: what a safetensors file says of
    itself. taken: what was unwrapped to get at the weights, for people; empty where nothing was.
    """

    state: State
    notes: Mapping[str, str]
    taken: str


def open_weights(path: Path) -> Opened:
    """The weights in a file, of whatever layout: recognised by its bytes, read without running anything, unwrapped.

    Args:
        path: a file of PyTorch or safetensors, the index of a sharded model, or a folder as model hubs keep it.

    Raises:
        BenchError: there is no such file, or no intact weights in it; says what it is instead.
    """
    files = locate(path)
    taken = "" if files[0] == path else f"read from {', '.join(file.name for file in files)}"
    held = [_read(file) for file in files]
    notes = header_notes(path)
    if len(files) == 1:
        weights = unwrap(held[0], str(files[0]))
    else:
        weights = unwrap(
            {
                name: tensor
                for part, file in zip(held, files, strict=True)
                for name, tensor in unwrap(part, str(file)).state.items()
            },
            str(path),
        )
    return Opened(weights.state, notes, "; ".join(told for told in (taken, weights.taken) if told))


def _read(file: Path) -> Any:
    """All that a file holds."""
    form = find_format(file)
    if form != "safetensors":
        return read_pickled(file, zipped=form == "zip")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    read_header(file)
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise BenchError(f"{file} is not an intact safetensors file ({error}). Get it again") from error


def read_state(path: Path) -> State:
    """The state dict in `path`, as `open_weights` finds it.

    Raises:
        BenchError: as `open_weights`.
    """
    return open_weights(path).state


def fill(network: nn.Module, state: State, source: str) -> None:
    """Give `network` the tensors of `state`, all of them and none else.

    Keys that begin with one of the network's `ignored` prefixes are other parts of a larger public model. A network
    may have more to say: `translate(state)` gives a file's keys other names, `public` is the part of it that has the
    names of the file, and `finish()` does what is left when the tensors are there (once).

    Args:
        network: on any device, also without memory; is changed.
        state: the file's names mapped to tensors.
        source: name of the file, for messages.

    Raises:
        BenchError: keys are missing, unexpected or of another shape; says which, and what the file looks like.
    """
    ignored: tuple[str, ...] = getattr(network, "ignored", ())
    state = getattr(network, "translate", lambda state: state)(state)
    holder: nn.Module = getattr(network, "public", network)
    wanted = holder.state_dict()
    given = {key: tensor for key, tensor in state.items() if key in wanted or not key.startswith(ignored or ("\0",))}
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    shared = [key for key in wanted if key in given]
    misshaped = [key for key in shared if wanted[key].shape != given[key].shape]
    for key in shared:
        if wanted[key].is_floating_point() and not given[key].is_floating_point():
            raise BenchError(
                f"{source} keeps {key} as {_type_of(given[key])}, and numbers with a point are needed: quantised "
                "weights cannot be used. Take the file that they were made from"
            )
    if missing or unexpected or misshaped:
        parts = [_named(len(wanted), "are missing", missing), _named(len(given), "are unexpected", unexpected)]
        if misshaped:
            key = misshaped[0]
            parts.append(
                _named(len(wanted), "have another shape", misshaped)
                + f"; {key} is {tuple(given[key].shape)}, expected {tuple(wanted[key].shape)}"
            )
        title = getattr(network, "title", type(network).__name__)
        looks = looks_like(state)
        raise BenchError(
            f"{source} does not hold the weights of {title}: {'; '.join(part for part in parts if part)}."
            + (f" It looks like {looks}." if looks else "")
            + " See: bench weights list"
        )
    holder.load_state_dict(given, strict=True, assign=True)
    getattr(network, "finish", lambda: None)()


def _type_of(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def looks_like(state: State) -> str:
    """The known model that a state dict belongs to, or an empty string."""
    return next((title for signature, title in SIGNATURES.items() if _fits(state, signature)), "")


def _fits(state: State, signature: str) -> bool:
    key, _, shape = signature.partition(" ")
    return key in state and shape in ("", "x".join(map(str, state[key].shape)))


def _named(total: int, what: str, keys: list[str]) -> str:
    """`12 of 84 keys are missing (conv_block*.bn*.weight 12)`: alike keys are counted together."""
    if not keys:
        return ""
    groups = Counter(re.sub(r"\d+", "*", key) if len(keys) > 3 else key for key in keys)
    shown = ", ".join(f"{name} x{count}" if count > 1 else name for name, count in groups.most_common(4))
    return f"{len(keys)} of {total} keys {what} ({shown}{', …' if len(groups) > 4 else ''})"
