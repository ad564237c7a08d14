"""The frozen parts around a flow network, by name: `built-in` needs no file, `published` is what the paper used.

A checkpoint's notes say with which parts it was trained (`conditioners` and `codec`, their identities as JSON); it is
only ever run with the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from visaudio_bench.errors import BenchError
from visaudio_bench.models.lazy_networks import AsksNetworks, LazyNetwork
from visaudio_bench.models.visaudio.config import BUILT_IN, CODEC_WEIGHTS, ENCODER_WEIGHTS, PUBLISHED, SPATIAL_WEIGHTS

if TYPE_CHECKING:  # both import torch
    from visaudio_bench.models.visaudio.codec_interface import Codec
    from visaudio_bench.models.visaudio.conditioner_interface import Conditioners


class Parts(NamedTuple):
    """What stands before and behind a flow network."""

    conditioners: Conditioners
    codec: Codec

    def notes(self) -> dict[str, str]:
        """What a checkpoint says of them."""
        return {
            "conditioners": json.dumps(dict(self.conditioners.identity)),
            "codec": json.dumps(dict(self.codec.identity)),
        }

    @property
    def networks(self) -> dict[str, LazyNetwork]:
        """The networks of both by name; built-in parts have none."""
        return {name: net for part in self if isinstance(part, AsksNetworks) for name, net in part.networks.items()}

    def with_networks(self, networks: Mapping[str, LazyNetwork]) -> Parts:
        """The same parts, asking these networks instead."""
        conditioners, codec = self.conditioners, self.codec
        if isinstance(conditioners, AsksNetworks):
            conditioners = conditioners.with_networks(networks)
        if isinstance(codec, AsksNetworks):
            codec = codec.with_networks(networks)
        return Parts(conditioners, codec)


def open_parts(
    kind: str, device: str = "cpu", *, spatial: bool = True, encoder: bool = False, later: bool = False
) -> Parts:
    """Open the parts of a name.

    Args:
        kind: `built-in` or `published`.
        device: where networks run.
        spatial: whether spatial features are wanted; a network of 300 M parameters is left out otherwise.
        encoder: whether the codec must encode too.
        later: whether each network is loaded when it is first asked, and not now.

    Returns:
        What looks at pictures and words, and what encodes and decodes sound.

    Raises:
        BenchError: a weight file or a package of the published parts is not here; says how to get it.
    """
    if kind == BUILT_IN:
        from visaudio_bench.models.visaudio.tiny.conditioners import BuiltInConditioners
        from visaudio_bench.models.visaudio.tiny.vocoder import Vocoder

        return Parts(BuiltInConditioners(), Vocoder())
    from visaudio_bench.models.visaudio.published_parts import PublishedCodec, PublishedConditioners

    parts = Parts(PublishedConditioners(device, spatial=spatial), PublishedCodec(device, encoder=encoder))
    if not later:
        _ = [network.module for network in parts.networks.values()]
    return parts


def required_weights(kind: str, *, spatial: bool) -> tuple[str, ...]:
    """Name the weight files that parts are loaded from.

    Args:
        kind: `built-in` or `published`.
        spatial: whether spatial features are wanted.

    Returns:
        Names in the registry; none for `built-in`.
    """
    if kind == BUILT_IN:
        return ()
    return (*ENCODER_WEIGHTS, *((SPATIAL_WEIGHTS,) if spatial else ()), *CODEC_WEIGHTS)


def kind_of(notes: Mapping[str, str]) -> str:
    """Which parts a checkpoint was trained with; files without notes are MMAudio's own.

    Raises:
        BenchError: the notes name parts that this version does not have.
    """
    if "conditioners" not in notes:
        return PUBLISHED
    kind: str = json.loads(notes["conditioners"]).get("conditioners", "")
    if kind not in {BUILT_IN, PUBLISHED}:
        raise BenchError(
            f'the checkpoint was trained with conditioners called "{kind}", and this version has {BUILT_IN} and '
            f"{PUBLISHED}. Was it made by a newer version?"
        )
    return kind


def require_same_parts(parts: Parts, notes: Mapping[str, str], source: str) -> None:
    """Refuse to run a checkpoint with other parts than it was trained with.

    Args:
        parts: which are here.
        notes: of the checkpoint, with the parts it was trained with.
        source: name of the checkpoint, for the message.

    Raises:
        BenchError: a version or a weight file differs.
    """
    for name, text in parts.notes().items():
        if name in notes and json.loads(notes[name]) != json.loads(text):
            raise BenchError(
                f"{source} was trained with the {name} {notes[name]}, and here are {text}: its numbers would mean "
                "something else. Put the same weight files in place, or train again."
            )
