"""From sound files to per-clip quantities: decoding, screening, and the families of metrics."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs, Ears, JudgedSound
from visaudio_bench.bench.evaluation.companions import Companions
from visaudio_bench.bench.evaluation.family import Family, Judged
from visaudio_bench.bench.evaluation.family_answers import quantities_of
from visaudio_bench.bench.evaluation.frozen_networks import Hearing, Seeing
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError
from visaudio_bench.guard import one_clip
from visaudio_bench.metrics.protocol import OURS, Protocol
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.metrics.screen import screen
from visaudio_bench.suites import Clip
from visaudio_bench.suites.media import TOLERANCE, Samples, Sound, probe, read_binaural, resample

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
    """One clip with every prediction of it, and the metric families that judge it, none of which has networks.

    `companions` is the folder of what other programs say of it (`bench.evaluation.companions`).
    """

    clip: Clip
    predictions: tuple[Prediction, ...]
    families: tuple[Family, ...]
    protocol: Protocol = OURS
    companions: Path | None = None


class Problem(NamedTuple):
    """Something wrong with a clip or a prediction; `fatal` ones leave it without scores."""

    stage: str
    reason: str
    message: str
    fatal: bool
    trace: str = ""


def problem_of(error: ClipError, stage: str) -> Problem:
    """Tell what an error leaves without scores.

    Args:
        error: of one clip.
        stage: what was being done.

    Returns:
        The problem, for the list of failures.
    """
    return Problem(stage, error.reason, error.message, True, error.trace)


class Scored(NamedTuple):
    """What came out for one prediction."""

    clip: str
    system: str
    quantities: Judged
    problems: tuple[Problem, ...]

    @property
    def scored(self) -> bool:
        """Whether the sound could be judged at all."""
        return not any(problem.fatal for problem in self.problems)


def read_reference(clip: Clip) -> Ears | None:
    """The clip's reference at 44.1 kHz, None where it has none.

    Raises:
        ClipError: there is one, and it cannot be used.
    """
    if clip.audio is None:
        return None
    sound = read_binaural(clip.audio, start=clip.start, duration=clip.duration, sample_rate=SAMPLE_RATE)
    return Ears(sound.samples, timed=has_times(clip))


def has_times(clip: Clip) -> bool:
    """Whether time differences between the ears mean anything: not where the reference differs in level alone."""
    return not clip.meta.get("level_only", False)


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
    true = None
    if reference is not None and task.clip.audio is not None:
        native = partial(read_native, task.clip.audio, task.clip, task.clip.start, task.protocol)
        true = JudgedSound(lambda: reference, native)
    return [_score(task, prediction, true) for prediction in task.predictions]


def unscored(task: ScoringTask, error: ClipError) -> list[Scored]:
    """Leave the predictions of a clip without scores that could not be judged at all.

    Args:
        task: the clip and its predictions.
        error: why it could not.

    Returns:
        One entry for each prediction; the traceback goes with the first one.
    """
    first, rest = problem_of(error, "score"), problem_of(error, "score")._replace(trace="")
    problems = [first, *[rest] * (len(task.predictions) - 1)]
    return [
        Scored(task.clip.id, prediction.system, {}, (why,))
        for prediction, why in zip(task.predictions, problems, strict=True)
    ]


def _score(task: ScoringTask, prediction: Prediction, reference: JudgedSound | None) -> Scored:
    problems: list[Problem] = []
    quantities: dict[tuple[str, str], Quantity] = {}
    try:
        with one_clip():
            sound, padded = _read_prediction(task.clip, prediction.path)
            problems += [*padded, *_screen(task.clip, prediction, sound)]
            if not any(problem.fatal for problem in problems):
                ears = Ears(_as_scored(task.clip, sound), timed=has_times(task.clip))
                own = JudgedSound(lambda: ears, partial(read_native, prediction.path, task.clip, 0.0, task.protocol))
                seeing = pictures_of(task.clip, task.families, task.protocol)
                beside = Companions(task.companions, prediction.system, task.clip.id) if task.companions else None
                inputs = ClipInputs(task.clip, own, reference, seeing, task.protocol, {}, beside)
                for family in task.families:
                    quantities |= quantities_of(family, inputs)
    except ClipError as error:
        # The screen's own code, which scripts know, for what the reader of sound refuses before.
        reason = "nan" if error.reason == "not_finite" else error.reason
        problems.append(problem_of(error, "screen" if reason in FATAL else "score")._replace(reason=reason))
        quantities = {}
    return Scored(task.clip.id, prediction.system, quantities, tuple(problems))


def predicted_ears(clip: Clip, path: Path) -> Ears:
    """Read a prediction.

    Args:
        clip: the clip that it is of.
        path: its file.

    Returns:
        Its sound at 44.1 kHz, as long as the clip.

    Raises:
        ClipError: it cannot be used.
    """
    return Ears(_as_scored(clip, _read_prediction(clip, path)[0]), timed=has_times(clip))


def read_native(path: Path, clip: Clip, start: float, protocol: Protocol) -> Hearing:
    """Read a sound at the file's own rate, cut to its clip before anything else is done to it if the protocol says so.

    Args:
        path: the file.
        clip: the clip that it is of.
        start: of the window in the file, seconds.
        protocol: of the run.

    Returns:
        The sound as networks hear it.

    Raises:
        ClipError: it cannot be used.
    """
    sound = read_binaural(path, start=start)
    if clip.duration is not None and protocol.window == "clip":
        sound = sound._replace(samples=sound.samples[:, : round(clip.duration * sound.source_rate)])
    return Hearing(sound, clip.duration)


def pictures_of(clip: Clip, families: Iterable[Family], protocol: Protocol) -> Seeing | None:
    """Open the pictures of a clip, at the frame rates that the families will ask for.

    Args:
        clip: the clip.
        families: who will look at them.
        protocol: of the run.

    Returns:
        The pictures; None where there are none.
    """
    if clip.video is None or clip.duration is None:
        return None
    rates = dict.fromkeys(rate for family in families for rate in family.frame_rates)
    return Seeing(clip.video, clip.start, clip.duration, protocol.frames, tuple(rates))


def _read_prediction(clip: Clip, path: Path) -> tuple[Sound, list[Problem]]:
    sound = read_binaural(path)
    return _filled(clip, path, sound)


def _filled(clip: Clip, path: Path, sound: Sound) -> tuple[Sound, list[Problem]]:
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
        told = f"{path}: it lasts {length / rate:.2f} s instead of {clip.duration:.2f} s"
        raise ClipError("too_short", told + _shorter(sound))
    said = f"{path}: its last {1000 * missing / rate:.1f} ms are missing and were filled with silence"
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
    seconds = int(10 * sound.samples.shape[1] / sound.source_rate) / 10
    command = f"bench score --predictions DIR --references DIR --duration {seconds:g}"
    return f". To judge no more than that of every clip: {command}" if seconds else ""


def _as_scored(clip: Clip, sound: Sound) -> Samples:
    """The prediction at 44.1 kHz, cut to the clip's length."""
    samples = sound.samples
    if sound.source_rate != SAMPLE_RATE:
        samples = resample(samples, sound.source_rate, SAMPLE_RATE)
    return samples if clip.duration is None else samples[:, : round(clip.duration * SAMPLE_RATE)]
