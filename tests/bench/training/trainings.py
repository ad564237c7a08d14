"""Trainings as processes of their own, and what they leave."""

from __future__ import annotations

import json
import os
import sys
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
