"""Twenty thousand damaged files: `benchmarks/damage.py`, which counts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "damage.py"


def damaged(count: int, keep: Path, *more: str) -> dict[str, int]:
    command = [sys.executable, str(SCRIPT), "--count", str(count), "--keep", str(keep), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert not keep.exists()
    told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_some_damaged_files_of_every_cheap_kind(tmp_path: Path) -> None:
    kinds = "features,manifests,ratings,cache,state,store,opinions,posts,surveys,answers,shown,weights,"
    kinds += "tools,directions,lists,trainings,preparations,systems"
    assert damaged(180, tmp_path / "damaged", "--seed", "1", "--kinds", kinds)["bad"] == 0


@pytest.mark.slow
def test_twenty_thousand_damaged_files(tmp_path: Path) -> None:
    assert damaged(20_000, tmp_path / "damaged") == {"seed": 0, "mutations": 20_000, "bad": 0}
