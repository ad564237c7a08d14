"""Fill feature stores: every clip of a suite through conditioners and codec, resumable, on many cores or cards.

A piece of work is one shard, some 16 clips. Processes of `torchrun` take every n-th piece each; without it, a pool of
worker processes shares them, or those of a cluster do. Workers of one machine read and prepare clips, and one process a
card runs the frozen networks for all of them (`models.serving`); those of a cluster have networks of their own. What is
finished is in the store, whoever is killed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from visaudio_bench.bench.console import note, track
from visaudio_bench.bench.failures import Ledger, failure_of, prepare
from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.guard import one_clip
from visaudio_bench.leaderboards.schema import Failure
from visaudio_bench.models import serving
from visaudio_bench.models.geometry_aware import clip_windows
from visaudio_bench.models.training.distributed import World
from visaudio_bench.models.visaudio.clip_features import code_of, features_of, origin_of, row_of
from visaudio_bench.models.visaudio.feature_formats import Storage
from visaudio_bench.models.visaudio.feature_store import CLIPS_PER_SHARD, FeatureRow, Kind, claim, present, write_shard
from visaudio_bench.models.visaudio.parts import Parts, open_parts
from visaudio_bench.pool import Needs, Outcome, is_elsewhere, map_unordered, of_this_worker
from visaudio_bench.suites.clip import Clip, Suite


@dataclass(frozen=True)
class StoreFilling(ABC):
    """What is to be kept: something of the clips of `suite`, cut to `duration` seconds, in the store `out`."""

    suite: Suite
    out: Path
    parts: str
    duration: float
    device: str = "cpu"
    workers: int = 1

    @property
    def needs(self) -> Needs:
        """What a piece of it takes of a machine: a core, and a card if that is where networks run."""
        return Needs(gpus=int(self.device.startswith("cuda")))

    @abstractmethod
    def kind(self) -> Kind:
        """What the store will hold."""

    @abstractmethod
    def code(self) -> str:
        """Revision of the source that fills the store."""

    @abstractmethod
    def features(self, clip: Clip) -> Mapping[str, Tensor]:
        """The tensors of one clip.

        Raises:
            ClipError: it cannot be used.
        """

    def at_work(self) -> AbstractContextManager[StoreFilling]:
        """The same, as it is sent to workers; what these need of this process is there while the block lasts."""
        return nullcontext(self)


@dataclass(frozen=True)
class WindowKeeping(StoreFilling):
    """Pictures and sounds for a geometry-aware network, of the size that `parts` says."""

    def kind(self) -> Kind:
        """As `StoreFilling.kind`."""
        return Kind(*clip_windows.identity(self.parts), Storage(), self.duration)

    def code(self) -> str:
        """As `StoreFilling.code`."""
        return clip_windows.code()

    def features(self, clip: Clip) -> Mapping[str, Tensor]:
        """As `StoreFilling.features`."""
        return clip_windows.windows_of(clip, self.parts, self.duration)


@dataclass(frozen=True)
class Extraction(StoreFilling):
    """Features and latents by the frozen networks called `parts`.

    `asked` are those parts with networks that other processes run, once for each of these; who has none loads them.
    """

    storage: Storage = field(default_factory=Storage)
    asked: tuple[Parts, ...] = ()

    def kind(self) -> Kind:
        """What the store will hold."""
        parts = self.opened()
        return Kind(parts.conditioners.identity, parts.codec.identity, self.storage, self.duration)

    def code(self) -> str:
        """Revision of the source that fills the store."""
        parts = self.opened()
        return code_of(parts.conditioners, parts.codec)

    def features(self, clip: Clip) -> Mapping[str, Tensor]:
        """As `StoreFilling.features`."""
        parts = self.opened()
        return features_of(clip, parts.conditioners, parts.codec, self.duration, self.storage)

    @contextmanager
    def at_work(self) -> Iterator[StoreFilling]:
        """As `StoreFilling.at_work`: with several workers this process, or one for each card, runs the networks."""
        parts = self.opened()
        if self.workers == 1 or is_elsewhere() or not parts.networks or not serving.POSSIBLE:
            yield self
            return
        with serving.on_every_device(parts.networks) as addresses:
            asked = [parts.with_networks(serving.far(parts.networks, address)) for address in addresses]
            yield replace(self, asked=tuple(asked))

    def opened(self) -> Parts:
        """The parts that this process asks; networks of its own are loaded once, when the first clip comes."""
        return of_this_worker(self.asked) if self.asked else _parts(self.parts, self.device)


@lru_cache(maxsize=1)
def _parts(kind: str, device: str) -> Parts:
    return open_parts(kind, device, encoder=True, later=True)


def extract(work: StoreFilling, world: World | None = None) -> list[Failure]:
    """Bring a store of features up to date with its suite.

    Args:
        work: what is to be extracted, and where to.
        world: the processes that share the work; this one alone if None.

    Returns:
        The clips that could not be used.

    Raises:
        UsageError: the folder holds features of another kind.
        BenchError: a file cannot be written, or no clip at all could be used.
    """
    world = world or World(0, 1, torch.device("cpu"))
    unmade: dict[str, ClipError] = {}
    if world.main:
        claim(work.out, work.kind())
        # the others of this machine wait meanwhile
        unmade = prepare(work.suite, work.workers * world.neighbours)
    unmade = dict(world.gather(list(unmade.items())))
    ledger = Ledger(work.out)
    if world.main:
        ledger.add(failure_of(error, work.suite.name, clip, "prepare") for clip, error in unmade.items())
    todo = [clip for clip in _missing(work) if clip.id not in unmade]
    pieces = [todo[start : start + CLIPS_PER_SHARD] for start in range(0, len(todo), CLIPS_PER_SHARD)]
    # Small suites leave no worker without work.
    if len(pieces) < work.workers * world.size:
        pieces = [todo[first :: work.workers * world.size] for first in range(work.workers * world.size)]
    mine: list[Sequence[Clip]] = [piece for piece in world.share(pieces) if piece]
    failures: list[Failure] = []
    label = f"features of {work.suite.name}"
    with work.at_work() if mine else nullcontext(work) as sent:
        for outcome in track(map_unordered(partial(_piece, sent), mine, work.workers, work.needs), len(mine), label):
            error = outcome.clip_error()
            failures += outcome.result() if error is None else _one_by_one(sent, outcome)
    failures = world.gather(failures)
    if world.main:
        ledger.add(failures)
        _report(work, ledger)
    world.wait()
    return [*(failure_of(error, work.suite.name, clip, "prepare") for clip, error in unmade.items()), *failures]


def _missing(work: StoreFilling) -> list[Clip]:
    """Clips without features, or with those of files, or by code, that have changed since."""
    stored = present(work.out)
    code = work.code()
    return [
        clip
        for clip in work.suite.clips()
        if clip.id not in stored or stored[clip.id].origin != origin_of(clip, work.duration, code)
    ]


def _piece(work: StoreFilling, clips: Sequence[Clip]) -> list[Failure]:
    """Extract some clips and write them as one shard; returns those that could not be used."""
    made: list[tuple[FeatureRow, Mapping[str, Tensor]]] = []
    failures = []
    for clip in clips:
        try:
            with one_clip():
                features = work.features(clip)
                made.append((row_of(clip, work.suite.name, work.duration, work.code()), features))
        except ClipError as error:
            failures.append(failure_of(error, work.suite.name, clip.id, "features"))
    if made:
        write_shard(work.out, made)
    return failures


def _one_by_one(work: StoreFilling, failed: Outcome[Sequence[Clip], list[Failure]]) -> list[Failure]:
    """A piece that failed as a whole, clip by clip: one that cannot be written, or ends the process, costs itself."""
    pieces: list[Sequence[Clip]] = [[clip] for clip in failed.item]
    outcomes = [failed] if len(pieces) == 1 else map_unordered(partial(_piece, work), pieces, work.workers, work.needs)
    failures: list[Failure] = []
    for outcome in outcomes:
        error = outcome.clip_error()
        clip = outcome.item[0].id
        failures += outcome.result() if error is None else [failure_of(error, work.suite.name, clip, "features")]
    return failures


def _report(work: StoreFilling, ledger: Ledger) -> None:
    path = ledger.write()
    for failure in ledger.failures[:5]:
        note(f"left out: {failure.clip}: {failure.message}")
    if ledger.failures and not present(work.out):
        raise BenchError(f"no clip of {work.suite.name} can be learnt from; see {path}.")
