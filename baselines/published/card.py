"""The card of a published system: `card.toml`, read and checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from visaudio_bench.errors import UsageError

Status = Literal["runnable", "outputs_only"]
Given = Literal["video", "caption", "cot", "image", "frames", "mono"]
Layout = Literal["mono", "stereo", "binaural", "foa", "5.1"]
CHANNELS: dict[Layout, int] = {"mono": 1, "stereo": 2, "binaural": 2, "foa": 4, "5.1": 6}
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Value = str | int | float | bool
Options = Mapping[str, Any]


@dataclass(frozen=True)
class AuthorsSource:
    """Where the authors' code is: repository, the full commit that is used, its licence as the authors state it."""

    repository: str
    commit: str
    licence: str


@dataclass(frozen=True)
class Extra:
    """Python code that a system imports and no package index has: a repository at a commit, put on its path."""

    repository: str
    commit: str

    @property
    def name(self) -> str:
        """The repository's own name."""
        return self.repository.rstrip("/").rpartition("/")[2].removesuffix(".git")


@dataclass(frozen=True)
class Library:
    """A shared library that must be on the machine: what it is, file names of which one must load, how to get it."""

    name: str
    any_of: tuple[str, ...]
    get: str


@dataclass(frozen=True)
class Weights:
    """One file of weights, or one folder (a model hub's cache).

    file: its name in the system's weights folder. origin: where its authors offer it. size: bytes, None where no
    record was found. url: the file itself, where it can be fetched without a person. hub: the repository of a model
    hub that a folder is, with `revision`, a branch where no commit is known to be the authors'. licence: where it is
    not the card's. registry: its name in `bench weights`, where that knows it; it is then found by itself. sha256,
    md5: known checksums. optional: only some options need it.
    """

    file: str
    origin: str
    size: int | None = None
    url: str = ""
    hub: str = ""
    revision: str = "main"
    licence: str = ""
    registry: str = ""
    sha256: str = ""
    md5: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Native:
    """What a system makes by itself: layout (FOA is ACN W, Y, Z, X), rate in Hz, length in seconds for 8 s clips."""

    layout: Layout
    sample_rate: int
    seconds: float

    @property
    def channels(self) -> int:
        """Number of channels of the layout."""
        return CHANNELS[self.layout]


@dataclass(frozen=True)
class Option:
    """A choice: what it means, what it is unless said otherwise, and which values there are (any, if none listed)."""

    default: Value
    help: str
    choices: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Card:
    """Everything that is known of a published system; docs/add-a-system.md describes the file.

    Attributes:
        name: on the command line; the folder's name with `-` for `_`.
        title: in tables.
        summary: one line.
        status: `runnable`, or `outputs_only` where the authors published no code that makes sounds.
        reason: why a system is not runnable.
        paper: where it is described.
        terms: what a user must know of both licences (non-commercial, territory, ...).
        source: the authors' code; None without.
        weights_licence: as its authors state it.
        weights: the files.
        python: version of its environment.
        programs: what must be on the machine beside Python packages, such as ffmpeg.
        libraries: shared libraries that must be on the machine.
        built: packages of the lock that are published as source only: they are built here, all others are wheels.
        deviations: where the lock differs from its authors' pins, and why.
        extras: further code on its path.
        gpu_memory_gb: what its authors or measurements say; None where unknown.
        timeout_seconds: longest time without a word from a worker before it counts as hanging.
        given: what a clip of a job must have.
        frames_per_second: of the pictures in `frames`.
        image_at: second of the picture in `image`.
        shortest_seconds: of a clip that it can be given; what `bench systems check` gives it.
        native: what it makes; None for `outputs_only`.
        postprocess: key into `POSTPROCESSES`.
        options: its choices by name.
        variants: named sets of options, each a row of its own: `name-variant`.
        may_be_mono: the same sound in both ears is an answer of the system's, and no defect.
        optimised: keys of the metrics that it was trained on: its loss or its reward is the metric's own quantity, or
            comes from the metric's network. What merely conditions a system is none of them.
        optimised_beside: what else it was trained on that tables elsewhere show and ours do not, in words.
        runner: its half of the contract; relatives may share one.
        folder: where the card lies.
    """

    name: str
    title: str
    summary: str
    status: Status
    reason: str
    paper: str
    terms: str
    source: AuthorsSource | None
    weights_licence: str
    weights: tuple[Weights, ...]
    python: str
    programs: tuple[str, ...]
    libraries: tuple[Library, ...]
    built: tuple[str, ...]
    deviations: tuple[str, ...]
    extras: tuple[Extra, ...]
    gpu_memory_gb: float | None
    timeout_seconds: float
    given: tuple[Given, ...]
    frames_per_second: float
    image_at: float
    shortest_seconds: float
    native: Native | None
    postprocess: str
    options: Mapping[str, Option]
    variants: Mapping[str, Options]
    may_be_mono: bool
    optimised: tuple[str, ...]
    optimised_beside: str
    runner: Path
    folder: Path

    @property
    def lock(self) -> Path:
        """The pinned packages of its environment."""
        return self.folder / "requirements.lock"

    @property
    def commit(self) -> str:
        """The pinned commit, empty without code."""
        return self.source.commit if self.source else ""


def read_card(folder: Path) -> Card:
    """The card of a folder, checked.

    Raises:
        UsageError: the file does not parse, or a field is missing, unknown or out of its range; names the field.
    """
    path = folder / "card.toml"
    try:
        return _checked(path.read_text(encoding="utf-8"), folder)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} is not the card of a system: {what}. See docs/add-a-system.md") from error


@lru_cache(maxsize=256)
def _checked(text: str, folder: Path) -> Card:
    card = _card(tomllib.loads(text), folder)
    _check(card)
    return card


def _card(body: dict[str, Any], folder: Path) -> Card:
    weights, environment, given = body.pop("weights", {}), body.pop("environment", {}), body.pop("input", {})
    source, native = body.pop("source", None), body.pop("native", None)
    post = body.pop("postprocess", {"name": ""})
    options = {name: Option(**_tuples(option)) for name, option in body.pop("options", {}).items()}
    return Card(
        folder=folder,
        runner=(folder / environment.pop("runner", "runner.py")).resolve(),
        source=AuthorsSource(**source) if source else None,
        weights_licence=weights.pop("licence", "no weights"),
        weights=tuple(Weights(**file) for file in weights.pop("files", ())),
        python=str(environment.pop("python", "")),
        programs=tuple(environment.pop("programs", ())),
        libraries=tuple(Library(**_tuples(library)) for library in environment.pop("libraries", ())),
        built=tuple(environment.pop("built", ())),
        deviations=tuple(environment.pop("deviations", ())),
        extras=tuple(Extra(**extra) for extra in environment.pop("extras", ())),
        gpu_memory_gb=environment.pop("gpu_memory_gb", None),
        timeout_seconds=float(environment.pop("timeout_seconds", 1800)),
        given=tuple(given.pop("given", ("video",))),
        frames_per_second=float(given.pop("frames_per_second", 10)),
        image_at=float(given.pop("image_at", 4)),
        shortest_seconds=float(given.pop("shortest_seconds", 1)),
        native=Native(**native) if native else None,
        postprocess=post.pop("name"),
        options=options,
        variants=body.pop("variants", {}),
        may_be_mono=body.pop("may_be_mono", False),
        optimised=_keys("optimised", body.pop("optimised", ())),
        optimised_beside=body.pop("optimised_beside", ""),
        reason=body.pop("reason", ""),
        terms=body.pop("terms", ""),
        **{name: body.pop(name) for name in ("name", "title", "summary", "status", "paper")},
        **_leftover(body, weights, environment, given, post),
    )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _keys(field: str, keys: Any) -> tuple[str, ...]:
    """A list of texts; which metrics there are is known on a higher floor, and checked by a test there."""
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) and key for key in keys):
        raise ValueError(f'{field} is {keys!r}, a list of keys of metrics was expected, such as ["desync"]')
    return tuple(keys)


def _leftover(*parts: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(name for part in parts for name in part)
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)}")
    return {}


def _check(card: Card) -> None:
    if not NAME.fullmatch(card.name) or card.name.replace("-", "_") != card.folder.name:
        raise ValueError(f'name "{card.name}" must be the folder\'s name "{card.folder.name}" with - for _')
    _among("status", [card.status], get_args(Status))
    _among("input.given", card.given, get_args(Given))
    _among("native.layout", [card.native.layout] if card.native else [], CHANNELS)
    for name, option in card.options.items():
        _among(f"options.{name}.default", [option.default], option.choices or [option.default])
    for variant, values in card.variants.items():
        _among(f"variants.{variant}", values, card.options)
    if card.status == "outputs_only":
        _require(card.reason, "a system that cannot run needs a reason")
    else:
        _require(card.source is not None, "a runnable system needs a source")
        _require(re.fullmatch(r"[0-9a-f]{40}", card.commit), "source.commit must have 40 hexadecimal digits")
        _require(
            card.native and card.postprocess and card.python,
            "a runnable system needs native, postprocess.name and environment.python",
        )


def _among(field: str, values: Iterable[Value], known: Iterable[Value]) -> None:
    for value in values:
        if value not in (expected := list(known)):
            raise ValueError(f'{field} "{value}" is none of {", ".join(map(str, expected))}')


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
