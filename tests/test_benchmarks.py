"""Benchmarks run, at sizes at which their figures mean nothing."""

from __future__ import annotations

import csv
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from visaudio_bench.models.foleyspace import checkpoints as foley_files
from visaudio_bench.models.foleyspace import config as foley
from visaudio_bench.models.foleyspace.network import SpatialDiffusion
from visaudio_bench.models.geometry_aware import checkpoints as geometry_files
from visaudio_bench.models.geometry_aware import config as geometry
from visaudio_bench.models.geometry_aware.network import GeometryAware
from visaudio_bench.models.weight_loading import header_notes

ROOT = Path(__file__).parent.parent


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a module of `benchmarks` by name, with a cache of its own."""
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_scale_makes_the_tables_of_a_run(tmp_path: Path, benchmark: Callable[[str], ModuleType]) -> None:
    scale = benchmark("scale")
    took = scale.steps(30, tmp_path / "run")
    assert tuple(took) == scale.STEPS and min(took.values()) > 0
    with (tmp_path / "run" / "results.csv").open() as file:
        rows = {(row["system"], row["metric"], row["view"]): row for row in csv.DictReader(file)}
    assert [rows["mono", metric, "mix"]["n"] for metric in ("kl_pann", "fd_vgg", "desync")] == ["30"] * 3
    assert {row["system"] for row in rows.values()} >= set(scale.SYSTEMS)


def test_the_pipeline_is_measured_with_both_caches(tmp_path: Path, benchmark: Callable[[str], ModuleType]) -> None:
    feeding = benchmark("feeding")
    clips = feeding.material(tmp_path, 1, 32, 1)
    empty, full = (feeding.measured(clips, 1) for _ in range(2))
    assert 0 < full["feeding"] < empty["feeding"]


def test_the_floor_of_directions_is_that_of_perfect_sound(benchmark: Callable[[str], ModuleType]) -> None:
    floor = benchmark("direction_floor")
    clips = list(floor.all_around(bands=((15, 30), (60, 75)), reverberation=(0.2,), sounds=("water",), duration=2.0))
    assert [(judged.band, judged.kind) for judged in clips] == [
        ((15, 30), "one source"), ((60, 75), "one source"), (None, "in turn"), (None, "at once"),
    ]  # fmt: skip
    rows = {row.split("|")[1].strip(): row.split("|")[2:] for row in floor.around_rows(clips)}
    side, error, _, counted = (cell.strip() for cell in rows["one source in front"][:4])
    assert (side.split()[0], counted) == ("100.0", "2, 8")
    assert 0 < float(error.split()[0]) < 25
    assert rows["60 to 75 degrees"][3].strip() == rows["RT60 0.2 s, beside it, to 90 degrees"][3].strip() == "1, 4"


def test_some_stages_are_printed_beside_their_references(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("__main__").main(["--tiny", "read"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [["read", "sound"], ["read", "pictures"]]
    assert all(float(row[4]) > 0 and row[5] and float(row[6]) > 0 for row in rows)
    with pytest.raises(SystemExit):
        benchmark("__main__").main(["--tiny", "reed"])
    assert "no such stage: reed" in capsys.readouterr().err


@pytest.mark.slow
def test_all_stages_make_a_page_and_the_rates_of_a_plan(tmp_path: Path, benchmark: Callable[[str], ModuleType]) -> None:
    main, rates = benchmark("__main__"), importlib.import_module("visaudio_bench.bench.evaluation.rates")
    main.main(["--tiny", "--out", str(tmp_path)])
    measured = json.loads((tmp_path / "rates.json").read_text())
    page = (tmp_path / "performance.md").read_text()
    assert measured["rates"].keys() >= rates.measured().rates.keys(), "what ships was measured by another version"
    assert page.count("\n| ") == 1 + len(measured["rates"])
    work = rates.Work(100, 8.0, 2, {"mono": 100}, 0.0, ["interaural_cues"], ["panns"])
    assert rates.predict([work], rates.Machine(1), rates.Rates(**measured)).total > 0


@pytest.mark.slow
def test_the_script_for_a_card_works_without_one(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    card = benchmark("graphics_card")
    card.main(["--tiny"])
    assert "nothing was measured" in capsys.readouterr().out
    rates = card.judging("cpu", tiny=True)
    assert rates.keys() == {1, 2} and min(rates.values()) > 0


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """Random networks of a few thousand weights, where trainings of binauralisers leave theirs."""
    torch.manual_seed(0)
    out = tmp_path / "binauralisers"
    bare = geometry.NOTHING
    configs = {
        "geometry-aware": geometry.Config("tiny", 64, 224, 8, 8),
        "without-coherence": geometry.Config("tiny", 64, 224, 8, 8, coherence=False),
        "mono2binaural": geometry.Config("tiny", 64, 224, 8, 8, **bare),
    }
    for name, config in configs.items():
        state = GeometryAware(config).state_dict()
        (out / name).mkdir(parents=True)
        geometry_files.CHECKPOINTS.save(config, state, out / name / "last.safetensors", {"step": "7"})
    small = foley.Config("rooms-tiny", rank=4, hidden=8, channels=4, layers=1, keeps_mean=True)
    (out / "foleyspace-rooms").mkdir()
    file = out / "foleyspace-rooms" / "last.safetensors"
    foley_files.CHECKPOINTS.save(small, SpatialDiffusion(small).state_dict(), file, {"step": "7"})
    return out


@pytest.mark.slow
def test_binauralisers_stand_in_the_tables_that_they_belong_to(
    untrained: Path, benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    binauralisers = benchmark("binauralisers")
    seeing, rooms = {"geometry-aware", "mono2binaural"}, binauralisers.ROOMS
    assert len(rooms) > 1
    wanted = {
        "controls": {"mono", *seeing, *rooms, *(f"{name}-flipped" for name in (*seeing, *rooms))},
        "ablation": {"mono", "without-coherence", *seeing},
        "trajectory": {
            "mono", "motion-pan", "foleyspace-like", *rooms, "oracle-pan", *(f"oracle-{name}" for name in rooms)
        },
        "stages": {
            first + second
            for first in ("mono", "noise")
            for second in ("", "+motion-pan", *(f"+{name}" for name in (*rooms, *seeing)))
        },
    }  # fmt: skip
    for task, rows in wanted.items():
        call = ["binauralisers.py", task, "--suite", "simroom-mini", "--limit", "2", "--out", str(untrained)]
        monkeypatch.setattr(sys, "argv", [*call, "--workers", "1", "--generator", "noise"])
        binauralisers.main()
        with (untrained / f"table-{task}" / "results.csv").open() as file:
            assert {row["system"] for row in csv.DictReader(file)} - {"reference"} == rows, task


@pytest.mark.slow
def test_binauralisers_are_trained_for_a_while(
    tmp_path: Path, benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    binauralisers = benchmark("binauralisers")
    binauralisers.train(["geometry-aware"], tmp_path, scenes=16, minutes=1.0)
    assert int(header_notes(tmp_path / "geometry-aware" / "last.safetensors")["step"]) > 0
    binauralisers.coherence(binauralisers.TrainedRows(tmp_path), 2)
    assert "of 16 windows of 2 held-out scenes" in capsys.readouterr().out
