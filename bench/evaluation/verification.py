"""Whether a run folder's numbers come out again: aggregates from its per-clip table, scores of clips from its sounds.

Other machines and library versions round otherwise, so that numbers agree where they differ by no more than

- an aggregate: `AGGREGATE` of its size (they are sums in double precision, and the resamples are seeded);
- a score of a clip: `SCORE` of its size, or half of the last digit that tables show of it. Quantities that are no
  scores by themselves (sums that a metric pools) have `SCORE` of the largest that the clip's row of them has;
- features of a clip, of which distances between sets are made: `FEATURES` of their norm, by the precision of the run.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.bench.console import track
from visaudio_bench.bench.evaluation.family import Family, Judged
from visaudio_bench.bench.evaluation.family_registry import family_of, quantity_names
from visaudio_bench.bench.evaluation.frozen_networks import Dtype, Net
from visaudio_bench.bench.evaluation.generation import made_sounds
from visaudio_bench.bench.evaluation.network_scores import Nets, listen
from visaudio_bench.bench.evaluation.recomputation import metrics_of, recompute
from visaudio_bench.bench.evaluation.run_checks import Check
from visaudio_bench.bench.evaluation.run_media import read_media
from visaudio_bench.bench.evaluation.signal_scores import Prediction, ScoringTask, score_clip
from visaudio_bench.bench.failures import prepare
from visaudio_bench.errors import UsageError
from visaudio_bench.files import is_there
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file, read_features
from visaudio_bench.leaderboards.results import info_from
from visaudio_bench.leaderboards.schema import ClipTable, Result, Run, read_clip_rows, read_results
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.protocol import PROTOCOLS
from visaudio_bench.metrics.quantity import Quantity
from visaudio_bench.models.weights import missing, require
from visaudio_bench.pool import map_unordered
from visaudio_bench.suites import Clip, Suite

AGGREGATE = 1e-6
SCORE = 1e-3
FEATURES: dict[Dtype, float] = {"float32": 1e-3, "tf32": 5e-3, "bfloat16": 1e-2}
NUMBERS = ("value", "low", "high")

Stored = Mapping[tuple[str, str], float]
"""The values of one system's sound for one clip in `clips.csv`, by quantity and view; NaN where it has none."""


class Rescored(NamedTuple):
    """What is computed of one clip again: quantities and features by network of every system, and of the references."""

    clip: str
    quantities: Mapping[str, Judged]
    features: Mapping[str, Mapping[str, NDArray[np.float32]]]


class Rescoring(NamedTuple):
    """Which clips are scored again: how many of each suite, drawn with a seed, by how many processes, and on what."""

    clips: int
    seed: int
    workers: int
    device: str


def verify(path: Path, suites: Mapping[str, Suite], sample: Rescoring) -> list[Check]:
    """Compute again what a run folder says.

    Args:
        path: of the folder.
        suites: of the run, as this machine has them, by name: references and videos are taken from these where the
            clips are the same, else from where `media.json` says that they are.
        sample: which clips are scored again.

    Returns:
        The checks.

    Raises:
        UsageError: the folder cannot be read, or has no sound to score again.
    """
    run = read_results(path)
    checks = [_aggregates(path, run)]
    if sample.clips:
        checks += _scores(path, run, suites, sample)
    return checks


def _aggregates(path: Path, run: Run) -> Check:
    """Every result of `results.json`, computed from `clips.csv` by this code."""
    _, results = recompute(path)
    told = {_key(result): result for result in run.results}
    again = {_key(result): result for result in results}
    problems = [f"{' / '.join(key)}: clips.csv gives no such result" for key in told if key not in again]
    problems += [
        f"{' / '.join(key)}: clips.csv gives it, and results.json lacks it" for key in again if key not in told
    ]
    for key in told.keys() & again.keys():
        problems += [f"{' / '.join(key)}: {words}" for words in _differing(told[key], again[key])]
    return Check("aggregates", f"{len(told):,} results from clips.csv", sorted(problems))


def _key(result: Result) -> tuple[str, str, str, str]:
    return result.suite, result.system, result.metric, result.view


def _differing(told: Result, again: Result) -> Iterator[str]:
    for field in dataclasses.fields(Result):
        mine, theirs = getattr(told, field.name), getattr(again, field.name)
        if field.name in NUMBERS and None not in (mine, theirs):
            alike = _near(mine, theirs, AGGREGATE * max(abs(mine), abs(theirs)) + AGGREGATE**2)
        else:  # what is said in words has numbers in it that may round otherwise
            alike = mine == theirs or field.name == "reason"
        if not alike:
            yield f"{field.name} {mine} in results.json, {theirs} from clips.csv"


def _near(mine: float, theirs: float, tolerance: float) -> bool:
    return mine == theirs or abs(mine - theirs) <= tolerance


def _scores(path: Path, run: Run, suites: Mapping[str, Suite], sample: Rescoring) -> list[Check]:
    """Some clips of each suite, every system's sound of them scored again; and their features, where there are some."""
    rows = read_clip_rows(path / "clips.csv")
    media, metrics = read_media(path), metrics_of(run)
    infos, systems = info_from(run.body)
    problems: list[str] = []
    remarks: list[str] = []
    in_sets: list[str] = []
    compared = sounds = vectors = 0
    for number, info in enumerate(infos):
        if info.name not in media:
            raise UsageError(
                f"{path / 'media.json'} names no clip of {info.name}, so that none can be scored again. Check its "
                "aggregates alone: --clips 0"
            )
        paths = {
            system.name: made_sounds(path / "audio" / info.name / system.name)
            for system in systems[info.name]
            if (path / "audio" / info.name / system.name).is_dir()
        }
        chosen = _drawn(path, info.name, [clip.id for clip in media[info.name]], paths, [sample.seed, number], sample)
        clips, told = _clips(info.name, chosen, media[info.name], run, suites, sample.workers)
        families, lacking = _families(metrics[info.name])
        remarks += [*told, *lacking]
        stored = _stored(rows, info.name, chosen)
        tolerances = _Tolerances(metrics[info.name], families)
        sets = _Sets(path, info.name, metrics[info.name], _precision(run))
        for again in _again(_tasks(clips, paths, families, run), sample, run):
            for system, quantities in again.quantities.items():
                row = tolerances.comparable(stored.get((system, again.clip), {}))
                problems += [
                    f"{info.name} / {system} / {again.clip} / {words}" for words in tolerances.wrong(row, quantities)
                ]
                compared += len(row)
                sounds += 1
            for system, features in again.features.items():
                in_sets += [f"{info.name} / {words}" for words in sets.wrong(system, again.clip, features)]
        vectors += sets.compared
    clips_of = f"from {sample.clips} clips a suite (seed {sample.seed})"
    checks = [
        Check(
            "scores",
            f"{compared:,} values of {sounds:,} sounds, {clips_of}",
            problems,
            list(dict.fromkeys(remarks)),
        )
    ]
    if vectors or in_sets:
        checks.append(Check("features", f"{vectors:,} rows of networks, {clips_of}", in_sets))
    return checks


def _precision(run: Run) -> Dtype:
    """What networks of the run computed with."""
    dtype: Dtype = run.provenance.get("dtype") or "float32"
    return dtype


class _Sets:
    """The features that a run has of a suite, of the networks whose sets its metrics compare."""

    def __init__(self, run: Path, suite: str, metrics: Sequence[Metric], dtype: Dtype):
        self.networks = {metric.features for metric in metrics if metric.features}
        self.tolerance = FEATURES[dtype]
        self.compared = 0
        self._file = partial(feature_file, run, suite)
        self._rows: dict[tuple[str, str], dict[str, NDArray[np.float64]]] = {}

    def _stored(self, system: str, network: str) -> dict[str, NDArray[np.float64]]:
        """The rows of each clip."""
        if (system, network) not in self._rows:
            told = read_features(self._file(system), network)
            numbered = zip(told.clips, np.unique(told.clip).tolist(), strict=True) if told else ()
            self._rows[system, network] = {clip: told.rows[told.clip == at] for clip, at in numbered if told}
        return self._rows[system, network]

    def wrong(self, system: str, clip: str, features: Mapping[str, NDArray[np.float32]]) -> Iterator[str]:
        """What differs from the features that were computed again, a phrase each."""
        for network, fresh in features.items():
            if network not in self.networks:
                continue
            told = self._stored(system, network).get(clip)
            self.compared += len(fresh)
            if told is None or told.shape != fresh.shape:
                shape = "none" if told is None else str(told.shape)
                yield f"{system} / {clip}: features of {network} {shape}, of the sound {fresh.shape}"
                continue
            off = float(np.linalg.norm(told - fresh)) / max(float(np.linalg.norm(fresh)), 1e-12)
            if not off <= self.tolerance:
                yield f"{system} / {clip}: the features of {network} differ by {off:.2g} of their norm from the sound's"


def _drawn(
    path: Path,
    suite: str,
    clips: Sequence[str],
    sounds: Mapping[str, Mapping[str, Path]],
    seed: Sequence[int],
    sample: Rescoring,
) -> list[str]:
    """The clips that are scored again, in the suite's order.

    Raises:
        UsageError: of none is there a sound.
    """
    here = [clip for clip in clips if any(clip in paths for paths in sounds.values())]
    if not here:
        raise UsageError(
            f"{path} has no sound of {suite} below {path / 'audio'}, so that nothing can be scored again. Check its "
            "aggregates alone: --clips 0"
        )
    places = np.random.default_rng(seed).permutation(len(here))[: sample.clips]
    return [here[place] for place in sorted(places.tolist())]


def _tasks(
    clips: Sequence[Clip], sounds: Mapping[str, Mapping[str, Path]], families: tuple[Family, ...], run: Run
) -> list[ScoringTask]:
    protocol = PROTOCOLS[run.provenance["protocol"]["name"]]
    return [
        ScoringTask(
            clip,
            tuple(Prediction(name, paths[clip.id], True) for name, paths in sounds.items() if clip.id in paths),
            families,
            protocol,
        )
        for clip in clips
    ]


class _Tolerances:
    """How much the quantities of a suite's metrics may differ, of the families that can work here."""

    def __init__(self, metrics: Sequence[Metric], families: Sequence[Family]):
        self.digits = {metric.key: metric.digits for metric in metrics if metric.quantities == (metric.key,)}
        self.names = set().union(*map(quantity_names, families))

    def comparable(self, stored: Stored) -> Stored:
        """What of a row can be computed here."""
        return {key: value for key, value in stored.items() if {key[0], _vector(key[0])} & self.names}

    def wrong(self, stored: Stored, again: Judged) -> Iterator[str]:
        """What differs by more, a phrase each."""
        largest: dict[tuple[str, str], float] = {}
        for (name, view), value in stored.items():
            if not math.isnan(value):
                largest[_stem(name), view] = max(abs(value), largest.get((_stem(name), view), 0.0))
        for (name, view), told in stored.items():
            fresh = again[name, view].value if (name, view) in again else math.nan
            shown = 0.5 * 10.0 ** -self.digits[name] if name in self.digits else 0.0
            size = max(largest.get((_stem(name), view), 0.0), abs(fresh))
            if math.isnan(told) != math.isnan(fresh) or abs(told - fresh) > max(SCORE * size, shown):
                yield f"{name} / {view}: {told:g} in clips.csv, {fresh:g} from the sound"


def _vector(name: str) -> str:
    """The name by which metrics call a vector of which this is one number."""
    return f"{name.partition('[')[0]}[]"


def _stem(name: str) -> str:
    """What the sums of one metric, or the numbers of one vector, have in common."""
    return name.partition("[")[0].partition(".")[0]


def _clips(
    suite: str, chosen: Sequence[str], named: Sequence[Clip], run: Run, suites: Mapping[str, Suite], workers: int
) -> tuple[list[Clip], list[str]]:
    """The chosen clips with their files: this machine's where they are the run's, else those that the run names."""
    told = next(body["manifest"] for body in run.body["suites"] if body["info"]["name"] == suite)
    if suite in suites and suites[suite].manifest_hash() == told:
        prepare(suites[suite], workers, chosen)
        return [clip for clip in suites[suite].clips() if clip.id in set(chosen)], []
    files = {str(file) for clip in named for file in (clip.audio, clip.video) if file}
    absent = sorted(file for file in files if not is_there(file))
    if absent:
        raise UsageError(
            f"the clips of {suite} are not on this machine: {absent[0]} is not there. Name the suite that the run was "
            "given: --suite NAME, or folder:DIR; or check its aggregates alone: --clips 0"
        )
    return [clip for clip in named if clip.id in set(chosen)], [
        f"{suite}: references and videos are those that the run's media.json names, not this machine's own."
    ]


def _families(metrics: Sequence[Metric]) -> tuple[tuple[Family, ...], list[str]]:
    """The families that can work here, and a remark on the metrics of the others."""
    families = dict.fromkeys(family_of(metric) for metric in metrics)
    able = tuple(
        family
        for family in families
        if not family.unavailable and not missing([network.name for network in family.networks])
    )
    left = [metric.title for metric in metrics if family_of(metric) not in able]
    return able, [f"not scored again, for want of weights or packages: {', '.join(left)}."] if left else []


def _again(tasks: Sequence[ScoringTask], sample: Rescoring, run: Run) -> Iterator[Rescored]:
    """Each clip with what is computed of every system's sound; nothing of one that cannot be scored."""
    families = tasks[0].families
    signals = tuple(family for family in families if not family.alone)
    alone = tuple(family for family in families if family.alone)
    nets = _networks(alone, sample.device, _precision(run))
    outcomes = map_unordered(score_clip, [task._replace(families=signals) for task in tasks], sample.workers)
    for outcome in track(outcomes, len(tasks), "scoring again"):
        task = outcome.item
        scored = () if outcome.clip_error() is not None else outcome.result()
        again: dict[str, dict[tuple[str, str], Quantity]] = {
            prediction.system: dict(prediction.quantities) for prediction in scored if prediction.scored
        }
        paths = {prediction.system: prediction.path for prediction in task.predictions if prediction.system in again}
        features = {}
        for answer in listen(task.clip, paths, alone, nets, task.protocol) if alone else ():
            features[answer.system] = answer.features
            if answer.system != REFERENCE_SET:
                again[answer.system] |= answer.quantities
        scored_again = {prediction.system: again.get(prediction.system, {}) for prediction in task.predictions}
        yield Rescored(task.clip.id, scored_again, features)


def _networks(families: Sequence[Family], device: str, dtype: Dtype) -> Nets:
    return {
        family.name: {
            network.name: Net(network.name, network.load, require(network.name), device, dtype)
            for network in family.networks
        }
        for family in families
    }


def _stored(rows: ClipTable, suite: str, clips: Sequence[str]) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """The rows of some clips of a suite, by system and clip."""
    wanted = np.isin(rows.codes["clip"], [number for number, clip in enumerate(rows.labels["clip"]) if clip in clips])
    here = np.flatnonzero((rows.column("suite") == suite) & wanted)
    columns = (rows.column(name)[here].tolist() for name in ("system", "clip", "metric", "view"))
    stored: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for system, clip, metric, view, value in zip(*columns, rows.value[here].tolist(), strict=True):
        stored.setdefault((system, clip), {})[metric, view] = value
    return stored
