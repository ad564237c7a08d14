"""The judgement of frozen networks on one clip at a time: classes, synchrony, meaning, and the features of sets.

For every prediction: KL-PANN by view, DeSync, IB-Score, and the rows of features that Fréchet distances are computed
from. A quantity that cannot be had says why (`short`, `short_video`, `no_video`); a video whose last frame was held to
fill its clip is scored and says so (`last_frame_held`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.frozen_networks import (
    IMAGEBIND_SECONDS,
    SYNC_SECONDS,
    VGGISH_SECONDS,
    Hearing,
    Net,
    Seeing,
    meaning,
    offsets,
    panns,
    scenes,
    vggish,
)
from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, VIEWS
from visaudio_bench.metrics.divergence import kl_divergence
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.metrics.quantity import Quantity, undefined
from visaudio_bench.metrics.semantics import ib_score
from visaudio_bench.metrics.synchrony import desync
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import read_binaural

if TYPE_CHECKING:
    from visaudio_bench.models.hear_modules import HearBackbone

Judged = dict[tuple[str, str], Quantity]


class NetworkAnswers(NamedTuple):
    """What the networks said of one system's sound for one clip: quantities by name and view, features by network."""

    clip: str
    system: str
    quantities: Judged
    features: dict[str, NDArray[np.float32]]


@dataclass
class FeatureRows:
    """Features of a set of clips: for each network the rows `(k, 3, d)` of each clip that has some."""

    clips: list[str] = field(default_factory=list)
    rows: dict[str, list[tuple[int, NDArray[np.float32]]]] = field(default_factory=dict)

    def add(self, heard: NetworkAnswers) -> None:
        """Append the rows of one clip."""
        for network, features in heard.features.items():
            self.rows.setdefault(network, []).append((len(self.clips), features))
        self.clips.append(heard.clip)

    def save(self, path: Path) -> None:
        """Write everything as `clips`, `<network>` `(R, 3, d)` and `<network>_clip` `(R,)`, atomically."""
        arrays: dict[str, Any] = {"clips": np.array(self.clips)}
        for network, parts in self.rows.items():
            arrays[network] = np.concatenate([features for _, features in parts])
            arrays[f"{network}_clip"] = np.repeat([index for index, _ in parts], [len(part) for _, part in parts])
        with atomic_path(path) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)


def listen(
    clip: Clip,
    sounds: Mapping[str, Path],
    nets: Mapping[str, Net],
    protocol: Protocol,
    backbones: Mapping[str, HearBackbone],
) -> Iterator[NetworkAnswers]:
    """What the networks say of the reference (under `@reference`) and of every system's sound for one clip.

    `backbones` are HEAR modules by the name of their features.

    Sounds that cannot be read are left out here; scoring lists them.
    """
    seeing = None
    if clip.video is not None and clip.duration is not None:
        seeing = Seeing(clip.video, clip.start, clip.duration, protocol.frames)
    reference = _hearing(clip.audio, clip, clip.start, protocol) if clip.audio else None
    if reference is not None:
        yield NetworkAnswers(clip.id, REFERENCE_SET, {}, _features(nets, backbones, reference))
    for system, path in sounds.items():
        hearing = _hearing(path, clip, 0.0, protocol)
        if hearing is not None:
            quantities = _classes(nets, hearing, reference) | _pictures(nets, hearing, seeing, protocol)
            yield NetworkAnswers(clip.id, system, quantities, _features(nets, backbones, hearing))


def _hearing(path: Path, clip: Clip, start: float, protocol: Protocol) -> Hearing | None:
    try:
        sound = read_binaural(path, start=start)
    except ClipError:
        return None
    if clip.duration is not None and protocol.window == "clip":
        sound = sound._replace(samples=sound.samples[:, : round(clip.duration * sound.source_rate)])
    return Hearing(sound, clip.duration)


def _features(
    nets: Mapping[str, Net], backbones: Mapping[str, HearBackbone], hearing: Hearing
) -> dict[str, NDArray[np.float32]]:
    """Rows `(k, 3, d)` of each network that features are taken from; none of sound that is too short for it."""
    found: dict[str, NDArray[np.float32]] = {}
    if "vggish" in nets and hearing.seconds >= VGGISH_SECONDS:
        found["vggish"] = vggish(nets["vggish"], hearing)["features"].transpose(1, 0, 2)
    if "panns" in nets:
        found["panns"] = panns(nets["panns"], hearing)["features"][None]
    return found | {name: scenes(backbone, hearing)["features"][None] for name, backbone in backbones.items()}


def _classes(nets: Mapping[str, Net], hearing: Hearing, reference: Hearing | None) -> Judged:
    """KL-PANN of each view, and `avg`, the mean of left and right."""
    if "panns" not in nets or reference is None:
        return {}
    own, true = (panns(nets["panns"], sound)["logits"] for sound in (hearing, reference))
    by_view = dict(zip(VIEWS, kl_divergence(true, own).per_clip, strict=True))
    by_view["avg"] = (by_view["left"] + by_view["right"]) / 2
    return {("kl_pann", view): Quantity(float(value)) for view, value in by_view.items()}


def _pictures(nets: Mapping[str, Net], hearing: Hearing, seeing: Seeing | None, protocol: Protocol) -> Judged:
    """DeSync and IB-Score of the views that the protocol names."""
    found: Judged = {}
    if "synchformer" in nets:
        found["desync", protocol.desync_view] = _guarded(_desync, nets, hearing, seeing, protocol, SYNC_SECONDS)
    if "imagebind" in nets:
        found["ib_score", protocol.ib_view] = _guarded(_ib_score, nets, hearing, seeing, protocol, IMAGEBIND_SECONDS)
    return found


def _guarded(
    score: Callable[[Mapping[str, Net], Hearing, Seeing, Protocol], Quantity],
    nets: Mapping[str, Net],
    hearing: Hearing,
    seeing: Seeing | None,
    protocol: Protocol,
    least: float,
) -> Quantity:
    """A score of sound and pictures, or why there is none."""
    if seeing is None:
        return undefined("no_video")
    if min(seeing.duration, hearing.seconds) < least:
        return undefined("short")
    try:
        return score(nets, hearing, seeing, protocol)
    except ClipError as error:
        return undefined(error.reason)


def _desync(nets: Mapping[str, Net], hearing: Hearing, seeing: Seeing, protocol: Protocol) -> Quantity:
    answer = offsets(nets["synchformer"], hearing, seeing, protocol.desync_view)
    found = desync(answer["logits"][None], nan_is_maximum=protocol.nan_logits == "maximum")
    held = int(answer["held"])
    return _held(float(found.per_clip[0]), held, held, protocol, "nan_logits")


def _ib_score(nets: Mapping[str, Net], hearing: Hearing, seeing: Seeing, protocol: Protocol) -> Quantity:
    answer = meaning(nets["imagebind"], hearing, seeing, protocol.ib_view)
    found = ib_score(answer["video"][None], answer["audio"][None])
    return _held(float(found.per_clip[0]), int(answer["held"]), int(answer["sync_held"]), protocol, "undefined")


def _held(value: float, held: int, sync_held: int, protocol: Protocol, undefined_reason: str) -> Quantity:
    """The reference drops a clip whose last frame would have to be held; this benchmark scores it and says so.

    What drops a clip there is Synchformer's frames, 25 a second, whichever network the score is of; what is said here
    is whether the pictures of this score were held (of the four that ImageBind looks at in 8 s, none is the last).
    """
    if sync_held and protocol.short_video == "drop":
        return undefined("short_video")
    if math.isnan(value):
        return undefined(undefined_reason)
    return Quantity(value, "last_frame_held" if held else None)
