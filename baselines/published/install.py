"""Install a published system: its authors' code at the pinned commit, an environment of its own, its weights.

Everything lies in one folder of the cache, and removing that folder removes the system. Each step writes down that it
is done, so that an interrupted installation goes on; what a user brings (`--source`, `--python`, `--weights`) is used
where it lies and never changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.published.card import Card, Weights
from visaudio_bench.baselines.published.fetching import folder_of
from visaudio_bench.baselines.published.installed import home_of, install_command, read_state, weights_stamp
from visaudio_bench.baselines.published.machine import lacking
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import CACHE_VARIABLE, digest, parse_json, write_json
from visaudio_bench.lock import hold
from visaudio_bench.models.weights import check_file, checksums, entry, missing, path_of

LIST_PACKAGES = (
    "import importlib.metadata as m, json, sys; "
    "print(json.dumps([sys.version.split()[0], sorted({d.metadata['Name'] + '==' + d.version "
    "for d in m.distributions() if d.metadata['Name']})]))"
)


@dataclass(frozen=True)
class Wishes:
    """What the user brings: a checkout, an interpreter, a folder of weights; or random weights to try a system."""

    source: Path | None = None
    python: Path | None = None
    weights: Path | None = None
    random_weights: bool = False


def refuse_impossible(card: Card, wishes: Wishes) -> None:
    """Complain before anybody is asked to accept a licence.

    Args:
        card: the system's.
        wishes: what the user brings.

    Raises:
        UsageError: nobody can run the system, something that the user brings is not there, or this machine lacks a
            program or a library that it needs.
    """
    refuse_outputs_only(card)
    refuse_wishes(card, wishes)
    for sentence in lacking(card):
        raise UsageError(sentence)


def refuse_wishes(card: Card, wishes: Wishes) -> None:
    """Complain of what a user brings and is not there.

    Args:
        card: the system's.
        wishes: what the user brings.

    Raises:
        UsageError: a folder is none, or the interpreter cannot be run.
    """
    if wishes.source is not None and not wishes.source.is_dir():
        raise UsageError(f"--source {wishes.source} is not a folder; a checkout of {card.title} is expected.")
    if wishes.weights is not None and not wishes.weights.is_dir():
        raise UsageError(f"--weights {wishes.weights} is not a folder; one with weights of {card.title} is expected.")
    python = wishes.python.expanduser() if wishes.python is not None else None
    if python is not None and not (python.is_file() and os.access(python, os.X_OK)):
        raise UsageError(f"--python {wishes.python} is not a Python interpreter.")


def refuse_outputs_only(card: Card, what: str = "installed") -> None:
    """Complain that nobody can run a system.

    Args:
        card: the system's.
        what: what cannot be done with it.

    Raises:
        UsageError: its authors published no code that makes sounds.
    """
    if card.status == "outputs_only":
        raise UsageError(
            f"{card.title} cannot be {what}: {card.reason} Score sounds that you have of it: "
            f"bench run --system outputs:{card.name}=DIR"
        )


def install(card: Card, wishes: Wishes) -> Iterator[str]:
    """Install a system step by step.

    Args:
        card: the system's.
        wishes: what the user brings: a checkout, an interpreter, weights.

    Returns:
        A line before each step.

    Raises:
        UsageError: something that the user brought or must bring is not there.
        BenchError: a step failed; what is done is kept.
    """
    refuse_wishes(card, wishes)
    home = home_of(card)
    with hold(home, f"bench systems install {card.name}", otherwise=f"set {CACHE_VARIABLE}"):
        yield from _install(card, wishes, home)


def _install(card: Card, wishes: Wishes, home: Path) -> Iterator[str]:
    state = read_state(card)
    if state.get("commit") != card.commit:
        state = {"commit": card.commit}
    state["complete"] = False
    steps = (("code", _source), ("extras", _extras), ("environment", _environment), ("weights", _weights))
    for name, step in steps:
        yield f"{card.name}: {name}"
        state |= step(card, wishes, home, state)
        write_json(home / "install.json", state)
    state["complete"] = True
    write_json(home / "install.json", state)
    yield f"{card.name}: installed in {home}"


def remove(card: Card) -> bool:
    """Remove everything that was put on this machine for a system; False if there was nothing."""
    home = home_of(card)
    if not home.exists():
        return False
    shutil.rmtree(home)
    return True


def _source(card: Card, wishes: Wishes, home: Path, state: dict[str, Any]) -> dict[str, Any]:
    assert card.source is not None  # a runnable system has one
    if wishes.source is not None:
        return {"source": str(wishes.source.resolve())}
    if "source" in state and Path(state["source"]).is_dir():
        return {}
    return {"source": str(_clone(card.source.repository, card.source.commit, home / "source"))}


def _extras(card: Card, wishes: Wishes, home: Path, state: dict[str, Any]) -> dict[str, Any]:
    del state  # what is there is seen
    if wishes.python is not None:
        return {"extras": []}  # the user's environment has what it needs
    paths = [home / "extras" / extra.name for extra in card.extras]
    for extra, path in zip(card.extras, paths, strict=True):
        if not path.is_dir():
            _clone(extra.repository, extra.commit, path)
    return {"extras": [str(path) for path in paths]}


def _clone(repository: str, commit: str, target: Path) -> Path:
    """The files of one commit; `target` appears when they are all there."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _run(["git", "init", "--quiet"], part)
    _run(["git", "fetch", "--quiet", "--depth", "1", repository, commit], part)
    _run(["git", "checkout", "--quiet", "FETCH_HEAD"], part)
    shutil.rmtree(target, ignore_errors=True)
    return part.rename(target)


def _environment(card: Card, wishes: Wishes, home: Path, state: dict[str, Any]) -> dict[str, Any]:
    if wishes.python is not None:
        python = wishes.python.expanduser().absolute()  # resolving a venv's link would leave the venv
        return {"python": str(python), "lock": "", **_packages(python)}
    lock = hashlib.sha256(card.lock.read_bytes()).hexdigest()
    if state.get("lock") == lock and Path(state["python"]).exists():
        return {}
    folder = home / "environment"
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        _run([uv, "venv", "--quiet", "--python", card.python, str(folder)], home)
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        _run([_interpreter(card.python), "-m", "venv", str(folder)], home)
        install = [str(python), "-m", "pip", "install", "--quiet"]
    source_only = [part for package in card.built for part in ("--no-binary", package)]
    _run([*install, "--no-deps", "--only-binary", ":all:", *source_only, "--requirement", str(card.lock)], home)
    return {"python": str(python), "lock": lock, **_packages(python)}


def _interpreter(version: str) -> str:
    interpreter = shutil.which(f"python{version}")
    if interpreter is None:
        raise UsageError(
            f"Python {version} is not on this machine, and uv, which could fetch it, is not either. Install one of "
            "them, or give an environment that has everything: --python PATH"
        )
    return interpreter


def _packages(python: Path) -> dict[str, Any]:
    """Version of the interpreter, and a hash of the names and versions of everything in its environment."""
    done = subprocess.run([str(python), "-c", LIST_PACKAGES], capture_output=True, text=True, check=False)
    try:
        version, packages = parse_json(done.stdout)
    except (TypeError, ValueError) as error:
        words = (done.stderr or done.stdout).strip().splitlines()
        said = f": {words[-1]}" if words else ""
        raise UsageError(
            f"{python} is not a Python interpreter, or one that does not work: asked for its packages, it ended with "
            f"exit code {done.returncode}{said}"
        ) from error
    return {"version": version, "packages": digest(packages)}


def _weights(card: Card, wishes: Wishes, home: Path, state: dict[str, Any]) -> dict[str, Any]:
    """A folder of links with the card's names, wherever the files lie; and their hashes."""
    del state  # links cost nothing, and hashes of large files are remembered
    folder = home / "weights"
    shutil.rmtree(folder, ignore_errors=True)
    if wishes.random_weights:
        return {"weights": None}
    folder.mkdir()
    sums, stamps, absent = {}, {}, []
    for wanted in card.weights:
        path = locate(card, wanted, wishes.weights)
        if path is None:
            absent += [] if wanted.optional else [wanted]
            continue
        sums[wanted.file], stamps[wanted.file] = _check(wanted, path), weights_stamp(path)
        (folder / wanted.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / wanted.file).symlink_to(path.resolve())
    if absent:
        raise UsageError(_missing(card, absent))
    return {"weights": sums, "stamps": stamps}


def _missing(card: Card, absent: Sequence[Weights]) -> str:
    fetched = [wanted.registry for wanted in absent if wanted.registry]
    offered = any(wanted.url or wanted.hub for wanted in absent)
    brought = "; ".join(f"{wanted.file} from {wanted.origin}" for wanted in absent if not wanted.registry)
    return (
        f"weights of {card.title} are not here."
        + (f" Get them: bench weights fetch {' '.join(fetched)}" if fetched else "")
        + (f" Get those that can be downloaded: bench systems fetch {card.name}" if offered else "")
        + (f" Put into a folder, under these names: {brought}" if brought else "")
        + f" Then: {install_command(card)}{' --weights DIR' if brought else ''}. "
        "To try it without weights: --random-weights"
    )


def locate(card: Card, wanted: Weights, given: Path | None) -> Path | None:
    """Look for a file of weights.

    Args:
        card: the system's.
        wanted: the file.
        given: a folder that has it, perhaps, by the card's name; else it is where `bench weights` keeps it, or where
            `bench systems fetch` does.

    Returns:
        Its path, None where it is nowhere.
    """
    if given is not None and (given / wanted.file).exists():
        return given / wanted.file
    if wanted.registry and not missing([wanted.registry]):
        return path_of(wanted.registry)
    fetched = folder_of(card) / wanted.file
    return fetched if fetched.exists() else None


def _check(wanted: Weights, path: Path) -> str:
    """SHA-256 of a file, compared with what is known; of a folder, of the names and sizes in it."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return digest([[str(p.relative_to(path)), p.stat().st_size] for p in files])
    if wanted.registry:
        return check_file(entry(wanted.registry), path, keep_receipt=True)
    sums = checksums(path)
    for kind, expected in (("sha256", wanted.sha256), ("md5", wanted.md5)):
        if expected and sums[kind] != expected:
            raise UsageError(f"{path} is not the published {wanted.file}: its {kind} is not {expected}.")
    return sums["sha256"]


def _run(command: Sequence[str], folder: Path) -> str:
    """Output of a command that must work; its last words are the error's."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"{command[0]} is not on this machine; it is needed to install. Install it first.") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        said = " ".join(words[-3:])
        raise BenchError(f"{' '.join(command[:3])} ... failed: {said}. What is done is kept; try again.")
    return done.stdout
