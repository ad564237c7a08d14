"""From sound files to per-clip quantities: decoding, screening, and the families of metrics."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.score_cache import cached
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.guard import one_clip
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.metrics.screen import screen
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import (
    TOLERANCE,
    probe,
    read_binaural,
    read_sound,
    require_two_channels,
    resample,
)

if TYPE_CHECKING:  # cues do not depend on how files are read
    from visaudio_bench.suites.media import Samples, Sound

# What leaves a prediction without scores. The other flags of the screen are listed, and the prediction is scored.
FATAL = frozenset({"nan", "too_short"})
# The remark on a prediction that ends a little before its clip does.
PADDED = "padded"


class Prediction(NamedTuple):
    """One system's sound file for a clip, and whether the same sound in both ears is an answer of that system's."""

    system: str
    path: Path
    may_be_mono: bool


class ScoringTask(NamedTuple):
    """One clip with every prediction of it, and the metric families to compute."""

    clip: Clip
    predictions: tuple[Prediction, ...]
    families: tuple[str, ...]


class Problem(NamedTuple):
    """Something wrong with a clip or a prediction; `fatal` ones leave it without scores."""

    stage: str
    reason: str
    message: str
    fatal: bool
    trace: str = ""


def problem_of(error: ClipError, stage: str) -> Problem:
    """What an error leaves without scores."""
    return Problem(stage, error.reason, error.message, True, error.trace)


class Scored(NamedTuple):
    """What came out for one prediction."""

    clip: str
    system: str
    quantities: Mapping[str, Quantity]
    problems: tuple[Problem, ...]

    @property
    def scored(self) -> bool:
        """Whether the sound could be judged at all."""
        return not any(problem.fatal for problem in self.problems)


class Ears:
    """Decoded two-channel sound with the features that are computed from it at most once."""

    def __init__(self, samples: Samples):
        self.samples = samples

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the samples and their shape."""
        return hashlib.sha256(
            repr(self.samples.shape).encode() + np.ascontiguousarray(self.samples).tobytes()
        ).hexdigest()

    @cached_property
    def cues(self) -> Any:
        """Interaural cues, from the cache where they are there."""
        from visaudio_bench.metrics.interaural import Cues

        return Cues(**cached(partial(_cues, self.samples), [self.digest]))

    @cached_property
    def at_error_rate(self) -> Samples:
        """The sound at 16 kHz, which waveform distances are defined at."""
        from visaudio_bench.metrics.binaural_error import ERROR_RATE

        return resample(self.samples, SAMPLE_RATE, ERROR_RATE)


def _cues(samples: Samples) -> dict[str, Any]:
    from visaudio_bench.metrics.interaural import interaural_cues

    return interaural_cues(samples)._asdict()


def read_reference(clip: Clip) -> Ears | None:
    """The clip's reference at 44.1 kHz, None where it has none.

    Raises:
        ClipError: there is one, and it cannot be used.
    """
    if clip.audio is None:
        return None
    sound = read_binaural(clip.audio, start=clip.start, duration=clip.duration, sample_rate=SAMPLE_RATE)
    return Ears(sound.samples)


def admit(clip: Clip) -> Problem | None:
    """Whether the clip's reference can be used at all: there, readable, two channels, long enough, not silent.

    Of a suite with references; a clip without one cannot be told from one that a system was not asked for.
    """
    try:
        with one_clip():
            reference = read_reference(clip)
            if reference is None:
                _refuse_without_reference(clip)
            else:
                _refuse_silence(clip, reference)
    except ClipError as error:
        return problem_of(error, "read")
    return None


def _refuse_without_reference(clip: Clip) -> None:
    """Say why a clip has no reference: its video cannot be opened, or brings no sound."""
    if clip.video is None:
        raise ClipError("no_audio", f"clip {clip.id} has no reference sound, and other clips have.")
    if probe(clip.video).sound is None:
        raise ClipError("no_audio", f"clip {clip.id} has no reference sound: {clip.video} has no audio stream.")
    raise ClipError("no_audio", f"clip {clip.id} has no reference sound beside {clip.video}, and other clips have.")


def _refuse_silence(clip: Clip, reference: Ears) -> None:
    if not reference.cues.active.any():
        raise ClipError("silent", f"the reference of clip {clip.id} ({clip.audio}) is silent: it has no direction.")


def score_clip(task: ScoringTask) -> list[Scored]:
    """Every prediction of one clip, judged; the reference is decoded once."""
    try:
        with one_clip():
            reference = read_reference(task.clip)
    except ClipError as error:
        return unscored(task, error)
    return [_score(task, prediction, reference) for prediction in task.predictions]


def unscored(task: ScoringTask, error: ClipError) -> list[Scored]:
    """The predictions of a clip that could not be judged at all; the traceback goes with the first one."""
    first, rest = problem_of(error, "score"), problem_of(error, "score")._replace(trace="")
    problems = [first, *[rest] * (len(task.predictions) - 1)]
    return [Scored(task.clip.id, one.system, {}, (why,)) for one, why in zip(task.predictions, problems, strict=True)]


def _score(task: ScoringTask, prediction: Prediction, reference: Ears | None) -> Scored:
    problems: list[Problem] = []
    quantities: dict[str, Quantity] = {}
    try:
        with one_clip():
            sound = read_sound(prediction.path)
            require_two_channels(prediction.path, sound.samples)
            sound, padded = _filled(task.clip, prediction, sound)
            problems += [*padded, *_screen(task.clip, prediction, sound)]
            if not any(problem.fatal for problem in problems):
                ears = Ears(_as_scored(task.clip, sound))
                # Families that share a function (scores and sets of cues) are computed once.
                for judge in dict.fromkeys(family_quantities(family) for family in task.families):
                    quantities |= judge(ears, reference)
    except ClipError as error:
        # The screen's own code, which scripts know, for what the reader of sound refuses before.
        reason = "nan" if error.reason == "not_finite" else error.reason
        problems.append(problem_of(error, "screen" if reason in FATAL else "score")._replace(reason=reason))
        quantities = {}
    return Scored(task.clip.id, prediction.system, quantities, tuple(problems))


def _filled(clip: Clip, prediction: Prediction, sound: Sound) -> tuple[Sound, list[Problem]]:
    """A prediction that ends up to 0.25 s before its clip, filled with silence, and the remark that says so.

    Codecs cut sounds to whole frames of up to 80 ms; the tolerance is that of references and pictures.

    Raises:
        ClipError: `too_short` where more is missing.
    """
    if clip.duration is None:
        return sound, []
    rate, length = sound.source_rate, sound.samples.shape[1]
    missing = round(clip.duration * rate) - length
    if missing <= 0:
        return sound, []
    if missing > TOLERANCE * rate:
        raise ClipError(
            "too_short", f"{prediction.path}: it lasts {length / rate:.2f} s instead of {clip.duration:.2f} s"
        )
    said = f"{prediction.path}: its last {1000 * missing / rate:.1f} ms are missing and were filled with silence"
    filled = sound._replace(samples=np.pad(sound.samples, ((0, 0), (0, missing))))
    return filled, [Problem("screen", PADDED, said, fatal=False)]


def _screen(clip: Clip, prediction: Prediction, sound: Sound) -> list[Problem]:
    """What is degenerate about a prediction, as the file is."""
    seconds = clip.duration if clip.duration is not None else sound.samples.shape[1] / sound.source_rate
    flags = screen(sound.samples, sound.source_rate, round(seconds * SAMPLE_RATE), SAMPLE_RATE)
    expected = {"identical_channels"} if prediction.may_be_mono else set()
    advice = {"too_short": _shorter(sound)}
    return [
        Problem(
            "screen",
            flag.code,
            f"{prediction.path}: {flag.message}{advice.get(flag.code, '')}",
            flag.code in FATAL,
        )
        for flag in flags
        if flag.code not in expected
    ]


def _shorter(sound: Sound) -> str:
    """The next command, where a sound is short because it was meant to be."""
    there = int(10 * sound.samples.shape[1] / sound.source_rate) / 10
    return f". To judge no more than that of every clip: bench score --duration {there:g}" if there else ""


def _as_scored(clip: Clip, sound: Sound) -> Samples:
    """The prediction at 44.1 kHz, cut to the clip's length."""
    samples = sound.samples
    if sound.source_rate != SAMPLE_RATE:
        samples = resample(samples, sound.source_rate, SAMPLE_RATE)
    return samples if clip.duration is None else samples[:, : round(clip.duration * SAMPLE_RATE)]


Family = Callable[[Ears, Ears | None], Mapping[str, Quantity]]


def family_quantities(name: str) -> Family:
    """How a metric family judges a prediction against its reference.

    The built-in families share cached features. Any other name is an importable module, of a plug-in, with a function
    `clip_quantities(prediction, reference, sample_rate)` of `(2, N)` arrays (the reference may be None) that returns
    `Quantity` values by name.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    judge = importlib.import_module(name).clip_quantities

    def from_plugin(prediction: Ears, reference: Ears | None) -> Mapping[str, Quantity]:
        found: Mapping[str, Quantity] = judge(
            prediction.samples, None if reference is None else reference.samples, SAMPLE_RATE
        )
        return found

    return from_plugin


def _interaural(prediction: Ears, reference: Ears | None) -> Mapping[str, Quantity]:
    from visaudio_bench.metrics.interaural_scores import clip_quantities

    return clip_quantities(prediction.cues, None if reference is None else reference.cues)


def _binaural_error(prediction: Ears, reference: Ears | None) -> Mapping[str, Quantity]:
    """Waveform distances, cached by both sounds, because they cost more than everything else together."""
    from visaudio_bench.metrics.binaural_error import ERROR_RATE, clip_quantities

    if reference is None:
        return {}

    def compute() -> Mapping[str, float]:
        found = clip_quantities(prediction.at_error_rate, reference.at_error_rate, ERROR_RATE)
        return {name: quantity.value for name, quantity in found.items()}

    values = cached(compute, [prediction.digest, reference.digest])
    return {name: Quantity(float(value)) for name, value in values.items()}


BUILT_IN: dict[str, Family] = {
    "visaudio_bench.metrics.interaural_scores": _interaural,
    "visaudio_bench.metrics.interaural_sets": _interaural,
    "visaudio_bench.metrics.binaural_error": _binaural_error,
}
