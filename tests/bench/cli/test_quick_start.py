"""What only lists or plans starts at once: nothing large is imported for it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from visaudio_bench.bench.cli import common
from visaudio_bench.bench.cli.common import find_device

LARGE = {"torch", "pandas", "pyarrow", "matplotlib", "timm", "open_clip"}
# On an idle machine none of these takes a second; counted is CPU time, which a crowded one makes longer as well.
SECONDS = 3.0

COMMANDS = (
    "--help",
    "list suites",
    "list systems",
    "list metrics",
    "run --dry-run --device cpu",
)


def _is_large(module: str) -> bool:
    top, _, rest = module.partition(".")
    return top in LARGE or (top == "scipy" and rest != "" and not rest.startswith(("_", "version")))


@pytest.mark.parametrize("command", COMMANDS)
def test_lists_and_plans_cost_less_than_a_run(command: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "visaudio_bench", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert "visaudio_bench.bench.cli.commands" in imported  # the lines are read rightly
    assert not [module for module in imported if _is_large(module)]
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS


def test_what_counts_as_large() -> None:
    assert _is_large("torch.nn") and _is_large("scipy.signal") and _is_large("pandas")
    assert not _is_large("scipy") and not _is_large("scipy._lib._ccallback") and not _is_large("numpy.linalg")


def test_torch_is_asked_for_a_device_where_there_may_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(common, "_has_driver", lambda: True)
    assert (find_device("auto"), find_device("cpu")) == ("cuda", "cpu")
    monkeypatch.setattr(common, "_has_driver", lambda: False)
    assert find_device("auto") == "cpu"
