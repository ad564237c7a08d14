"""Let systems make sound, keep what is made, and notice when it is out of date.

Every sound file has a record beside it, `<clip>.json`, with everything the sound depends on: the system's revision,
the seed, the window, the caption, and size and modification time of the source files. A sound is made again when its
record or its file is not what it should be; a killed run therefore goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from visaudio_bench.baselines import Generation, System
from visaudio_bench.baselines.system import clip_seed, told_of
from visaudio_bench.bench.console import note
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.errors import ClipError
from visaudio_bench.files import digest, file_sha256, file_stamp, read_json, write_json
from visaudio_bench.guard import one_clip
from visaudio_bench.pool import is_elsewhere, map_unordered, of_this_worker
from visaudio_bench.shapes import require
from visaudio_bench.sources import source_revision
from visaudio_bench.suites import Clip

LOADED = 64  # clips at most for which a worker of a cluster may have to load a system's networks
HOPELESS = 3  # clips that a system fails for one after the other before it is not asked again


class Generated(NamedTuple):
    """Where a clip's prediction lies, or why there is none."""

    clip: str
    path: Path | None
    reason: str = ""
    message: str = ""
    trace: str = ""


def folder_of(plan: Plan, job: SuiteJob, system: System) -> Path:
    """Name the folder of one system's sounds for one suite.

    Args:
        plan: of the run.
        job: the suite and its systems.
        system: one of them.

    Returns:
        Where they lie or will lie.
    """
    return plan.sounds or plan.out / "audio" / job.suite.name / system.card.name


def recorded(plan: Plan, job: SuiteJob, system: System) -> dict[str, Path]:
    """Look up which sounds are there already and up to date.

    Args:
        plan: of the run.
        job: the suite and its systems.
        system: one of them.

    Returns:
        Files by clip id.
    """
    folder = folder_of(plan, job, system)
    # Most often there are none, and neither clips need be looked at then, nor does a missing file cost an error.
    told = {name: path for name in job.ids if (path := folder / f"{name}.json").is_file()} if folder.is_dir() else {}
    paths = {}
    for clip in job.clips if told else ():
        try:
            if clip.id not in told:
                continue
            with one_clip():
                record = read_json(told[clip.id])
                path = folder / record["file"]
                if record["key"] == _key(plan, job, system, clip) and record["fingerprint"] == file_stamp(path):
                    paths[clip.id] = path
        except (OSError, ClipError):
            continue  # no record, or not one of ours: make it again
    return paths


def record_at(path: Path) -> dict[str, Any]:
    """The record beside a sound, of whoever made it; nothing where there is none, or what is there is none."""
    try:
        told = read_json(path)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def made_sounds(folder: Path) -> dict[str, Path]:
    """Sound files by clip id of one system's folder in a run; those of `outputs` lie where their owner has them.

    A record that does not say where its sound lies costs that sound, which is said.
    """
    paths = {path.stem: path for path in sorted(folder.glob("[!.]*.wav"))}
    for record in sorted(folder.glob("[!.]*.json")):
        if record.stem not in paths:
            try:
                told = read_json(record)
                require(told, {"file": str})
                paths[record.stem] = folder / told["file"]
            except (OSError, ValueError) as error:
                note(f"a sound is left out: {record} does not say which file it is: {error}")
    return paths


def generate(plan: Plan, job: SuiteJob, system: System, missing: Sequence[str]) -> Iterator[Generated]:
    """Make the sounds that are missing.

    Args:
        plan: of the run.
        job: the suite and its systems.
        system: one of them.
        missing: ids of the clips.

    Returns:
        An iterator over what became of each clip, its record already written.
    """
    shared = system.shared_by_processes(plan.device)
    divided = shared or is_elsewhere()
    devices = _cards(plan.device) if system.by_card and not divided else (plan.device,)
    if not divided and len(devices) == 1:
        yield from _generate_some(plan, job, system, tuple(missing), plan.device)
        return
    workers = plan.workers if len(devices) == 1 else len(devices)
    size = max(1, min(16 if shared else LOADED, -(-len(missing) // (4 * workers))))
    chunks = [tuple(missing[start : start + size]) for start in range(0, len(missing), size)]
    needs = system.needs(plan.device)
    for outcome in map_unordered(partial(_generate_chunk, plan, job, system, devices), chunks, workers, needs):
        error = outcome.clip_error()
        if error is None:
            yield from outcome.result()
        else:  # the chunk could not even be sent
            yield from _unmade(outcome.item, error)


def _cards(device: str) -> tuple[str, ...]:
    """The devices that a name stands for; torch is asked only where there may be several."""
    if device == "cpu":
        return (device,)
    from visaudio_bench.models.serving import devices_of

    return devices_of(device)


def _generate_chunk(
    plan: Plan, job: SuiteJob, system: System, devices: tuple[str, ...], ids: tuple[str, ...]
) -> list[Generated]:
    return list(_generate_some(plan, job, system, ids, of_this_worker(devices)))


def _generate_some(plan: Plan, job: SuiteJob, system: System, ids: tuple[str, ...], device: str) -> Iterator[Generated]:
    """Have a system make some clips; where it raises, the first clip of which it has said nothing is made by itself.

    So a clip that a system cannot bear costs itself, whatever the system does at once or keeps from clip to clip. One
    that makes nothing, and fails for one clip after the other, is not asked for the rest.
    """
    left = dict.fromkeys(ids)
    batch = tuple(left)
    alone = 0  # clips that failed by themselves before any was made
    while left:
        error = None
        for made in _attempted(plan, job, system, batch, device):
            if isinstance(made, ClipError):
                error = made
            elif made.clip in left:
                del left[made.clip]
                alone = -len(ids)  # it can make some
                yield made
        unsaid = [name for name in batch if name in left]
        if error is not None and len(batch) > 1:
            batch = tuple(unsaid[:1])
            continue
        alone += error is not None
        if alone == HOPELESS:
            unsaid = list(left)
        silent = ClipError("no_record", f"{system.card.name} ended well and reported nothing of it.")
        for made in _unmade(unsaid, error or silent):
            del left[made.clip]
            yield made
        batch = tuple(left)


def _attempted(
    plan: Plan, job: SuiteJob, system: System, ids: tuple[str, ...], device: str
) -> Iterator[Generated | ClipError]:
    """What a system makes of some clips, each with its record written; last the error that ended it, if one did."""
    try:
        with one_clip():
            out = folder_of(plan, job, system)
            out.mkdir(parents=True, exist_ok=True)
            by_id = {clip.id: clip for clip in job.usable}
            made = iter(system.generate(job.usable, out, only=frozenset(ids), device=device, seed=plan.seed))
        while True:
            with one_clip():
                generation = next(made, None)
            if generation is None:
                return
            yield _kept(plan, job, system, by_id.get(generation.clip), generation)
    except ClipError as error:
        yield error


def _kept(plan: Plan, job: SuiteJob, system: System, clip: Clip | None, generation: Generation) -> Generated:
    """What a system said of a clip, after its record is written; a sound that gets none does not stay."""
    name, folder = generation.clip, folder_of(plan, job, system)
    written = False
    try:
        with one_clip():
            if clip is not None and generation.path is not None:
                record = _record(plan, job, system, clip, generation)
                write_json(folder / f"{name}.json", record)
            written = True
    except ClipError as error:
        return Generated(name, None, error.reason, error.message, error.trace)
    finally:
        # Elsewhere it is somebody's own.
        if not written and generation.path is not None and generation.path.parent == folder:
            with suppress(OSError):
                generation.path.unlink()
    return Generated(name, generation.path, generation.reason, generation.message, generation.trace)


def _unmade(ids: Sequence[str], error: ClipError) -> Iterator[Generated]:
    """The clips that an error cost; the traceback goes with the first one."""
    for number, name in enumerate(ids):
        yield Generated(name, None, error.reason, error.message, "" if number else error.trace)


def _record(plan: Plan, job: SuiteJob, system: System, clip: Clip, generation: Generation) -> dict[str, Any]:
    """The provenance of one sound; it is written after the sound, so that a record always means a whole file."""
    assert generation.path is not None  # failed generations leave no record
    inside = generation.path.parent == folder_of(plan, job, system)
    return {
        "key": _key(plan, job, system, clip),
        "suite": job.suite.name,
        "system": system.card.name,
        "revision": system.card.revision,
        "clip": clip.id,
        "file": generation.path.name if inside else str(generation.path.resolve()),
        "fingerprint": file_stamp(generation.path),
        "sha256": file_sha256(generation.path),
        "seed": clip_seed(plan.seed, system.card.name, clip.id),
        "device": plan.device,
        "seconds": round(generation.seconds, 3),
        "provenance": dict(generation.provenance),
    }


def _key(plan: Plan, job: SuiteJob, system: System, clip: Clip) -> str:
    """Everything a sound depends on, as one hash."""
    parts: dict[str, Any] = {
        "system": system.card.name,
        "revision": system.card.revision,
        "code": source_revision(type(system).__module__),  # a plug-in's card may have another system's revision
        "seed": plan.seed,
        "device": plan.device,
        "clip": told_of(clip),
        "sources": [file_stamp(path) for path in system.sources(clip, job.usable) if path.exists()],
    }
    return digest(parts)
