"""Units of work as job arrays of Slurm, by submitit: an array for each map, and smaller parts again of what is lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from visaudio_bench.bench.cluster.units import carry_out, errand, lost
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.files import scratch_folder
from visaudio_bench.guard import as_clip_error
from visaudio_bench.pool import Needs, Outcome

Item = TypeVar("Item")
Value = TypeVar("Value")

WORKERS = 16
MINUTES = 240  # that a job may take, where SBATCH_TIMELIMIT does not say otherwise
_LOOK = 0.5  # s between two looks at the jobs
_ALONE = 2  # times that an item has a job of its own


class SlurmEngine(NamedTuple):
    """Maps over items by jobs.

    Attributes:
        where: `submit` for Slurm, `local` for processes of this machine.
        workers: jobs at once.
        folder: for what goes to the jobs and comes from them.
        tokens: folders that jobs must see.
    """

    where: str
    workers: int
    folder: Path
    tokens: tuple[Path, ...]

    def __call__(
        self, function: Callable[[Item], Value], items: Sequence[Item], needs: Needs, /
    ) -> Iterator[Outcome[Item, Value]]:
        """As `pool.Engine`."""
        if not items:
            return
        work = errand(function, self.tokens)
        executor = self._executor(needs)
        jobs: dict[Any, Sequence[Item]] = {}
        alone: dict[int, int] = {}  # lost jobs that had nothing but one item, by the item
        self._submit(executor, jobs, work, _shares(items, self.workers))
        try:
            while jobs:
                done = [job for job in jobs if job.done()]
                for job in done:
                    share = jobs.pop(job)
                    answers = _answers(job)
                    if not isinstance(answers, str):
                        for item, (value, error) in zip(share, answers, strict=True):
                            yield Outcome(item, value, error)
                        continue
                    first = share[0]
                    alone[id(first)] = alone.get(id(first), 0) + (len(share) == 1)
                    if alone[id(first)] == _ALONE:
                        yield lost(first, answers)
                    else:
                        self._submit(executor, jobs, work, _shares(share, max(2, self.workers)))
                if not done:
                    time.sleep(_LOOK)
        finally:  # the caller may stop early
            for job in jobs:
                with suppress(Exception):  # it may have ended meanwhile
                    job.cancel()

    def _executor(self, needs: Needs) -> Any:
        from submitit import AutoExecutor

        executor = AutoExecutor(self.folder, cluster="slurm" if self.where == "submit" else self.where)
        executor.update_parameters(
            name="visaudio-bench",
            timeout_min=MINUTES,
            cpus_per_task=needs.cpus,
            slurm_array_parallelism=self.workers,
            **({"gpus_per_node": needs.gpus} if needs.gpus else {}),
        )
        return executor

    def _submit(self, executor: Any, jobs: dict[Any, Sequence[Item]], work: Any, shares: list[Sequence[Item]]) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            submitted = executor.map_array(carry_out, [work] * len(shares), shares)
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise BenchError(f"--slurm: no job could be submitted: {_last_line(error)}") from error
        jobs.update(zip(submitted, shares, strict=True))


def _shares(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """A part for each job, alike in what they may cost."""
    return [share for first in range(count) if (share := items[first::count])]


def _answers(job: Any) -> list[tuple[Any, Exception | None]] | str:
    """What a job says of its items; where it was lost, what is known of it."""
    from submitit.core.utils import UncompletedJobError

    try:
        answers: list[tuple[Any, Exception | None]] = job.result()
    except UncompletedJobError as error:
        said = _last_line(error)
        if "ModuleNotFoundError" in str(error) or "ImportError" in str(error):
            raise BenchError(f"a job of Slurm lacks a package that is here: {said}.") from error
        return said
    except Exception as error:  # what it wrote cannot be read
        return str(as_clip_error(error))
    return answers


def _last_line(error: Exception) -> str:
    """The line of a report that says what happened: the last one that is more than a rule or a path of a log."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line.strip("-") and not line.startswith(("- /", "You can check"))]
    return said[-1] if said else type(error).__name__


@contextmanager
def slurm_engine(where: str, workers: int | None, folder: Path, tokens: Sequence[Path]) -> Iterator[SlurmEngine]:
    """Make jobs of what is to be done for as long as the block lasts.

    Args:
        where: `submit` for Slurm, `local` for processes of this machine.
        workers: jobs at once; None for 16.
        folder: that all machines see; what jobs leave lies below it, and is removed at the end.
        tokens: folders that jobs must see.

    Yields:
        The engine.

    Raises:
        UsageError: submitit or Slurm is not here.
    """
    try:
        import submitit  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError(
            "--slurm needs submitit, which is not installed: pip install 'visaudio-bench[cluster]'"
        ) from None
    if where == "submit" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UsageError(
            "--slurm: no sbatch and srun are here. Run the command where jobs are submitted, or try it on this "
            "machine: --slurm local"
        )
    with scratch_folder(folder, "jobs") as jobs:
        yield SlurmEngine(where, workers or WORKERS, jobs, tuple(tokens))
