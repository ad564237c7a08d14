"""`PublishedSystem`: a published system as a row, run by its authors' own source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.published.card import Card, read_card
from visaudio_bench.baselines.published.conversion import finish
from visaudio_bench.baselines.published.installed import (
    Installation,
    identity,
    installation,
    published_names,
    why_unavailable,
)
from visaudio_bench.baselines.published.job_folders import (
    InputCopies,
    JobClip,
    JobFolder,
    visible_gpu,
    worker_environment,
    write_job,
)
from visaudio_bench.baselines.published.options import choose, row_name, shown
from visaudio_bench.baselines.published.prompts import texts
from visaudio_bench.baselines.published.worker_inputs import Inputs, mono_gain, prepare
from visaudio_bench.baselines.published.worker_process import Start, WorkerAnswer, supervise
from visaudio_bench.baselines.system import Generation, Input, System, SystemCard, clip_seed
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import cache_dir, digest, scratch_folder
from visaudio_bench.guard import one_clip
from visaudio_bench.pool import Needs, available_cores, map_unordered
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.folder import look_into
from visaudio_bench.suites.media import probe

MONO = "mono"
# Below so many clips starting a pool of processes takes longer than making their inputs in this one.
FEW = 16


class PublishedSystem(System):
    """The system of a card, with its variant and the options of a request."""

    def __init__(self, details: Card, variant: str = "", argument: str | None = None):
        self.details = details
        chosen = choose(details, variant, argument)
        self.options, self.shards = chosen.options, chosen.shards
        # Another sound to binauralise than the reference's: files by clip id of a folder.
        self.monos = _monos(details, self.options)
        self.unavailable_because = why_unavailable(details)
        random = not self.unavailable_because and self.installed.is_random
        marks = [variant] * bool(variant) + ["random weights"] * random
        name = "-".join([details.name, *(mark.replace(" ", "-") for mark in marks)])
        marks += shown(chosen.changed)
        self.card = SystemCard(
            name=row_name(name, chosen.changed),
            title=details.title + (f" ({', '.join(marks)})" if marks else ""),
            summary=details.summary,
            inputs=self._inputs(),
            revision=self._revision(),
            paper=details.paper,
            code_licence=details.source.licence if details.source else "no code",
            weights_licence=details.weights_licence,
            may_be_mono=details.may_be_mono,
            optimised=() if random else details.optimised,
        )

    @cached_property
    def installed(self) -> Installation:
        """Where it lies on this machine."""
        return installation(self.details)

    @property
    def unavailable(self) -> str:
        """Why it cannot be run here, with the command that helps."""
        return self.unavailable_because

    def _inputs(self) -> tuple[Input, ...]:
        given = self.details.given
        pictures: tuple[Input, ...] = ("video",) if {"video", "image", "frames"} & set(given) else ()
        words: tuple[Input, ...] = ("caption",) if {"caption", "cot"} & set(given) else ()
        sound: tuple[Input, ...] = ("reference_mono",) if "mono" in given and self.monos is None else ()
        return (*pictures, *words, *sound)

    def _revision(self) -> str:
        pinned = self.details.commit[:10]
        if self.unavailable_because:
            return pinned
        card = self.details
        promised = [card.given, card.frames_per_second, card.image_at, card.native, card.postprocess]
        made_from = [identity(card, self.installed), dict(self.options), promised, source_revision(__name__)]
        return f"{pinned}+{digest(made_from)[:12]}"

    def needs(self, device: str) -> Needs:
        """As `System.needs`; without a card its worker computes with all cores."""
        return super().needs(device) if device.startswith("cuda") else Needs(cpus=available_cores())

    def hearing(self, monos: Mapping[str, Path]) -> PublishedSystem:
        """As `System.hearing`."""
        if MONO not in self.details.given:
            super().hearing(monos)  # says that it takes none
        if self.monos is not None:
            raise UsageError(
                f"{self.details.name} is told by its option mono which sounds to hear, and hears those of the first "
                f"stage here. Leave one of the two out: GENERATOR+{self.details.name}, or without GENERATOR"
            )
        other = copy(self)
        other.options = {name: value for name, value in self.options.items() if name != MONO}  # it hears no reference
        other.monos = dict(monos)
        return other

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The clip's pictures, and the sound to be binauralised where there is one."""
        del clips
        sound = (self.monos or {}).get(clip.id) if self.monos is not None else clip.audio
        wanted = (clip.video, sound if "mono" in self.details.given else None)
        return tuple(path for path in wanted if path is not None)

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """Run the authors' code over the clips; in the order they finish."""
        wanted = [clip for clip in clips if clip.id in only]
        workers = available_cores() if len(wanted) > FEW else 1
        tasks: dict[str, JobClip] = {}
        for prepared in map_unordered(partial(_given, self.details, self.monos), wanted, workers):
            clip = prepared.item
            try:
                with one_clip():
                    seconds, inputs = prepared.result()
                    said = texts(self.details, clip, self.options)
            except ClipError as error:
                yield Generation.failed(clip.id, 0.0, error)
                continue
            own_seed = clip_seed(seed, self.card.name, clip.id) % 2**31
            tasks[clip.id] = JobClip(clip.id, own_seed, seconds, inputs, said)
        yield from self.run({clip.id: tasks[clip.id] for clip in wanted if clip.id in tasks}, out, device)

    def run(self, tasks: Mapping[str, JobClip], out: Path, device: str) -> Iterator[Generation]:
        """Make the sounds of `tasks` (by clip id) in the folder `out`, in the order they finish."""
        if not tasks:
            return
        # A worker is given the sound itself; where it lies, others lie too.
        told = {name: value for name, value in self.options.items() if name != MONO}
        with scratch_folder(cache_dir() / "published" / "jobs", "job") as area:
            copies = InputCopies(area / "inputs")

            def start(shard: int, attempt: int, ids: Sequence[str]) -> Start:
                here = area / f"shard-{shard}-{attempt}"
                gpu = visible_gpu(device, shard)
                where = "cuda:0" if gpu else device  # the only one that it sees
                job = write_job(here, self.details, self.installed, told, where, [tasks[i] for i in ids], copies)
                environment = worker_environment(self.installed, job, gpu)
                return Start(job, self.command(job), environment)

            timeout = self.details.timeout_seconds
            for answer in supervise(tuple(tasks), start, shards=self.shards, timeout=timeout):
                yield self._generation(answer, out, tasks[answer.clip])

    def command(self, job: JobFolder) -> list[str]:
        """The command line of a worker."""
        return job.command(self.installed.python)

    def _generation(self, answer: WorkerAnswer, out: Path, task: JobClip) -> Generation:
        seconds = float(answer.event.get("seconds", 0.0))
        if answer.file is None:
            return Generation(answer.clip, None, seconds, answer.reason, f"{self.details.title}: {answer.message}")
        path = out / f"{answer.clip}.wav"
        try:
            with one_clip():
                done = finish(self.details, self.options, answer.file, task.seconds, path)
        except ClipError as error:
            return Generation.failed(answer.clip, seconds, error, f"{self.details.title}: ")
        finally:
            answer.file.unlink(missing_ok=True)
        made_from = {"options": dict(self.options), **identity(self.details, self.installed)}
        told = {name: answer.event.get(name) for name in ("seed", "memory", "remarks", "setting")}
        given = {"mono_gain": mono_gain(task.inputs.mono)} if task.inputs.mono else {}
        provenance = {"texts": task.texts._asdict(), "given": given, "worker": told, "made_from": made_from, **done}
        return Generation(answer.clip, path, seconds, provenance=provenance)


def _monos(details: Card, options: Any) -> dict[str, Path] | None:
    """Sounds by clip id where the option `mono` names a folder; None for the references' own."""
    if MONO not in details.given or options.get(MONO, "reference") == "reference":
        return None
    folder = Path(options[MONO])
    if not folder.is_dir():
        raise UsageError(
            f'{folder} is not a folder; option mono of system "{details.name}" is "reference" or a folder.'
        )
    return look_into(folder).heard


def _given(details: Card, monos: Mapping[str, Path] | None, clip: Clip) -> tuple[float, Inputs]:
    """Length and files of one clip.

    Raises:
        ClipError: something that the system must be given cannot be had.
    """
    mono = None if monos is None else monos.get(clip.id)
    if monos is not None and mono is None:
        raise ClipError("missing", f'the folder of option mono has no sound file for clip "{clip.id}".')
    seconds = clip.duration if clip.duration is not None else _length(clip)
    return seconds, prepare(details, clip, seconds, mono)


def _length(clip: Clip) -> float:
    if clip.video is None:
        raise ClipError("no_video", f"clip {clip.id} has no video, which this system needs.")
    return float(probe(clip.video).picture or 0.0) - clip.start


def open_published(name: str, argument: str | None) -> PublishedSystem:
    """Open a published system by its name.

    Args:
        name: of the system, or of one of its variants.
        argument: `option=value:option=value`, None for none.

    Returns:
        The system; nothing of it runs yet.

    Raises:
        UsageError: its card is damaged, or an option is unknown.
    """
    folder, variant = published_names()[name]
    return PublishedSystem(read_card(folder), variant, argument)
