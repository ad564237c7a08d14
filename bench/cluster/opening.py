"""Which machines work: those that `--ray` or `--slurm` name, else the cores of this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from visaudio_bench.bench.cluster.ray_engine import RayEngine, ray_engine
from visaudio_bench.bench.cluster.slurm_engine import SlurmEngine, slurm_engine
from visaudio_bench.errors import UsageError
from visaudio_bench.files import cache_dir, scratch_folder
from visaudio_bench.pool import available_cores, elsewhere


class Machines(NamedTuple):
    """What was asked for: the address of a Ray cluster, or how Slurm is used, and how many units at once."""

    ray: str | None = None
    slurm: str | None = None
    workers: int | None = None

    @property
    def many(self) -> bool:
        """Whether a cluster works, not this process with its pool."""
        return bool(self.ray or self.slurm)

    def require_one_kind(self) -> None:
        """Refuse both engines at once.

        Raises:
            UsageError: both are asked for.
        """
        if self.ray and self.slurm:
            raise UsageError("--ray and --slurm are both given: one of them can do the work. Leave one out.")


THIS = Machines()


@contextmanager
def at_work(machines: Machines, folders: Sequence[Path]) -> Iterator[int]:
    """Let machines work for every `map_unordered` of this process while the block lasts.

    Args:
        machines: which.
        folders: where they will write, beside the cache.

    Yields:
        How many units they work on at once.

    Raises:
        UsageError: what is needed for it is not installed.
        BenchError: the cluster cannot be reached.
    """
    if not machines.many:
        yield machines.workers or available_cores()
        return
    with ExitStack() as stack:
        tokens = [stack.enter_context(scratch_folder(folder, "shared")) for folder in (*folders, cache_dir())]
        engine: RayEngine | SlurmEngine
        if machines.ray:
            engine = stack.enter_context(ray_engine(machines.ray, machines.workers, tokens))
        else:
            jobs = folders[0] if folders else cache_dir()
            engine = stack.enter_context(slurm_engine(machines.slurm or "", machines.workers, jobs, tokens))
        stack.enter_context(elsewhere(engine))
        yield engine.workers
