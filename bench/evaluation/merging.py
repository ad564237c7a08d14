"""Parts of one run, made on several machines, put into a folder of their own; the parts stay as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from visaudio_bench.bench.console import note
from visaudio_bench.bench.evaluation.generation import made_sounds, record_at
from visaudio_bench.bench.evaluation.joint_runs import JointRuns, join_runs
from visaudio_bench.bench.evaluation.network_scores import join_features
from visaudio_bench.bench.evaluation.run_media import join_media
from visaudio_bench.bench.evaluation.run_writing import RunContent, write_run
from visaudio_bench.bench.provenance import command_line, provenance
from visaudio_bench.errors import UsageError
from visaudio_bench.files import atomic_path, file_sha256, file_stamp, scratch_folder, write_json
from visaudio_bench.leaderboards.feature_distances import REFERENCE_SET, feature_file
from visaudio_bench.leaderboards.schema import Run, read_clip_rows, read_results
from visaudio_bench.leaderboards.tables import Table


def merge(folders: Sequence[Path], out: Path) -> list[Table]:
    """Merge runs into a new folder that needs none of them: rows, results, features, and every sound.

    Args:
        folders: of the runs; an anchor that several have is the first's.
        out: a folder that is not there yet, or empty.

    Returns:
        The tables of the whole.

    Raises:
        UsageError: the runs do not compare, two have a system of one name that is not the same, or `out` is taken.
    """
    _refuse_taken(folders, out)
    runs = [(folder, read_results(folder)) for folder in folders]
    joint = join_runs(runs, parts=True)
    _refuse_other_systems(joint)
    place = out.resolve()
    with scratch_folder(place.parent, place.name) as scratch:  # killed at any moment, there is no half of `out`
        made = scratch / place.name
        tables = _write(folders, joint, made)
        try:
            made.rename(place)
        except OSError as error:
            _refuse_taken(folders, out)  # by somebody else meanwhile
            raise UsageError(f"{out} cannot be made: {error.strerror}. Choose another folder: --out DIR") from error
    return tables


def _write(folders: Sequence[Path], joint: JointRuns, out: Path) -> list[Table]:
    for record in joint.records:
        suite = record.info.name
        for system, places in joint.folders[suite].items():
            _copy_sounds(places[0], Path("audio") / suite / system, out)
            join_features([feature_file(place, suite, system) for place in places], feature_file(out, suite, system))
        sources = [feature_file(folder, suite, REFERENCE_SET) for folder in folders]
        join_features(sources, feature_file(out, suite, REFERENCE_SET))
    join_media(folders, out)
    content = RunContent(
        joint.records, joint.rows, joint.failures, joint.unavailable, _provenance([run for _, run in joint.runs])
    )
    return write_run(out, content)


def _refuse_taken(folders: Sequence[Path], out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} is there and not empty; --out expects a new folder.")
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"--out {out} lies in {folder}, which stays as it is; choose a folder elsewhere.")


def _refuse_other_systems(joint: JointRuns) -> None:
    """Of one name there is one system: of one revision, with the same sounds and the same values.

    Raises:
        UsageError: says which is not.
    """
    tables = {folder: read_clip_rows(folder / "clips.csv") for folder, _ in joint.runs}
    for record in joint.records:
        suite = record.info.name
        values = {folder: table.by_clip(suite) for folder, table in tables.items()}
        for system in (system for system in record.systems if not system.anchor):
            for first, second in combinations(joint.folders[suite][system.name], 2):
                told = next(
                    _differences(first, second, suite, system.name, dict(joint.runs), [values[first], values[second]]),
                    None,
                )
                if told is not None:
                    raise UsageError(
                        f"{first} and {second} both have {system.name} on {suite}, and not the same one: {told}. Give "
                        f"one of them another name, or look at both as they are: bench leaderboard {first} {second}"
                    )


def _differences(
    first: Path, second: Path, suite: str, system: str, runs: dict[Path, Run], values: Sequence[dict[Any, Any]]
) -> Iterator[str]:
    revisions = [
        {card["name"]: card["revision"] for body in runs[folder].body["suites"] for card in body["cards"]}.get(system)
        for folder in (first, second)
    ]
    if revisions[0] != revisions[1]:
        yield f"revision {revisions[0]} and {revisions[1]}"
    sounds = [_hashes(folder / "audio" / suite / system) for folder in (first, second)]
    for clip in sounds[0].keys() & sounds[1].keys():
        if sounds[0][clip] != sounds[1][clip]:
            yield f"other sounds, as of clip {clip}"
    for key in values[0].keys() & values[1].keys():
        if key[0] == system and values[0][key] != values[1][key]:
            yield f"other values of {key[1]}"


def _hashes(sounds: Path) -> dict[str, str]:
    """The hash of the sound of each clip, as its record says it."""
    told = {path.stem: record_at(path) for path in sounds.glob("[!.]*.json")}
    return {clip: record["sha256"] for clip, record in told.items() if "sha256" in record}


def _copy_sounds(run: Path, system: Path, out: Path) -> None:
    """Copy the sounds of a system with their records, also those that its owner has elsewhere.

    What lies elsewhere is copied only where the record has its hash: a stranger's may name any file of this machine.
    """
    source, target = run / system, out / system
    for clip, path in (made_sounds(source) if source.is_dir() else {}).items():
        told = record_at(source / f"{clip}.json")
        if path.is_file():
            if not (path.resolve().is_relative_to(run.resolve()) or file_sha256(path) == told.get("sha256")):
                note(f"a sound is left out: {path} is not in {run}, and {source / clip}.json has another hash or none")
                continue
            copy = target / f"{clip}{path.suffix}"
            with atomic_path(copy) as temporary:
                shutil.copyfile(path, temporary)
                shutil.copystat(path, temporary)
            told |= {"file": copy.name, "fingerprint": file_stamp(copy)}
            told.setdefault("sha256", file_sha256(copy))
        if told:
            write_json(target / f"{clip}.json", told)


def _provenance(runs: Sequence[Run]) -> dict[str, Any]:
    """The provenance of the merged numbers, and below it that of each part."""
    told = [run.provenance for run in runs]
    first = told[0]
    origin = provenance(
        command=command_line(), seed=first["seed"], device=first.get("device", ""), dtype=first.get("dtype", "")
    )
    origin["protocol"] = first["protocol"]
    for name in ("weights", "backbones"):
        origin[name] = {key: value for part in told for key, value in part.get(name, {}).items()}
    parts = [
        entry
        for part in told
        for entry in (*part.get("earlier", []), {key: value for key, value in part.items() if key != "earlier"})
    ]
    return {**origin, "earlier": parts}
