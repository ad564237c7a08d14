"""`GENERATOR+BINAURALISER`: the mono sound of any system, made binaural by any other that takes a mono sound.

    bench run --system mmaudio-dup+motion-pan,outputs:mine+geometry-aware:best.safetensors

The generator's sound is the mean of its channels; it is made once for all rows that begin with the same generator, and
kept in the cache. A generator that hears the reference makes a row that binauralises, and is marked so. The record of
a sound says how both stages made it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.system import Generation, Input, System, SystemCard, told_of
from visaudio_bench.conventions import SAMPLE_RATE
from visaudio_bench.errors import ClipError, UsageError
from visaudio_bench.files import cache_dir, digest, file_sha256, file_stamp, read_json, scratch_folder, write_json
from visaudio_bench.guard import one_clip
from visaudio_bench.shapes import require
from visaudio_bench.sources import source_revision
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.media import read_sound, write_audio

REFERENCE_INPUTS = ("reference", "reference_mono")


class TwoStage(System):
    """A row of two systems, the second of which hears what the first has made."""

    def __init__(self, generator: System, binauraliser: System):
        self.generator, self.binauraliser = generator, binauraliser
        binauraliser.hearing({})  # refuses what takes no mono sound, before any work
        first, second = generator.card, binauraliser.card
        self.card = SystemCard(
            name=f"{first.name}+{second.name}",
            title=f"{first.title} + {second.title}",
            summary=f"{first.summary}; then {second.summary}",
            inputs=_inputs(first, second),
            revision=digest([source_revision(__name__), first.name, first.revision, second.revision])[:24],
            paper=_joined(first.paper, second.paper),
            code_licence=_joined(first.code_licence, second.code_licence),
            weights_licence=_joined(first.weights_licence, second.weights_licence),
            may_be_mono=second.may_be_mono,
            optimised=tuple(dict.fromkeys((*first.optimised, *second.optimised))),
        )

    @property
    def unavailable(self) -> str:
        """What keeps either system from running."""
        return _joined(self.generator.unavailable, self.binauraliser.unavailable, between=" ")

    def examine(self) -> None:
        """As `System.examine`, of both stages."""
        self.generator.examine()
        self.binauraliser.examine()

    def shared_by_processes(self, device: str) -> bool:
        """As `System.shared_by_processes`, of both stages."""
        return all(stage.shared_by_processes(device) for stage in (self.generator, self.binauraliser))

    @property
    def by_card(self) -> bool:
        """As `System.by_card`, of the first stage; the second is made on processors, and follows it."""
        return self.generator.by_card and self.binauraliser.shared_by_processes("cuda")

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """What the first sound depends on, and the pictures that the second stage looks at."""
        first = self.generator.sources(clip, clips)
        return (*first, *((clip.video,) if clip.video is not None and clip.video not in first else ()))

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """As `System.generate`: all first stages, then all second ones."""
        monos: dict[str, Generation] = {}
        for made in self._first_stage(clips, only, device, seed):
            if made.path is None:
                yield made
            else:
                monos[made.clip] = made
        second = self.binauraliser.hearing({name: made.path for name, made in monos.items() if made.path is not None})
        for made in second.generate(clips, out, only=monos.keys(), device=device, seed=seed):
            first = monos[made.clip]
            stages = {
                "generator": {"system": self.generator.card.name, **first.provenance},
                "binauraliser": {"system": self.binauraliser.card.name, **made.provenance},
            }
            yield made._replace(seconds=first.seconds + made.seconds, provenance=stages)

    def _first_stage(
        self, clips: Sequence[Clip], only: Collection[str], device: str, seed: int
    ) -> Iterator[Generation]:
        """The mono sound of every clip: from the cache, or made."""
        card = self.generator.card
        code = source_revision(type(self.generator).__module__)
        kind = device.partition(":")[0]  # which of several cards makes no difference
        who = digest([source_revision(__name__), card.name, card.revision, code, seed, kind])
        folder = cache_dir() / "first-stage" / f"{card.name}-{who[:16]}"
        wanted = {clip.id: folder / f"{self._key(clip, clips)}.wav" for clip in clips if clip.id in only}
        known = {name: told for name, path in wanted.items() if (told := _record(path)) is not None}
        for name, told in known.items():
            yield Generation(name, wanted[name], told["seconds"], provenance=told["provenance"])
        missing = wanted.keys() - known.keys()
        if not missing:
            return
        by_id = {clip.id: clip for clip in clips}
        with scratch_folder(cache_dir() / "first-stage", "making") as area:
            for made in self.generator.generate(clips, area, only=missing, device=device, seed=seed):
                # A file that its owner keeps elsewhere may change: it is looked at anew each time.
                own = made.path is None or made.path.parent != area
                yield made if own else _kept(by_id[made.clip], made, wanted[made.clip])

    def _key(self, clip: Clip, clips: Sequence[Clip]) -> str:
        files = [file_stamp(path) for path in self.generator.sources(clip, clips) if path.exists()]
        return digest([*told_of(clip), files])[:32]


def _record(path: Path) -> dict[str, Any] | None:
    """What was written down of a sound in the cache; None where either is not there, or not as it was written."""
    try:
        told = read_json(path.with_suffix(".json"))
        require(told, {"seconds": float, "provenance": {str: object}, "sha256": str})
        return dict(told) if file_sha256(path) == told["sha256"] else None
    except (OSError, ValueError):
        return None


def _kept(clip: Clip, made: Generation, path: Path) -> Generation:
    """A sound of the generator's as mono in the cache; its record is written last."""
    assert made.path is not None  # it was made
    began = time.perf_counter()
    try:
        with one_clip():
            sound = read_sound(made.path, duration=clip.duration, sample_rate=SAMPLE_RATE)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, sound.samples.mean(axis=0, keepdims=True), SAMPLE_RATE)
            made.path.unlink()
            record = {
                "clip": clip.id,
                "seconds": made.seconds,
                "provenance": dict(made.provenance),
                "sha256": file_sha256(path),
            }
            write_json(path.with_suffix(".json"), record)
    except ClipError as error:
        return Generation.failed(clip.id, made.seconds + time.perf_counter() - began, error)
    return made._replace(path=path)


def _inputs(first: SystemCard, second: SystemCard) -> tuple[Input, ...]:
    """What reaches the sound: only the mean of a reference that the generator hears."""
    sounds: tuple[Input, ...] = ("reference_mono",) if first.binauralises else ()
    seen = [name for card in (first, second) for name in card.inputs if name not in REFERENCE_INPUTS]
    return (*dict.fromkeys(seen), *sounds)


def _joined(*texts: str, between: str = "; ") -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def open_two_stage(generator: str, binauraliser: str) -> TwoStage:
    """Open the row of two requests.

    Args:
        generator: the system whose mono sound is taken, as `--system` has it.
        binauraliser: the system that turns it into binaural sound, likewise.

    Returns:
        The two as one system.

    Raises:
        UsageError: one of them is unknown or lacks its argument, or the second takes no mono sound.
    """
    from visaudio_bench.baselines.catalogue import open_system

    first, second = open_system(generator), open_system(binauraliser)
    try:
        return TwoStage(first, second)
    except UsageError as error:
        raise UsageError(f'"{generator}+{binauraliser}" is no row of two stages: {error}') from error
