"""Benchmarks run, at sizes at which their figures mean nothing."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a benchmark by name, with a cache of its own."""
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def test_scale_makes_the_tables_of_a_run(tmp_path: Path, script: Callable[[str], ModuleType]) -> None:
    scale = script("scale")
    took = scale.steps(30, tmp_path / "run")
    assert tuple(took) == scale.STEPS and min(took.values()) > 0
    with (tmp_path / "run" / "results.csv").open() as file:
        rows = {(row["system"], row["metric"], row["view"]): row for row in csv.DictReader(file)}
    assert [rows["mono", metric, "mix"]["n"] for metric in ("kl_pann", "fd_vgg", "desync")] == ["30"] * 3
    assert {row["system"] for row in rows.values()} >= set(scale.SYSTEMS)


def test_pipeline_measures_both_caches(tmp_path: Path, script: Callable[[str], ModuleType]) -> None:
    pipeline = script("pipeline")
    clips = pipeline.material(tmp_path, 1, 32, 1)
    empty, full = (pipeline.measured(clips, 1) for _ in range(2))
    assert 0 < full["feeding"] < empty["feeding"]


def test_the_floor_of_directions_is_that_of_perfect_sound(script: Callable[[str], ModuleType]) -> None:
    floor = script("direction_floor")
    clips = list(floor.all_around(bands=((15, 30), (60, 75)), reverberation=(0.2,), sounds=("water",), duration=2.0))
    assert [(judged.band, judged.kind) for judged in clips] == [
        ((15, 30), "one source"), ((60, 75), "one source"), (None, "in turn"), (None, "at once"),
    ]  # fmt: skip
    rows = {row.split("|")[1].strip(): row.split("|")[2:] for row in floor.around_rows(clips)}
    side, error, _, counted = (cell.strip() for cell in rows["one source in front"][:4])
    assert (side.split()[0], counted) == ("100.0", "2, 8")
    assert 0 < float(error.split()[0]) < 25
    assert rows["60 to 75 degrees"][3].strip() == rows["RT60 0.2 s, beside it, to 90 degrees"][3].strip() == "1, 4"
