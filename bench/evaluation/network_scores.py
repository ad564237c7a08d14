"""The judgement of frozen networks on one clip at a time: classes, synchrony, meaning, and the features of sets.

For every prediction: KL-PANN by view, DeSync, IB-Score, and the rows of features that Fréchet distances are computed
from. A quantity that cannot be had says why (`short`, `short_video`, `no_video`); a video whose last frame was held to
fill its clip is scored and says so (`last_frame_held`), and so is DeSync of a sound that was filled with silence
(`padded`). An error that nobody expected costs the scores of its network alone, and is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.frozen_networks import (
    IMAGEBIND_SECONDS,
    SYNC_SECONDS,
    VGGISH_SECONDS,
    Arrays,
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
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, VIEWS
from visaudio_bench.metrics.divergence import kl_divergence
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.metrics.quantity import Quantity, undefined
from visaudio_bench.metrics.semantics import ib_score
from visaudio_bench.metrics.synchrony import desync
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import TOLERANCE, read_binaural

if TYPE_CHECKING:
    from visaudio_bench.models.hear_modules import HearBackbone

Judged = dict[tuple[str, str], Quantity]
BACKBONE_FAILED = "backbone_failed"  # the reason of a HEAR module's error, which no other stage lists
T = TypeVar("T")
Answer = Arrays | ClipError


class NetworkAnswers(NamedTuple):
    """What the networks said of one system's sound for one clip: quantities by name and view, features by network.

    `problems` are the errors that left some of them out, where they were more than a lack of what was to be judged.
    """

    clip: str
    system: str
    quantities: Judged
    features: dict[str, NDArray[np.float32]]
    problems: tuple[ClipError, ...] = ()


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

    Sounds that cannot be read are left out here; scoring lists them. A network that fails costs its own scores of the
    clip, and is among the problems.
    """
    seeing = None
    if clip.video is not None and clip.duration is not None:
        seeing = Seeing(clip.video, clip.start, clip.duration, protocol.frames)
    true: Answer | None = None
    if clip.audio is not None:
        attempts = _Attempts()
        reference = attempts(partial(_hearing, clip.audio, clip, clip.start, protocol))
        true = attempts.answer(panns, nets, "panns", reference)
        features = _features(nets, backbones, reference, attempts)
        if features or attempts.problems:
            yield NetworkAnswers(clip.id, REFERENCE_SET, {}, features, tuple(attempts.problems))
    for system, path in sounds.items():
        attempts = _Attempts()
        hearing = attempts(partial(_hearing, path, clip, 0.0, protocol))
        quantities = _classes(nets, hearing, true, attempts) | _pictures(nets, hearing, seeing, protocol, attempts)
        features = _features(nets, backbones, hearing, attempts)
        yield NetworkAnswers(clip.id, system, quantities, features, tuple(attempts.problems))


class _Attempts:
    """Attempts at one sound of one clip: an error is the answer, and one that nobody expected a problem too."""

    def __init__(self) -> None:
        self.problems: list[ClipError] = []

    def __call__(self, compute: Callable[[], T]) -> T | ClipError:
        """What `compute` gives, or the error that it ended with."""
        try:
            with one_clip():
                return compute()
        except ClipError as error:
            # Of what cannot be read or is too short, scoring says so, or the score itself.
            if error.trace or error.reason == BACKBONE_FAILED:
                self.problems.append(error)
            return error

    def answer(
        self, ask: Callable[[Net, Hearing], Arrays], nets: Mapping[str, Net], name: str, hearing: Hearing | ClipError
    ) -> Answer | None:
        """What a network says of a sound; None without that network."""
        if name not in nets:
            return None
        return hearing if isinstance(hearing, ClipError) else self(partial(ask, nets[name], hearing))


def _hearing(path: Path, clip: Clip, start: float, protocol: Protocol) -> Hearing:
    sound = read_binaural(path, start=start)
    if clip.duration is not None and protocol.window == "clip":
        sound = sound._replace(samples=sound.samples[:, : round(clip.duration * sound.source_rate)])
    return Hearing(sound, clip.duration)


def _features(
    nets: Mapping[str, Net],
    backbones: Mapping[str, HearBackbone],
    hearing: Hearing | ClipError,
    attempts: _Attempts,
) -> dict[str, NDArray[np.float32]]:
    """Rows `(k, 3, d)` of each network that features are taken from; none of sound that is too short for it."""
    if isinstance(hearing, ClipError):
        return {}
    answers: dict[str, Answer | None] = {"panns": attempts.answer(panns, nets, "panns", hearing)}
    if hearing.seconds >= VGGISH_SECONDS:
        answers["vggish"] = attempts.answer(vggish, nets, "vggish", hearing)
    answers |= {name: attempts(partial(scenes, backbone, hearing)) for name, backbone in backbones.items()}
    # VGGish has a row for every 0.96 s, the others have one.
    return {
        name: answer["features"].transpose(1, 0, 2) if name == "vggish" else answer["features"][None]
        for name, answer in answers.items()
        if answer is not None and not isinstance(answer, ClipError)
    }


def _classes(nets: Mapping[str, Net], hearing: Hearing | ClipError, true: Answer | None, attempts: _Attempts) -> Judged:
    """KL-PANN of each view, and `avg`, the mean of left and right; `true` is what PANNs says of the reference."""
    if true is None:
        return {}
    own = attempts.answer(panns, nets, "panns", hearing)
    for answer in (own, true):
        if isinstance(answer, ClipError):
            return {("kl_pann", view): undefined(answer.reason) for view in (*VIEWS, "avg")}
    assert own is not None and not isinstance(own, ClipError) and not isinstance(true, ClipError)
    by_view = dict(zip(VIEWS, kl_divergence(true["logits"], own["logits"]).per_clip, strict=True))
    by_view["avg"] = (by_view["left"] + by_view["right"]) / 2
    return {("kl_pann", view): Quantity(float(value)) for view, value in by_view.items()}


def _pictures(
    nets: Mapping[str, Net],
    hearing: Hearing | ClipError,
    seeing: Seeing | None,
    protocol: Protocol,
    attempts: _Attempts,
) -> Judged:
    """DeSync and IB-Score of the views that the protocol names."""
    kinds = (
        ("synchformer", "desync", protocol.desync_view, _desync, SYNC_SECONDS),
        ("imagebind", "ib_score", protocol.ib_view, _ib_score, IMAGEBIND_SECONDS),
    )
    found: Judged = {}
    for net, name, view, score, least in kinds:
        if net in nets:
            value = attempts(partial(_seen, score, nets, hearing, seeing, protocol, least))
            found[name, view] = undefined(value.reason) if isinstance(value, ClipError) else value
    return found


def _seen(
    score: Callable[[Mapping[str, Net], Hearing, Seeing, Protocol], Quantity],
    nets: Mapping[str, Net],
    hearing: Hearing | ClipError,
    seeing: Seeing | None,
    protocol: Protocol,
    least: float,
) -> Quantity:
    """A score of sound and pictures, or why there is none."""
    if isinstance(hearing, ClipError):
        return undefined(hearing.reason)
    if seeing is None:
        return undefined("no_video")
    # A sound that ends a little early is filled up.
    if min(seeing.duration, hearing.seconds + TOLERANCE) < least:
        return undefined("short")
    return score(nets, hearing, seeing, protocol)


def _desync(nets: Mapping[str, Net], hearing: Hearing, seeing: Seeing, protocol: Protocol) -> Quantity:
    answer = offsets(nets["synchformer"], hearing, seeing, protocol.desync_view)
    found = desync(answer["logits"][None], nan_is_maximum=protocol.nan_logits == "maximum")
    held = int(answer["held"])
    score = _held(float(found.per_clip[0]), held, held, protocol, "nan_logits")
    return score._replace(reason=score.reason or ("padded" if hearing.missing else None))


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
