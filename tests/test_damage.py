"""Twenty thousand damaged files: `benchmarks/damage.py`, which counts them."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from .copies import copied

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "damage.py"


def damaged(count: int, keep: Path, *more: str) -> dict[str, int]:
    def script() -> None:
        sys.argv = [str(SCRIPT), "--count", str(count), "--keep", str(keep), *more]
        runpy.run_path(str(SCRIPT), run_name="__main__")

    said = keep.with_name("said.txt")
    done = copied(script, said=said)
    done.join()
    assert done.exitcode == 0, said.read_text()[-4000:]
    assert not keep.exists()
    told: dict[str, int] = json.loads(said.read_text().splitlines()[-1])
    return told


def test_some_damaged_files_of_every_cheap_kind(tmp_path: Path) -> None:
    kinds = "features,manifests,ratings,cache,state,store,opinions,posts,surveys,answers,shown,weights,"
    kinds += "tools,directions,lists,trainings,preparations,systems"
    assert damaged(180, tmp_path / "damaged", "--seed", "1", "--kinds", kinds)["bad"] == 0


@pytest.mark.slow
def test_twenty_thousand_damaged_files(tmp_path: Path) -> None:
    assert damaged(20_000, tmp_path / "damaged") == {"seed": 0, "mutations": 20_000, "bad": 0}
