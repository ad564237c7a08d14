"""Where published systems lie on this machine, and whether one can be used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.published.card import Card, read_card
from visaudio_bench.errors import UsageError
from visaudio_bench.files import cache_dir, digest, file_stamp, is_there, read_json
from visaudio_bench.shapes import require

SYSTEMS_VARIABLE = "VISAUDIO_BENCH_SYSTEMS"
CODE = frozenset({".py", ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt"})


def card_folders() -> dict[str, Path]:
    """Folders with a card by the system's name: ours, then those in the folders of `$VISAUDIO_BENCH_SYSTEMS`."""
    given = os.environ.get(SYSTEMS_VARIABLE, "")
    bases = [Path(__file__).parent, *(Path(part).expanduser() for part in given.split(os.pathsep) if part)]
    folders: dict[str, Path] = {}
    for base in bases:
        for path in sorted(base.glob("*/card.toml")):
            folders.setdefault(path.parent.name.replace("_", "-"), path.parent)
    return folders


def published_names() -> dict[str, tuple[Path, str]]:
    """Names of all published systems and of their variants, with the card's folder and the variant."""
    names: dict[str, tuple[Path, str]] = {}
    for name, folder in card_folders().items():
        names[name] = (folder, "")
        try:
            variants = read_card(folder).variants
        except UsageError:
            continue  # a damaged card is told of when it is asked for
        names |= {f"{name}-{variant}": (folder, variant) for variant in variants}
    return names


def find_card(name: str) -> Card:
    """The card of that name.

    Raises:
        UsageError: there is none, with the closest one; or it is not as a card should be.
    """
    from visaudio_bench.registry import did_you_mean

    folders = card_folders()
    if name not in folders:
        folder, variant = published_names().get(name, (None, ""))
        if folder is not None:
            raise UsageError(
                f'"{name}" is a row of its own, the variant {variant} of a system that is installed as a whole. Write: '
                f"{name.removesuffix(f'-{variant}')}"
            )
        raise UsageError(
            f'no published system is called "{name}".{did_you_mean(name, folders)} '
            f"Known: {', '.join(folders)}. See: bench systems list"
        )
    return read_card(folders[name])


@dataclass(frozen=True)
class Installation:
    """A system that can be used here.

    Attributes:
        home: its folder in the cache, with everything that we put on this machine for it.
        source: its authors' code.
        python: the interpreter of its environment.
        weights: folder of its weights, None to run it with random ones.
        extras: further folders on its path.
        made_from: what its sounds depend on: hashes of code, packages and weights.
    """

    home: Path
    source: Path
    python: Path
    weights: Path | None
    extras: tuple[Path, ...]
    made_from: dict[str, Any]

    @property
    def is_random(self) -> bool:
        """Whether its networks have random weights: good for trying, worthless as a row."""
        return self.weights is None


def home_of(card: Card) -> Path:
    """The folder of a system in the cache."""
    return cache_dir() / "published" / "systems" / card.name


def install_command(card: Card) -> str:
    """The command that installs a system."""
    return f"bench systems install {card.name}"


_BEGUN = {"commit": str, "complete?": bool, "source?": str, "python?": str, "extras?": [str]}
_INSTALLED = {
    "commit": str, "source": str, "python": str, "extras": [str], "weights": object, "packages": object,
    "stamps?": {str: str},
}  # fmt: skip


def read_state(card: Card) -> dict[str, Any]:
    """What `bench systems install` wrote down so far; empty before, and where it is damaged."""
    try:
        state: dict[str, Any] = read_json(home_of(card) / "install.json")
        require(state, _BEGUN)
        if state.get("complete"):
            require(state, _INSTALLED)
    except (OSError, ValueError):
        return {}
    return state


def why_unavailable(card: Card) -> str:
    """One sentence on why a system cannot be used here, with the command that helps; empty if it can."""
    if card.status == "outputs_only":
        return (
            f"{card.title} cannot be run: {card.reason} "
            f"Score sounds that you have of it: bench run --system outputs:{card.name}=DIR"
        )
    state = read_state(card)
    if not state:
        return f"{card.title} is not installed. Install it: {install_command(card)}"
    if not state.get("complete"):
        return f"{card.title} is installed in part. Go on: {install_command(card)}"
    if state["commit"] != card.commit:
        return (
            f"{card.title} is installed at commit {state['commit'][:10]}, its card asks for {card.commit[:10]}. "
            f"Renew it: bench systems remove {card.name} && {install_command(card)}"
        )
    return _what_changed(card, state)


def _what_changed(card: Card, state: dict[str, Any]) -> str:
    """What is not there any more of that with which a system was installed, or is another; empty if nothing is."""
    gone = [Path(state[part]) for part in ("source", "python") if not is_there(state[part])]
    if gone:
        return f"{card.title} was installed with {gone[0]}, which is not there any more. Again: {install_command(card)}"
    for name, stamp in state.get("stamps", {}).items() if state["weights"] is not None else ():
        if weights_stamp(home_of(card) / "weights" / name) != stamp:
            return (
                f"{card.title} was installed with another {name} than lies there now: weights were changed or removed "
                f"since. Again: {install_command(card)}"
            )
    return ""


def weights_stamp(path: Path) -> str:
    """Tell changed weights from unchanged ones without reading them: a file, or a folder as model hubs keep it.

    Returns:
        A hash of sizes and times; empty where there is nothing.
    """
    if not path.exists():
        return ""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return digest([[str(file.relative_to(path)), file_stamp(file)] for file in files])


def installation(card: Card) -> Installation:
    """The installed system.

    Raises:
        UsageError: it cannot be used here.
    """
    if reason := why_unavailable(card):
        raise UsageError(reason)
    state, home = read_state(card), home_of(card)
    source = Path(state["source"])
    return Installation(
        home=home,
        source=source,
        python=Path(state["python"]),
        weights=home / "weights" if state["weights"] is not None else None,
        extras=tuple(Path(extra) for extra in state["extras"]),
        made_from={
            "source": state["commit"] if source.is_relative_to(home) else code_digest(source),
            "packages": state["packages"],
            "weights": state["weights"] or "random",
        },
    )


def code_digest(folder: Path) -> str:
    """Hash of the code in a folder that its user may change at any time."""
    sums = hashlib.sha256()
    for path in sorted(_code_files(folder)):
        sums.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return sums.hexdigest()


def _code_files(folder: Path) -> Iterable[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in CODE and not hidden and path.is_file() and path.stat().st_size < 1 << 20:
            yield path


def identity(card: Card, installed: Installation) -> dict[str, Any]:
    """Collect everything that a native sound of a system depends on, beside the clip, the options and the device.

    Args:
        card: the system's.
        installed: where it lies, and what it was made from.

    Returns:
        The hash of its runner, and what the installation was made from, JSON-able.
    """
    return {"runner": digest(card.runner.read_text(encoding="utf-8")), **installed.made_from}
