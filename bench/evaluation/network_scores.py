"""The judgement of families with networks on one clip at a time: quantities, and the features of sets.

An error that nobody expected costs the answers of its family alone, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, Ears, JudgedSound
from visaudio_bench.bench.evaluation.family import Family, Judged
from visaudio_bench.bench.evaluation.family_answers import WRONG, features_of, quantities_of, without
from visaudio_bench.bench.evaluation.frozen_networks import Net, Seeing
from visaudio_bench.bench.evaluation.signal_scores import pictures_of, predicted_ears, read_native, read_reference
from visaudio_bench.errors import ClipError
from visaudio_bench.files import atomic_path
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, arrays_of
from visaudio_bench.metrics.protocol import Protocol
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.suites import Clip
from visaudio_bench.turns import in_turns

T = TypeVar("T")
Nets = Mapping[str, Mapping[str, Net]]
"""The networks of each family, by the names of the family and of the weight file."""


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

    def add(self, answers: NetworkAnswers) -> None:
        """Append the rows of one clip."""
        for network, features in answers.features.items():
            self.rows.setdefault(network, []).append((len(self.clips), features))
        self.clips.append(answers.clip)

    def save(self, path: Path, *, keep: bool = False) -> None:
        """Write everything as `clips`, `<network>` `(R, 3, d)` and `<network>_clip` `(R,)`, atomically.

        With `keep` the rows of other networks that are there stay.
        """
        arrays: dict[str, Any] = {}
        for network, parts in self.rows.items():
            arrays[network] = np.concatenate([features for _, features in parts])
            arrays[f"{network}_clip"] = np.repeat([index for index, _ in parts], [len(part) for _, part in parts])
        clips = list(self.clips)
        if keep and path.is_file():
            clips = _add_networks(clips, arrays, path)
        _write_features(path, clips, arrays)


def _add_networks(clips: Sequence[str], arrays: dict[str, Any], path: Path) -> list[str]:
    """Add to `arrays` what a file has of networks that they lack; returns the clips of both."""
    with arrays_of(path) as stored:
        others = {name: stored[name] for name in stored.files if name != "clips" and name not in arrays}
        place = {clip: index for index, clip in enumerate(clips)}
        moved = np.array([place.setdefault(clip, len(place)) for clip in stored["clips"].tolist()], dtype=int)
        arrays |= {name: moved[rows] if name.endswith("_clip") else rows for name, rows in others.items()}
    return list(place)


def _write_features(path: Path, clips: Sequence[str], arrays: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, clips=np.array(clips), **arrays)


def join_features(paths: Sequence[Path], out: Path) -> None:
    """Write the features of several files as one, those of a network as the first file has them that has some.

    Args:
        paths: of the files, of which some may not be there.
        out: the file; none is written where all are missing.
    """
    clips: list[str] = []
    arrays: dict[str, Any] = {}
    present = [path for path in paths if path.is_file()]
    for path in present:
        clips = _add_networks(clips, arrays, path)
    if present:
        _write_features(out, clips, arrays)


def listen(
    clip: Clip, sounds: Mapping[str, Path], families: Sequence[Family], nets: Nets, protocol: Protocol, at_once: int = 1
) -> Iterator[NetworkAnswers]:
    """Ask families about every sound of one clip.

    Sounds that cannot be read are left out here; scoring lists them. A family that fails costs its own answers of the
    clip, and is among the problems.

    Args:
        clip: the clip.
        sounds: file of each system's sound, by name.
        families: who is asked.
        nets: the networks.
        protocol: of the run.
        at_once: sounds that are in hand at a time. What is asked about several of them goes to networks that another
            process runs in one message.

    Returns:
        An iterator over the answers: of the reference (under `@reference`), and of every system.
    """
    seeing = pictures_of(clip, families, protocol)
    makers = [
        partial(_Judgement, system, partial(_prediction, clip, path, protocol)) for system, path in sounds.items()
    ]
    reference: _Judgement | None = None
    if clip.audio is not None:
        makers.insert(0, partial(_Judgement, REFERENCE_SET, partial(_reference, clip, clip.audio, protocol)))
    for first in range(0, len(makers), at_once):
        several = [make() for make in makers[first : first + at_once]]
        if several[0].system == REFERENCE_SET:
            reference = several[0]
        _do_all([partial(sound.describe, family, nets) for sound in several for family in families], at_once)
        predictions = [sound for sound in several if sound is not reference]
        inputs = _OfTheClip(clip, reference, seeing, protocol, nets)
        _do_all([partial(sound.judge, family, inputs) for sound in predictions for family in families], at_once)
        for sound in several:
            answers = sound.answers(clip, families)
            if sound is not reference or answers.features or answers.problems:
                yield answers


def _do_all(functions: Sequence[Callable[[], None]], at_once: int) -> None:
    if at_once > 1:
        in_turns(functions)
    else:
        for function in functions:
            function()


class _OfTheClip(NamedTuple):
    """What every sound of a clip is judged by."""

    clip: Clip
    reference: _Judgement | None
    seeing: Seeing | None
    protocol: Protocol
    nets: Nets


class _Judgement:
    """One sound of a clip, and what families say of it."""

    def __init__(self, system: str, read: Callable[[], JudgedSound]):
        self.system = system
        self._reading = _Attempts()
        self._sound = self._reading(read)
        self._attempts: dict[str, _Attempts] = {}
        self._features: dict[str, dict[str, NDArray[np.float32]] | ClipError] = {}
        self._quantities: dict[str, Judged] = {}

    def usable(self, family: Family) -> JudgedSound | ClipError:
        """The sound as that family may use it, or why it cannot: of what has no features nothing else is asked."""
        features = self._features.get(family.name)
        return features if isinstance(features, ClipError) else self._sound

    def describe(self, family: Family, nets: Nets) -> None:
        """Ask a family for features."""
        if isinstance(self._sound, JudgedSound):
            attempts = self._attempts[family.name] = _Attempts()
            compute = partial(features_of, family, self._sound, nets[family.name])
            self._features[family.name] = attempts(compute, of_features=True)

    def judge(self, family: Family, given: _OfTheClip) -> None:
        """Ask a family for quantities, after the features of this sound and of the reference."""
        answer: Judged | JudgedSound | ClipError = self.usable(family)
        if isinstance(answer, JudgedSound):
            true = given.reference.usable(family) if given.reference else None
            nets = given.nets[family.name]
            inputs = ClipInputs(given.clip, answer, true, given.seeing, given.protocol, nets)
            answer = self._attempts[family.name](partial(quantities_of, family, inputs))
        if isinstance(answer, ClipError):
            answer = without(family, given.protocol, answer.reason)
        self._quantities[family.name] = answer

    def answers(self, clip: Clip, families: Sequence[Family]) -> NetworkAnswers:
        """All that was said, in the order of the families, whoever was ready first."""
        quantities: dict[tuple[str, str], Quantity] = {}
        features: dict[str, NDArray[np.float32]] = {}
        problems = list(self._reading.problems)
        for family in families:
            quantities |= self._quantities.get(family.name, {})
            rows = self._features.get(family.name, {})
            features |= {} if isinstance(rows, ClipError) else rows
            if family.name in self._attempts:
                problems += self._attempts[family.name].problems
        return NetworkAnswers(clip.id, self.system, quantities, features, tuple(problems))


def _reference(clip: Clip, path: Path, protocol: Protocol) -> JudgedSound:
    return _read(JudgedSound(partial(_true_ears, clip), partial(read_native, path, clip, clip.start, protocol)))


def _prediction(clip: Clip, path: Path, protocol: Protocol) -> JudgedSound:
    return _read(JudgedSound(partial(predicted_ears, clip, path), partial(read_native, path, clip, 0.0, protocol)))


def _true_ears(clip: Clip) -> Ears:
    ears = read_reference(clip)
    assert ears is not None  # only clips that have one come here
    return ears


def _read(sound: JudgedSound) -> JudgedSound:
    """Read here, so that a file that cannot be read is tried once and not by every family."""
    _ = sound.native
    return sound


class _Attempts:
    """Attempts at one sound of one clip: an error is the answer, and one that nobody else tells a problem too."""

    def __init__(self) -> None:
        self.problems: list[ClipError] = []

    def __call__(self, compute: Callable[[], T], *, of_features: bool = False) -> T | ClipError:
        """What `compute` gives, or the error that it ended with."""
        try:
            with one_clip():
                return compute()
        except ClipError as error:
            # Of what cannot be read scoring says so, and of a quantity its row; of features there are no rows.
            if error.trace or error.reason == WRONG or of_features:
                self.problems.append(error)
            return error
