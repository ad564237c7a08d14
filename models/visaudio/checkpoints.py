"""Weights of the flow network: MMAudio's public files (into MMAudio or, doubled, into ViSAudio) and our checkpoints.

A checkpoint of ours is one safetensors file with the network's configuration in its metadata, so that it needs no
other file and runs nothing when it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from visaudio_bench.errors import BenchError
from visaudio_bench.files import atomic_path
from visaudio_bench.models.unwrapping import State
from visaudio_bench.models.visaudio.checkpoint_notes import FORMAT, config_in, notes_of
from visaudio_bench.models.visaudio.config import CONFIGS, Config
from visaudio_bench.models.visaudio.network import FlowNetwork, MMAudio, ViSAudio, build
from visaudio_bench.models.weight_loading import Opened, fill, looks_like, narrow, open_weights

# MMAudio's name of a part -> those of the two parts that ViSAudio has in its place.
_DOUBLED = {
    "fused_blocks.": ("single_blocks_l.", "single_blocks_r."),
    "final_layer.": ("final_layer_l.", "final_layer_r."),
}


class WeightOrigins(NamedTuple):
    """Where the weights of a network came from, by its own keys.

    copied: as they are in MMAudio's file. duplicated: in pairs, the same weights for either ear.
    initialised: parts that MMAudio does not have.
    """

    copied: tuple[str, ...]
    duplicated: tuple[str, ...]
    initialised: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{len(self.copied)} tensors copied, {len(self.duplicated)} copied for one ear each, "
            f"{len(self.initialised)} new ({', '.join(_parts(self.initialised)) or 'none'})"
        )


class Loaded(NamedTuple):
    """A network and where its weights came from."""

    network: FlowNetwork
    report: WeightOrigins


def recognise(state: State, source: str) -> Config:
    """Read off a state dict of MMAudio the configuration of ViSAudio that it can start.

    Everything is read off the shapes, so that networks of other sizes than the public ones work as well.

    Args:
        state: names mapped to tensors.
        source: name of the file, for messages.

    Returns:
        The configuration, under its public name where it has one; `.mono` is MMAudio's own.

    Raises:
        BenchError: it is not MMAudio's; says what it looks like.
    """
    _refuse_ours(state, source)
    try:
        joint, fused = _count(state, "joint_blocks."), _count(state, "fused_blocks.")
        hidden, latent_dim, _ = state["audio_input_proj.0.weight"].shape
        text_tokens, text_dim = state["empty_string_feat"].shape
        config = Config(
            name="custom",
            latent_dim=latent_dim,
            hidden=hidden,
            heads=hidden // state["joint_blocks.0.latent_block.attn.q_norm.weight"].shape[0],
            depth=joint + fused,
            fused_depth=fused,
            v2="text_input_proj.2.w1.weight" in state,
            clip_dim=state["empty_clip_feat"].shape[-1],
            sync_dim=state["empty_sync_feat"].shape[-1],
            text_dim=text_dim,
            text_tokens=text_tokens,
        )
    except (KeyError, ValueError, ZeroDivisionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else f"impossible shapes: {error}"
        looks = looks_like(state)
        raise BenchError(
            f"{source} does not hold MMAudio's flow network ({what})."
            + (f" It looks like {looks}." if looks else "")
            + " See: bench weights list"
        ) from error
    return next((known for known in CONFIGS.values() if replace(known, name=config.name) == config), config)


def _refuse_ours(state: State, source: str) -> None:
    if looks_like(state) == ViSAudio.title:
        raise BenchError(
            f"{source} holds the weights of {ViSAudio.title} without what bench train writes beside them, so that its "
            "sizes are not known. Use the file as bench train wrote it"
        )


def load_mmaudio(state: State, config: Config | None = None, *, source: str = "the state dict") -> Loaded:
    """Make a network that begins with MMAudio's weights.

    ViSAudio gets the joint blocks and everything before them once, for both ears; a copy of MMAudio's fused blocks and
    final layer for each ear; and a new spacetime module that changes nothing at first. The tensors are copies: training
    leaves `state` as it is.

    Args:
        state: of any of MMAudio's public files, either version.
        config: what to build; ViSAudio of the file's size when left out. With `dual` False this is MMAudio itself.
        source: name of the file, for messages.

    Returns:
        The network in float32, and which of its tensors were copied, doubled and left as they begin.

    Raises:
        BenchError: keys are missing, unexpected or of another shape.
    """
    _refuse_ours(state, source)
    config = config or recognise(state, source)
    with torch.device("meta"):
        mono, network = MMAudio(config.mono), build(config)
    fill(mono, state, source)
    if isinstance(network, ViSAudio) and config.spacetime:
        network.add_spacetime()
    fresh = network.state_dict()
    taken: dict[str, Tensor] = {}
    duplicated: list[str] = []
    for key, tensor in mono.state_dict().items():
        targets = _targets(key) if config.dual else (key,)
        taken |= {target: tensor.to(torch.float32, copy=True) for target in targets}
        duplicated += targets if len(targets) > 1 else ()
    initialised = tuple(key for key in fresh if key not in taken)
    network.load_state_dict({**taken, **{key: fresh[key] for key in initialised}}, strict=True, assign=True)
    copied = tuple(key for key in taken if key not in duplicated)
    return Loaded(network, WeightOrigins(copied, tuple(duplicated), initialised))


def save_network(network: FlowNetwork, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, atomically.

    Args:
        network: with tensors on any device.
        path: usually `*.safetensors`.
        notes: kept beside the weights (`read_notes`): what they were trained on, the step, ...
    """
    save_state(network.state_dict(), network.config, path, notes)


def save_state(state: State, config: Config, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write weights that are in no network, such as a running average, as a checkpoint of ours.

    Args:
        state: names mapped to tensors.
        config: of the network that they are of.
        path: of the file.
        notes: texts that the file keeps, such as the versions of the parts.
    """
    from safetensors.torch import save_file

    metadata = {**(notes or {}), "format": FORMAT, "config": json.dumps(config.to_dict())}
    with atomic_path(path) as temporary:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata)


def load_network(path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> FlowNetwork:
    """Load the network of a checkpoint of ours, or MMAudio from its authors' file.

    Args:
        path: of the file.
        device: where it computes.
        dtype: of its numbers.

    Returns:
        The network, frozen, in evaluation mode.

    Raises:
        BenchError: the file is missing, damaged or another model's; says which.
    """
    return network_of(open_weights(path), path, device=device, dtype=dtype)


def network_of(
    opened: Opened, path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> FlowNetwork:
    """Load the network of a file that is open already, as `load_network` does.

    Args:
        opened: its weights.
        path: of the file, for notes and messages.
        device: where it computes.
        dtype: of its numbers.

    Returns:
        The network, frozen, in evaluation mode.

    Raises:
        BenchError: the file holds another network; says which.
    """
    return narrow(filled(opened, path), dtype).to(device).eval().requires_grad_(False)


def filled(opened: Opened, path: Path) -> FlowNetwork:
    """The network of a file with the file's own tensors, which are read where they are asked for.

    Args:
        opened: its weights.
        path: of the file, for notes and messages.

    Returns:
        The network.

    Raises:
        BenchError: as `network_of`.
    """
    notes = notes_of(path)
    with torch.device("meta"):
        network = build(config_in(notes)) if notes else MMAudio(recognise(opened.state, str(path)).mono)
    fill(network, opened.state, str(path))
    return network


def _targets(key: str) -> tuple[str, ...]:
    for part, ears in _DOUBLED.items():
        if key.startswith(part):
            return tuple(ear + key.removeprefix(part) for ear in ears)
    return (key,)


def _count(state: State, prefix: str) -> int:
    return len({key.split(".")[1] for key in state if key.startswith(prefix)})


def _parts(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in keys))
