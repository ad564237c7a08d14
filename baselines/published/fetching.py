"""`bench systems fetch NAME`: the weights of a published system, from where its authors offer them or from a folder.

They lie in the folder of weights, under `systems/NAME`, where `bench systems install` finds them. Downloads go on where
they stopped. What came is written down in `fetched.json`: address, size, checksum, and the version that the server
told; when the authors put another file in its place, the next fetch says so and keeps what is here.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.published.card import Card, Weights
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import parse_json, read_json, write_json
from visaudio_bench.models.download import Progress, fetch, fetch_to
from visaudio_bench.models.weights import WeightFile, check_file, checksums, weights_dir
from visaudio_bench.names import fault
from visaudio_bench.shapes import require

HUB = "https://huggingface.co"
TIMEOUT = 60.0
# Of a model hub's folder: the same network for other libraries, and what documents it.
_LISTED = {"type": str, "path": str, "size": int, "lfs?": {"oid": str}}
OTHERS = (".h5", ".msgpack", ".ot", ".onnx", ".tflite", ".md", ".gitattributes", ".png", ".jpg")


def folder_of(card: Card) -> Path:
    """Where fetched weights of a system lie."""
    return weights_dir() / "systems" / card.name


def fetch_weights(card: Card, source: Path | None, progress: Progress | None = None, hub: str = HUB) -> Iterator[str]:
    """Fetch those weights that are not here.

    Args:
        card: the system's.
        source: a folder that has the files by the card's names; they are copied instead of downloaded.
        progress: is told how far a download is.
        hub: address of the model hub.

    Returns:
        A line for each file, when it is here.

    Raises:
        UsageError: `source` lacks a file; or some can only be had by a person, which is said when the others are here.
        BenchError: a download failed, a file is not the published one, or its authors changed it.
    """
    by_hand = []
    for wanted in card.weights:
        if wanted.optional and not (source and (source / wanted.file).exists()):
            continue
        path = folder_of(card) / wanted.file
        if source is not None:
            yield f"{wanted.file}: {_take(card, wanted, source / wanted.file, path)}"
        elif wanted.registry:
            yield f"{wanted.file}: whole, in {fetch(wanted.registry, progress).path}"
        elif wanted.url:
            yield f"{wanted.file}: {_fetch_file(card, _entry(card, wanted, wanted.url), path, progress)}"
        elif wanted.hub:
            for entry, part in _listed(card, wanted, hub):
                yield f"{wanted.file}/{part}: {_fetch_file(card, entry, path / part, progress)}"
        else:
            by_hand.append(wanted)
    if by_hand:
        names = "; ".join(f"{wanted.file} from {wanted.origin}" for wanted in by_hand)
        raise UsageError(
            f"these weights of {card.title} are not offered to programs: {names}. Put them into a folder under these "
            f"names, then: bench systems install {card.name} --weights DIR"
        )


def _entry(card: Card, wanted: Weights, url: str) -> WeightFile:
    return WeightFile(
        f"{card.name}/{wanted.file}", wanted.file, card.title, wanted.size or 0, wanted.licence or card.weights_licence,
        url, size_is_exact=bool(wanted.size), sha256=wanted.sha256 or None, md5=wanted.md5 or None,
        checksum_from="the card", command=f"bench systems fetch {card.name}",
    )  # fmt: skip


def _listed(card: Card, wanted: Weights, hub: str) -> Iterator[tuple[WeightFile, str]]:
    """The files of a hub's repository that torch needs, with the sizes and checksums that the hub tells."""
    address = f"{hub}/api/models/{wanted.hub}/tree/{wanted.revision}?recursive=true"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            told: list[dict[str, Any]] = parse_json(answer.read())
        require(told, [_LISTED])
    except (OSError, ValueError) as error:
        raise BenchError(f"{address} could not be read: {error}. The same command goes on.") from error
    wanted_here = (entry for entry in told if entry["type"] == "file" and not entry["path"].endswith(OTHERS))
    files = {entry["path"]: entry for entry in wanted_here if not Path(entry["path"]).name.startswith(".")}
    for path in files:
        if any(map(fault, path.split("/"))):
            raise BenchError(f"{address} lists the file {path!a}, which would not lie in the folder of the weights.")
    safe = any(path.endswith(".safetensors") for path in files)
    for path, entry in files.items():
        if safe and path.endswith((".bin", ".bin.index.json")):
            continue
        url = f"{hub}/{wanted.hub}/resolve/{wanted.revision}/{path}"
        known = {"size": entry["size"], "sha256": entry.get("lfs", {}).get("oid", "")}
        yield _entry(card, replace(wanted, file=f"{wanted.file}/{path}", md5="", **known), url), path


def _records(path: Path) -> dict[str, dict[str, Any]]:
    """What was fetched before; nothing where the file is damaged, and each file is then compared with its checksum."""
    try:
        told: dict[str, dict[str, Any]] = read_json(path)
        require(told, {str: {"version": str, "sha256": str}})
    except (OSError, ValueError):
        return {}
    return told


def _fetch_file(card: Card, entry: WeightFile, path: Path, progress: Progress | None) -> str:
    record_path = folder_of(card) / "fetched.json"
    records = _records(record_path)
    version = _version(entry.origin)
    before = records.get(entry.file)
    if before and path.exists() and version and before["version"] and version != before["version"]:
        raise BenchError(
            f"{entry.file} was changed by its authors since it was fetched: {before['version']} is here, {version} is "
            f"at {entry.origin}. What is here is kept. To take theirs, remove {path} and: {entry.fetch_command}"
        )
    located = fetch_to(entry, path, progress)
    size = located.path.stat().st_size
    if before and before["sha256"] != located.sha256:
        raise BenchError(f"{path} is not what was fetched from {entry.origin}. Remove it, then: {entry.fetch_command}")
    records[entry.file] = {"url": entry.origin, "version": version, "size": size, "sha256": located.sha256}
    write_json(record_path, records)
    return f"whole, {size / 1e6:,.0f} MB, sha256 {located.sha256[:12]}"


def _version(url: str) -> str:
    """What the server calls this version of a file; empty where it says nothing or cannot be reached."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT) as answer:
            return str(answer.headers.get("X-Linked-Etag") or answer.headers.get("ETag") or "").strip('W/"')
    except OSError:
        return ""


def _take(card: Card, wanted: Weights, source: Path, path: Path) -> str:
    if not source.exists():
        raise UsageError(f"there is no {source}; {wanted.file} of {card.title} comes from {wanted.origin}.")
    if source.is_dir() if wanted.url or wanted.registry else wanted.hub and not source.is_dir():
        kinds = ("folder", "file") if source.is_dir() else ("file", "folder")
        raise UsageError(
            f"{source} is a {kinds[0]}; {wanted.file} of {card.title} is a {kinds[1]}, from {wanted.origin}."
        )
    if source.is_file():
        check_file(_entry(card, wanted, wanted.url or wanted.origin), source)
    if path.exists():
        if _contents(path) != _contents(source):
            raise BenchError(
                f"{path} is here already, and {source} is another. What is here is kept. To take the other, remove "
                f"{path} and: bench systems fetch {card.name} --from {source.parent}"
            )
        return f"is here, in {path}"
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    _clear(part)  # of a copy that was interrupted, and may have been of another folder
    if source.is_dir():
        shutil.copytree(source, part)
    else:
        shutil.copyfile(source, part)
    part.replace(path)
    return f"copied to {path}"


def _contents(path: Path) -> list[tuple[str, str]]:
    """The files that a path has, with their checksums."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [(str(file.relative_to(path)), checksums(file)["sha256"]) for file in files]


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
