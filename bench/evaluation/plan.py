"""What a run will do, before it does anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visaudio_bench.baselines import DEFAULT_SYSTEMS, STANDING_ANCHORS, System, open_system
from visaudio_bench.baselines.outputs import Outputs, open_outputs
from visaudio_bench.bench.cluster.opening import THIS, Machines
from visaudio_bench.bench.console import clock, folded
from visaudio_bench.bench.evaluation.family import Family
from visaudio_bench.bench.evaluation.family_registry import family_of, refuse_twins
from visaudio_bench.bench.evaluation.frozen_networks import Dtype
from visaudio_bench.bench.evaluation.hear_scenes import HearScenes
from visaudio_bench.bench.evaluation.metric_choice import default_metrics, under_protocol
from visaudio_bench.bench.evaluation.rates import MEASURED_SECONDS, Forecast, Machine, Work, measured, predict
from visaudio_bench.bench.provenance import command_line
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET
from visaudio_bench.metrics.catalogue import Metric, backbone_distances
from visaudio_bench.metrics.protocol import OURS, Protocol
from visaudio_bench.models.weights import MissingWeights, missing
from visaudio_bench.names import require_name
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import SUITES, Clip, Suite, open_suite
from visaudio_bench.suites.direction_labels import read_labels, rows_behind
from visaudio_bench.suites.folder import Contents, FolderSuite, look_into, probed, unread_words

if TYPE_CHECKING:
    from visaudio_bench.models.hear_modules import HearBackbone

NAMING = "To name a folder of sounds, write NAME=DIR in place of DIR, and NAME=FILE for a checkpoint."


@dataclass(frozen=True)
class SuiteJob:
    """One suite, the clips of it that are asked for, and the systems that will make sound for them."""

    suite: Suite
    systems: tuple[System, ...]
    limit: int | None = None
    refused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        require_name("the suite", self.suite.name, "Rename its folder, or the suite.")
        for system in self.systems:
            name = require_name("the system", system.card.name, NAMING)
            if name == REFERENCE_SET:
                raise UsageError(f'the system "{name}" has the name of the references. {NAMING}')

    @cached_property
    def every_id(self) -> tuple[str, ...]:
        """The ids of every clip of the suite.

        Raises:
            UsageError: one cannot name its files.
        """
        ids = self.suite.clip_ids()
        for clip in ids:
            require_name(f'a clip of suite "{self.suite.name}"', clip, "Rename it.")
        return ids

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the clips to evaluate, in the suite's order; to know them may cost much less than the clips."""
        return self.every_id[: self.limit]

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """The clips to evaluate, in the suite's order."""
        return self.suite.clips()[: len(self.ids)]

    @cached_property
    def usable(self) -> tuple[Clip, ...]:
        """Every clip of the suite that a system may be given or may look at: none whose reference was refused."""
        return tuple(clip for clip in self.suite.clips() if clip.id not in self.refused)

    @property
    def pending(self) -> tuple[str, ...]:
        """Clips of the whole suite whose files must still be made (neighbours count: `repaired` listens to them)."""
        return self.suite.pending()

    @cached_property
    def absent(self) -> dict[str, str]:
        """Systems that cannot run here or on these clips, with the sentence that says what to do."""
        why = {system.card.name: system.unavailable or self.unheard(system) for system in self.systems}
        return {name: sentence for name, sentence in why.items() if sentence}

    def unheard(self, system: System) -> str:
        """Why a system that is given the reference's sound makes nothing of any clip; empty if it does.

        Files that are there need not be made, whatever they were made from.
        """
        if not system.card.binauralises or self.has_references or isinstance(system, Outputs):
            return ""
        mono = "reference_mono" in system.card.inputs
        return (
            f"{system.card.name} is given the sound of a reference, and no clip of {self.suite.name} has one. In "
            "a suite folder:DIR a video's own sound is its reference"
            + ("; with visaudio-tiny+ before its name it is given what that system makes." if mono else ".")
        )

    @property
    def present(self) -> tuple[System, ...]:
        """The systems that can run."""
        return tuple(system for system in self.systems if system.card.name not in self.absent)

    @cached_property
    def has_references(self) -> bool:
        """Whether any clip has a reference sound."""
        return self.suite.has_references(frozenset(self.ids))

    @property
    def has_labels(self) -> bool:
        """Whether any clip has direction labels."""
        return self.suite.has_labels(frozenset(self.ids))


@dataclass(frozen=True)
class Plan:
    """Everything a run was asked for.

    `metrics` None stands for the defaults of each suite; `backbones` are HEAR modules by the name of their features;
    `sounds` is where the sounds of a plan for one suite and one system go, instead of below `out`. With `replace` a
    run that is in `out` is given up; else this one adds to it. `absent_suites` were
    asked for and are not here, with what to do. `companions` is the folder of what other programs say of the clips;
    `machine` what a dry run predicts for, this one if None; `machines` say who works, and how many units at once where
    it is a cluster's.
    `command` is what the user wrote.
    """

    jobs: tuple[SuiteJob, ...]
    metrics: tuple[Metric, ...] | None
    out: Path
    seed: int = 0
    device: str = "cpu"
    workers: int = field(default_factory=available_cores)
    allow_missing: int = 0
    protocol: Protocol = OURS
    dtype: Dtype = "float32"
    backbones: Mapping[str, HearBackbone] = field(default_factory=dict)
    sounds: Path | None = None
    replace: bool = False
    absent_suites: Mapping[str, str] = field(default_factory=dict)
    companions: Path | None = None
    machine: Machine | None = None
    machines: Machines = THIS
    command: str = field(default_factory=command_line)

    def __post_init__(self) -> None:
        if self.dtype == "tf32" and not self.device.startswith("cuda"):
            raise UsageError(
                f"tf32 is how NVIDIA's graphics cards may multiply, and networks are to run on {self.device}. Use "
                "--dtype float32 or bfloat16, or a card: --device cuda"
            )
        needy = [metric.title for metric in self.metrics or () if metric.needs_labels]
        if needy and len(needy) == len(self.metrics or ()) and not any(job.has_labels for job in self.jobs):
            suites = ", ".join(job.suite.name for job in self.jobs)
            raise UsageError(
                f"{', '.join(needy)} compare with direction labels, and no clip of {suites} has any. Labels are a csv "
                "with the columns clip, t and azimuth_deg, in the folder of a suite or given to bench score."
            )

    def metrics_for(self, job: SuiteJob) -> tuple[Metric, ...]:
        """The metrics asked for, else the default ones that the suite can have; and the distances of HEAR modules."""
        chosen = self.metrics
        if chosen is None:
            chosen = default_metrics(references=job.has_references, labels=job.has_labels)
        added = [metric for family in self._scenes(job) for metric in family.metrics]
        return under_protocol((*chosen, *added), self.protocol)

    def _scenes(self, job: SuiteJob) -> tuple[HearScenes, ...]:
        """The HEAR modules that listen to a suite: none without references, which their distances are from."""
        return self._all_scenes if job.has_references else ()

    @cached_property
    def _all_scenes(self) -> tuple[HearScenes, ...]:
        return tuple(HearScenes(backbone.identity["module"]) for backbone in self.backbones.values())

    def families_for(self, job: SuiteJob) -> tuple[Family, ...]:
        """The families that compute the metrics of a suite, each once; all that can work here, with their weights.

        Raises:
            UsageError: two families have names in common.
        """
        chosen = dict.fromkeys(self._family_of(metric) for metric in self.metrics_for(job))
        refuse_twins(chosen)
        absent = {file.name for file in self.missing_weights}
        return tuple(
            family
            for family in chosen
            if not family.unavailable and not absent.intersection(network.name for network in family.networks)
        )

    def _family_of(self, metric: Metric) -> Family:
        scenes = {scored.key: family for family in self._all_scenes for scored in family.metrics}
        return scenes.get(metric.key) or family_of(metric)

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The metrics of every suite, once each."""
        return tuple(dict.fromkeys(metric for job in self.jobs for metric in self.metrics_for(job)))

    @cached_property
    def missing_weights(self) -> tuple[MissingWeights, ...]:
        """Weight files that the metrics need and that are not here."""
        return missing([name for metric in self.all_metrics for name in metric.weights])

    @cached_property
    def unavailable(self) -> dict[str, str]:
        """Metrics that cannot be computed for want of weights or a package, with the sentence that says what to do."""
        # Without the folder, so that results do not depend on where a machine keeps its weights.
        absent = {
            file.name: f"weights {file.name} ({file.size}, {file.licence}) are not here. Get them: {file.command}"
            for file in self.missing_weights
        }
        return {m.key: why for m in self.all_metrics if (why := self._family_of(m).unavailable)} | {
            m.key: absent[name] for m in self.all_metrics for name in m.weights if name in absent
        }

    @property
    def left_out(self) -> str:
        """One line on what cannot be computed, why, and the command that helps; empty if nothing is missing."""
        weightless = {file.name for file in self.missing_weights}
        lacking: dict[str, list[str]] = {}
        for metric in self.all_metrics:
            if metric.key in self.unavailable and not weightless.intersection(metric.weights):
                lacking.setdefault(self.unavailable[metric.key], []).append(metric.title)
        told = [f"{', '.join(titles)}: {why}" for why, titles in lacking.items()]
        return " ".join([*self._left_out_for_weights, *told])

    @property
    def _left_out_for_weights(self) -> list[str]:
        if not self.missing_weights:
            return []
        absent = {file.name for file in self.missing_weights}
        titles = ", ".join(metric.title for metric in self.all_metrics if absent.intersection(metric.weights))
        files = ", ".join(f"{file.name} {file.size} {file.licence}" for file in self.missing_weights)
        command = " ".join(["bench weights fetch", *(file.name for file in self.missing_weights)])
        return [f"{titles}: weights are not here ({files}). Get them: {command}"]

    def summary(self, to_make: dict[tuple[str, str], int], *, identified: bool = True) -> dict[str, Any]:
        """The plan as data: what `plan.json` says. `to_make` counts clips by suite and system.

        What identifies a suite may need all of its files to be opened, and is left out unless `identified`.

        Raises:
            UsageError: metrics that cannot be computed together.
        """
        for job in self.jobs:
            self.families_for(job)
        return {
            "suites": [
                {
                    "name": job.suite.name,
                    "title": job.suite.title,
                    "clips": len(job.ids),
                    "of": len(job.every_id),
                    "to_prepare": len(job.pending),
                    "licence": job.suite.licence,
                    "remarks": list(job.suite.remarks()),
                    "folders": list(job.suite.told) if isinstance(job.suite, FolderSuite) else [],
                    "manifest": job.suite.manifest_hash() if identified else "",
                    "systems": [
                        {"name": system.card.name, "missing": job.absent[system.card.name]}
                        if system.card.name in job.absent
                        else {
                            "name": system.card.name,
                            "to_make": to_make[job.suite.name, system.card.name],
                            "cached": len(job.ids) - to_make[job.suite.name, system.card.name],
                            **_own_files(system, job),
                        }
                        for system in job.systems
                    ],
                }
                for job in self.jobs
            ],
            "absent_suites": dict(self.absent_suites),
            "metrics": [metric.key for metric in self.all_metrics],
            "out": str(self.out),
            "seed": self.seed,
            "device": self.device,
            "dtype": self.dtype,
            "backbones": [backbone.name for backbone in self.backbones.values()],
            "workers": self.machine.cores if self.machine else self.workers,
            "allow_missing": self.allow_missing,
            "protocol": self.protocol.record(),
            "missing_weights": [absent._asdict() for absent in self.missing_weights],
            "companions": str(self.companions) if self.companions else None,
            "left_out": self.left_out,
            "prediction": self._predicted(to_make).record(),
        }

    def _predicted(self, to_make: Mapping[tuple[str, str], int]) -> Forecast:
        cards = int(self.device.startswith("cuda"))
        return predict([self._work(job, to_make) for job in self.jobs], self.machine or Machine(self.workers, 1, cards))

    def _work(self, job: SuiteJob, to_make: Mapping[tuple[str, str], int]) -> Work:
        families = self.families_for(job)
        seconds = job.suite.duration or MEASURED_SECONDS
        rendering = measured().seconds("render", "scene") * seconds / MEASURED_SECONDS
        return Work(
            len(job.ids),
            seconds,
            len(job.present),
            {system.card.name: to_make[job.suite.name, system.card.name] for system in job.present},
            len(job.pending) * rendering,
            [family.name for family in families if not family.alone],
            [family.name for family in families if family.alone],
            job.has_references,
        )


def _own_files(system: System, job: SuiteJob) -> dict[str, Any]:
    if not isinstance(system, Outputs):
        return {}
    return {"unmatched_files": system.unmatched(job.every_id), "folders": system.contents.told()}


def describe(summary: dict[str, Any]) -> str:
    """The plan in the words that the user sees before the work."""
    lines = ["plan"]
    for suite in summary["suites"]:
        some = (
            f"{suite['clips']} clips" if suite["clips"] == suite["of"] else f"{suite['clips']} of {suite['of']} clips"
        )
        state = f"{suite['to_prepare']} to render" if suite["to_prepare"] else "ready"
        lines.append(f"  suite    {suite['name']}: {some}, {state}")
        lines += [f"           {line}" for line in (*suite["remarks"], *suite["folders"])]
        for system in suite["systems"]:
            if "missing" in system:
                lines.append(f"  missing  {system['name']}: {system['missing']}")
                continue
            make = f"{system['to_make']} to make" if system["to_make"] else "all made"
            lines.append(f"  system   {system['name']}: {make}")
            lines += [f"           {line}" for line in system.get("folders", [])]
            unmatched = system.get("unmatched_files", [])
            if unmatched:
                shown = ", ".join(unmatched[:5]) + (", ..." if len(unmatched) > 5 else "")
                lines.append(f"           {len(unmatched)} of its files belong to no clip of the suite: {shown}")
    lines += [f"  missing  suite {name}: {why}" for name, why in summary["absent_suites"].items()]
    lines.append(f"  metrics  {', '.join(summary['metrics'])}")
    if summary["left_out"]:
        why, asked, command = summary["left_out"].partition(" Get them: ")
        lines += [f"  left out {why}", *([f"{'':11}{asked.strip()} {command}"] if command else [])]
    workers = f"{summary['workers']} worker{'s' if summary['workers'] != 1 else ''}"
    predicted = summary["prediction"]
    lines.append(f"  output   {summary['out']} ({workers}, about {clock(sum(predicted['seconds'].values()))} if idle)")
    return folded("\n".join(lines), indent=11)


def describe_prediction(prediction: Mapping[str, Any]) -> str:
    """What a run will take, and what that rests upon, for people."""
    stages = ", ".join(f"{stage} {clock(seconds)}" for stage, seconds in prediction["seconds"].items() if seconds >= 1)
    took = clock(sum(prediction["seconds"].values()))
    memory, disk = (f"{prediction[name] / 1000:.1f} GB" for name in ("memory_mb", "disk_mb"))
    lines = [
        f"  time     {took}" + (f": {stages}" if stages else ""),
        f"  memory   {memory}, disk {disk} more",
        *(f"{'':11}{said}" for said in prediction["basis"]),
    ]
    return folded("\n".join(lines), indent=11)


def present_suites(requests: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of several suites are here, and for the others the sentence that says what to do.

    Raises:
        UsageError: a name is unknown, or none is here.
    """
    present: list[str] = []
    absent: dict[str, str] = {}
    for request in dict.fromkeys(requests):
        SUITES.get(request.partition(":")[0])  # an unknown name is no suite that is missing
        try:
            open_suite(request)
        except UsageError as error:
            absent[request] = str(error)
        else:
            present.append(request)
    if not present:
        raise UsageError(" ".join(absent.values()))
    return tuple(present), absent


def refuse_strangers(jobs: Sequence[SuiteJob]) -> None:
    """Refuse a folder of outputs of which no name is that of a clip of any suite.

    Raises:
        UsageError: there is one; with names of both sides.
    """
    clips = [name for job in jobs for name in job.suite.clip_ids()]
    for system in dict.fromkeys(system for job in jobs for system in job.systems):
        if isinstance(system, Outputs) and not set(clips) & set(system.files):
            ours, theirs = (", ".join(sorted(names)[:3]) for names in (clips, system.files))
            raise UsageError(
                f"no file of {system.folder} has the name of a clip: it has {theirs} ..., and the clips are {ours} ... "
                "Files are matched by their names without the suffix; rename them."
            )


def open_jobs(suites: Sequence[str], systems: Sequence[str], limit: int | None) -> tuple[SuiteJob, ...]:
    """Open what `bench run` is asked for.

    Args:
        suites: names with their arguments.
        systems: names with their arguments.
        limit: only so many clips of each suite, from the first on; None for all.

    Returns:
        Each suite with the systems asked for, and with the standing anchors where it has references.

    Raises:
        UsageError: an unknown name, two systems or suites of one name, a suite without clips, or no system that could
            take part in any of them.
    """
    wanted = tuple(dict.fromkeys((*STANDING_ANCHORS, *(systems or DEFAULT_SYSTEMS))))
    opened = tuple(open_system(request) for request in wanted)
    _refuse_twins([system.card.name for system in opened], "systems")
    jobs = [SuiteJob(open_suite(request), opened, limit) for request in dict.fromkeys(suites)]
    _refuse_twins([job.suite.name for job in jobs], "suites")
    needed = tuple(_without_needless(job, asked=set(systems)) for job in jobs)
    if not any(job.present for job in needed):
        reasons = dict.fromkeys(why for job in needed for why in job.absent.values())
        raise UsageError(" ".join(["Nothing can be judged:", *reasons]))
    return needed


def score_job(
    predictions: Sequence[str],
    references: Path | None,
    videos: Path | None,
    *,
    binauralised: bool,
    duration: float | None,
    labels: Path | None = None,
) -> SuiteJob:
    """Open what `bench score` is asked for.

    Args:
        predictions: folders, or NAME=DIR.
        references: folder with the true sounds, None for none.
        videos: folder with the videos, None for none.
        binauralised: the predictions were made from the references' own mono sound.
        duration: seconds of each clip that are judged, None for all.
        labels: file with direction labels, None for none.

    Returns:
        A job whose clips are the references, or without those every file that was predicted.

    Raises:
        UsageError: a folder is not there or holds no media, two folders of predictions have one name, or the labels
            cannot be used or are of none of the clips.
    """
    outputs = tuple(open_outputs(request, binauralised=binauralised) for request in predictions)
    _refuse_twins([*STANDING_ANCHORS, *(system.card.name for system in outputs)], "systems")
    true = _contents("--references", references, "sound or video file") if references else None
    pictures = _contents("--videos", videos, "video") if videos else None
    sounds = true.heard if true else {}
    shown = pictures.videos if pictures else {}
    predicted = dict.fromkeys(name for system in outputs for name in system.files)
    wanted = sounds or predicted
    directions = dict.fromkeys(read_labels(labels), labels) if labels else {}
    if labels and not set(wanted).intersection(directions):
        raise UsageError(
            f"--labels {labels} is of none of the {len(wanted):,} clips: it labels {', '.join([*directions][:3])}, and "
            f"clips are called {', '.join([*wanted][:3])}. A file without the column clip labels the clip of its name."
        )
    suite = FolderSuite(
        references.resolve().name if references else "predictions",
        {name: sounds[name] for name in wanted if name in sounds},
        {name: shown[name] for name in wanted if name in shown},
        names=tuple(wanted),
        own_sound=False,
        duration=duration,
        labels=directions,
        told=(
            *_told_of_references(true, predicted),
            *_told_of_videos(pictures),
            *(_told_of_labels(directions, outputs) if not (sounds or shown or duration) else ()),
        ),
    )
    anchors = tuple(open_system(name) for name in STANDING_ANCHORS) if sounds else ()
    return SuiteJob(suite, (*anchors, *outputs))


def _told_of_labels(files: Mapping[str, Path], systems: Sequence[Outputs]) -> Iterable[str]:
    """Where nothing else says how long clips are: labels behind the end of the sounds that were made for them."""
    for system in systems:
        lengths = {clip: probed(system.files[clip]).sound for clip in files.keys() & system.files.keys()}
        behind = sum(rows_behind(read_labels(files[clip])[clip], length) for clip, length in lengths.items() if length)
        if behind:
            yield f"direction labels: {behind:,} row(s) behind the end of the sounds of {system.card.name} are not used"


def open_backbones(requests: Sequence[str], jobs: Sequence[SuiteJob], device: str) -> dict[str, HearBackbone]:
    """Load the HEAR modules of `--backbone`, and try them on noise.

    Args:
        requests: as the option has them.
        jobs: of the run; one must have references.
        device: where the modules run.

    Returns:
        The modules by the name of their features.

    Raises:
        UsageError: a module does not load or does not follow the API, two have one name, or nothing has a reference.
    """
    if not requests:
        return {}
    if not any(job.has_references for job in jobs):
        raise UsageError("--backbone measures a distance from the references' sounds, and there are no references.")
    from visaudio_bench.models.hear_modules import HearBackbone

    backbones: dict[str, HearBackbone] = {}
    for request in dict.fromkeys(requests):
        backbone = HearBackbone(request, device)
        backbone.check()
        (name,) = {metric.features for metric in backbone_distances(backbone.identity["module"])}
        if name in backbones:
            raise UsageError(
                f"{backbones[name].name} and {request} would both be called {name}; columns of a table need different "
                "names. Give them a run each."
            )
        backbones[name] = backbone
    return backbones


def _contents(option: str, folder: Path, what: str) -> Contents:
    if not folder.is_dir():
        raise UsageError(f"{option} {folder} is not a folder.")
    contents = look_into(folder)
    contents.require(what, contents.videos if what == "video" else contents.heard)
    return contents


def _told_of_references(true: Contents | None, predicted: Iterable[str]) -> list[str]:
    """What is not read of the references, with those that somebody has predicted."""
    if true is None:
        return []
    lost = [path for name in predicted if name not in true.heard for path in true.namesakes(name)]
    shown = ", ".join(path.name for path in lost[:5]) + (", ..." if len(lost) > 5 else "")
    pairs = [f"{len(lost)} of them would have a prediction: {shown}"] if lost else []
    return [f"references, {line}" for line in (*true.told(), *pairs)]


def _told_of_videos(pictures: Contents | None) -> list[str]:
    if pictures is None:
        return []
    return [f"videos, {line}" for line in unread_words([*pictures.unread, *pictures.sounds.values()])]


def _without_needless(job: SuiteJob, asked: set[str]) -> SuiteJob:
    """A suite without references leaves out the systems that hear the reference, unless they were asked for."""
    if not job.ids:
        raise UsageError(f'suite "{job.suite.name}" has no clips.')
    if job.has_references:
        return job
    kept = tuple(s for s in job.systems if s.card.name in asked or not s.card.binauralises)
    return SuiteJob(job.suite, kept, job.limit)


def _refuse_twins(names: Sequence[str], kind: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'two {kind} are called "{name}"; rows of a table need different names. {NAMING}')
