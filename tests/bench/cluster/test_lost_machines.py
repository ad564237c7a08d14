"""A machine or a job is lost in the middle of a command, and what the command leaves is what one process leaves.

On one machine: two raylets beside a head that only conducts, and submitit's processes in place of Slurm's jobs.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.bench.cluster import slurm_engine

from ...conftest import Bench

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
MEMORY = 100_000_000  # bytes for the objects of a raylet


def processes() -> Iterator[tuple[int, int, str]]:
    """Id, parent and command line of every process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            yield int(folder.name), parent, (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()


@contextmanager
def watched(strike: Callable[[], bool]) -> Iterator[list[bool]]:
    """Try to strike again and again until it succeeds or the block ends; what is given holds True if it did."""
    struck: list[bool] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not struck:
            if strike():
                struck.append(True)
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield struck
    finally:
        over.set()
        thread.join()


def left_by(run: Path) -> dict[str, bytes]:
    """The tables of a run, and its sounds."""
    tables = {name: (run / name).read_bytes() for name in ("results.csv", "clips.csv", "failures.jsonl")}
    return tables | {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("audio/**/*.wav"))}


@pytest.fixture
def command(clips: Path) -> tuple[object, ...]:
    return "run", "--suite", f"folder:{clips}", "--system", "motion-pan"


@pytest.fixture
def alone(bench: Bench, command: tuple[object, ...], tmp_path: Path) -> dict[str, bytes]:
    """What one process leaves."""
    told = bench(*command, "--workers", 1, "--out", tmp_path / "alone")
    assert told.code == 0, told.err
    return left_by(tmp_path / "alone")


def has_sounds(run: Path) -> bool:
    return any(run.glob("audio/**/*.wav"))


def killed_at_work(process: int, job: int, run: Path) -> bool:
    """Kill a job's process unless it has written its answers and has nothing more to lose."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)  # so that it does not write them while we look
        answered = any(run.rglob(f"{job}_0_result.pkl"))
        os.kill(process, signal.SIGCONT if answered else signal.SIGKILL)
        return not answered
    return False


def test_a_raylet_is_killed_in_the_middle_of_a_run(
    bench: Bench, command: tuple[object, ...], alone: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="RAY TEST NOT RUN: pip install 'visaudio-bench[cluster]'")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    try:
        machines = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(2)]
        run = tmp_path / "ray"

        def lose() -> bool:
            if not (ray.is_initialized() and has_sounds(run)):
                return False
            own = ray.get_runtime_context().get_node_id()  # Ray attaches us to any raylet of this machine
            other = next(machine for machine in machines if machine.node_id != own)
            raylet = other.all_processes["raylet"][0].process.pid
            if busy := any(parent == raylet and "ray::carry_out" in line for _, parent, line in processes()):
                cluster.remove_node(other, allow_graceful=False)
            return busy

        with watched(lose) as lost:
            told = bench(*command, "--ray", cluster.address, "--out", run)
    finally:
        cluster.shutdown()
    assert told.code == 0, told.err
    assert lost
    assert left_by(run) == alone


def test_a_job_is_killed_in_the_middle_of_a_run(
    bench: Bench, command: tuple[object, ...], alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = []

    def told_of(job: Any, ask: Callable[[Any], Any] = slurm_engine._answers) -> Any:
        answers.append(ask(job))
        return answers[-1]

    monkeypatch.setattr(slurm_engine, "_answers", told_of)
    run = tmp_path / "jobs"

    def lose() -> bool:
        return has_sounds(run) and any(
            killed_at_work(process, job, run)
            for process, job, line in processes()
            if "submitit.core._submit" in line and str(run) in line
        )

    with watched(lose) as lost:
        told = bench(*command, "--slurm", "local", "--workers", 2, "--out", run)
    assert told.code == 0, told.err
    assert lost
    assert [answer for answer in answers if isinstance(answer, str)], "the job that was killed had not ended"
    assert left_by(run) == alone
    assert not [path for path in run.iterdir() if path.name.startswith(".")], "the files of the jobs are gone"


SBATCH = """#!/bin/sh
# Submits an array as Slurm does, without a queue: its jobs are processes of this machine.
script=$1
cp "$script" "$(dirname "$0")/submitted.sh"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$script")
for task in $(seq 0 "$last"); do
    SLURM_JOB_ID=42$task SLURM_ARRAY_JOB_ID=42 SLURM_ARRAY_TASK_ID=$task SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 \\
        SLURM_JOB_NODELIST=here SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 sh "$script" >/dev/null 2>&1 &
done
echo "Submitted batch job 42"
"""
SRUN = """#!/bin/sh
while [ "${1#/}" = "$1" ]; do shift; done  # its own options, and the names of logs
while [ "${1%python*}" = "$1" ]; do shift; done
exec "$@"
"""


def test_a_job_array_is_submitted_as_slurm_takes_it(
    bench: Bench, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "scancel": "#!/bin/sh\n", "sacct": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    asked = ("generate", "--system", "motion-pan", "--suite", f"folder:{clips}")
    assert bench(*asked, "--workers", 1, "--out", tmp_path / "alone").code == 0
    told = bench(*asked, "--slurm", "--workers", 2, "--out", tmp_path / "jobs")
    assert told.code == 0, told.err
    sounds = [{path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.wav")} for name in ("alone", "jobs")]
    assert len(sounds[0]) == 6
    assert sounds[0] == sounds[1]
    submitted = (programs / "submitted.sh").read_text()
    for line in ("--array=0-1%2", "--cpus-per-task=1", "--time=240", "--job-name=visaudio-bench"):
        assert f"#SBATCH {line}" in submitted
