"""Trainings as processes of their own, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def losses(run: Path) -> dict[int, float]:
    """The loss of every step that a run folder tells of."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows if "loss" in row}


def call_options(data: Path, out: Path, *settings: str) -> list[object]:
    """A training's options, with `settings`."""
    return ["--data", data, "--out", out, "--device", "cpu", *(part for s in settings for part in ("--set", s))]


def command(network: str, *arguments: object, processes: int = 1) -> list[str]:
    """`bench train NETWORK` as a process, or as several that torch starts."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    started = launcher if processes > 1 else []
    return [sys.executable, *started, "-m", "visaudio_bench", "train", network, *map(str, arguments)]


def environment() -> dict[str, str]:
    """One thread a process, and the code beside these tests."""
    root = Path(__file__).resolve().parents[3]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}


@contextmanager
def killed_at_work(out: Path, network: str, *arguments: object, steps: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """A training that has saved its state and told of more than `steps` rows; killed at the end of the block."""
    process = subprocess.Popen(command(network, *arguments), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if (out / "state.safetensors").exists() and len((out / "metrics.jsonl").read_text().splitlines()) > steps:
            break
        time.sleep(0.005)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
    assert ended == -signal.SIGKILL, "it ended before it could be killed"
