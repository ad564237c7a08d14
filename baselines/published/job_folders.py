"""Job folders: everything that one worker process may see, and nothing else.

A job folder lies in the cache and holds the runner, the kit, copies of the clips' inputs, the job file, and what the
worker writes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visaudio_bench.baselines.published import worker_kit
from visaudio_bench.baselines.published.card import Card
from visaudio_bench.baselines.published.contract import Options
from visaudio_bench.baselines.published.installed import Installation
from visaudio_bench.baselines.published.prompts import Texts
from visaudio_bench.baselines.published.worker_inputs import Inputs
from visaudio_bench.files import file_stamp, write_json
from visaudio_bench.pool import available_cores

FICLONE = 0x40049409  # Linux: let a new file share the blocks of another one
# What a worker inherits of our environment: what the machine needs, nothing that tells where our files are.
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class JobClip:
    """One clip of a job."""

    clip: str
    seed: int
    seconds: float
    inputs: Inputs
    texts: Texts


@dataclass(frozen=True)
class JobFolder:
    """A job as files: what a process is started with, and what it leaves behind."""

    path: Path

    @property
    def events(self) -> Path:
        """The worker's events."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """What the worker and its authors' code print."""
        return self.path / "log.txt"

    @property
    def native(self) -> Path:
        """The native sounds."""
        return self.path / "native"

    @property
    def work(self) -> Path:
        """The worker's current directory."""
        return self.path / "work"

    def command(self, python: Path) -> list[str]:
        """The command line of the worker."""
        runner = self.path / "code" / "runner.py"
        return [str(python), "-u", str(runner), "--job", str(self.path / "job.json"), "--guard"]


def write_job(
    path: Path,
    card: Card,
    installation: Installation,
    options: Options,
    device: str,
    tasks: Sequence[JobClip],
    copies: InputCopies,
) -> JobFolder:
    """Make a job folder: code, inputs as copies, the job file.

    The runner is the one of the card's folder; both code files are copied, so that a worker's path leads to nothing
    else of ours.

    Args:
        path: of the folder.
        card: the system's.
        installation: where its checkout and weights lie.
        options: the system's choices.
        device: what the worker is told, `cpu` or `cuda:0`: it sees no other one.
        tasks: the clips, with their seeds and inputs.
        copies: of inputs, shared by all jobs of a run.

    Returns:
        The folder.
    """
    folder = JobFolder(path)
    for name in ("code", "inputs", "native", "work"):
        (path / name).mkdir(parents=True)
    shutil.copyfile(card.runner, path / "code" / "runner.py")
    shutil.copyfile(str(worker_kit.__file__), path / "code" / "worker_kit.py")
    write_json(
        path / "job.json",
        {
            "schema": worker_kit.JOB_SCHEMA,
            "system": card.name,
            "source": str(installation.source),
            "weights": str(installation.weights) if installation.weights else None,
            "work": str(folder.work),
            "native": str(folder.native),
            "events": str(folder.events),
            "device": device,
            "options": dict(options),
            "clips": [_clip(path / "inputs", task, copies) for task in tasks],
        },
    )
    return folder


class InputCopies:
    """The inputs of one run's clips, copied once for all of its workers; what one of them changes is copied again.

    A worker may write into the files that it is given: what the cache holds is not within its reach. A copy costs no
    room where the file system can share blocks (btrfs, XFS, ZFS).
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._made: dict[Path, tuple[Path, tuple[int, ...]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, source: Path) -> Path:
        """A copy of a file that may only be read, as it was made."""
        copy, before = self._made.get(source, (self.folder / f"{len(self._made):06d}{source.suffix}", ()))
        if not copy.is_file() or _state(copy) != before:
            copy.unlink(missing_ok=True)
            _clone(source, copy)
            copy.chmod(0o444)
            self._made[source] = copy, _state(copy)
        return copy


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to; not its links, of which every job folder adds one."""
    status = path.stat()
    return *file_stamp(path).values(), status.st_ino, status.st_mode


def _clone(source: Path, target: Path) -> None:
    with source.open("rb") as whole, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, whole.fileno())
        except OSError:  # a file system that cannot share blocks
            shutil.copyfileobj(whole, copy, 1 << 20)


def _clip(folder: Path, task: JobClip, copies: InputCopies) -> dict[str, Any]:
    given = {name: _place(folder, task.clip, path, copies) for name, path in task.inputs._asdict().items()}
    return {"id": task.clip, "seed": task.seed, "seconds": task.seconds, **given, **task.texts._asdict()}


def _place(folder: Path, clip: str, path: Path | None, copies: InputCopies) -> str | None:
    """An input under the clip's own name, a folder with its files."""
    if path is None:
        return None
    target = folder / f"{clip}{path.suffix}"
    if path.is_dir():
        target.mkdir()
        for file in sorted(path.iterdir()):
            os.link(copies.of(file), target / file.name)
    else:
        os.link(copies.of(path), target)
    return str(target)


def visible_gpu(device: str, shard: int) -> str:
    """Name the CUDA device of a shard.

    Args:
        device: as the user asked; `cuda` without a number deals all devices out.
        shard: its number, from 0 on.

    Returns:
        The value of `CUDA_VISIBLE_DEVICES`: one of those that this process sees, "" where none is used.
    """
    if not device.startswith("cuda"):
        return ""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    number = device.partition(":")[2]
    if not seen:
        return number or str(shard % max(1, _count_gpus()))
    devices = seen.split(",")
    return devices[int(number)] if number else devices[shard % len(devices)]


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def worker_environment(installation: Installation, folder: JobFolder, gpu: str) -> dict[str, str]:
    """Make the environment of a worker: a home of its own, no network for model hubs, the same threads always.

    The number of threads changes floating-point sums, so it does not depend on how many shards there are.

    Args:
        installation: where interpreter, checkout and weights lie.
        folder: the worker's.
        gpu: the one CUDA device that the worker sees, empty for none: authors' code takes the first one that it finds.

    Returns:
        Environment variables; of ours only the harmless ones that `INHERITED` names.
    """
    inherited: Mapping[str, str] = {name: os.environ[name] for name in INHERITED if name in os.environ}
    weights = installation.weights or installation.home
    return {
        "OMP_NUM_THREADS": str(available_cores()),
        **inherited,
        "CUDA_VISIBLE_DEVICES": gpu,
        "PATH": f"{installation.python.parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(map(str, (folder.path / "code", *installation.extras))),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "HOME": str(installation.home),
        "XDG_CACHE_HOME": str(installation.home / "cache"),
        "TMPDIR": str(folder.work),
        "HF_HOME": str(weights / "huggingface"),
        "TORCH_HOME": str(weights / "torch"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
