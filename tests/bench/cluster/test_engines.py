"""Both engines with doubles of Ray and of Slurm: what is lost is done again, and costs at most itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from visaudio_bench.bench.cluster.opening import Machines, at_work
from visaudio_bench.bench.cluster.ray_engine import AGAIN, RayEngine
from visaudio_bench.bench.cluster.slurm_engine import SlurmEngine
from visaudio_bench.bench.cluster.units import carry_out
from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.isolation import map_isolated
from visaudio_bench.pool import CRASHED, Engine, Needs, elsewhere, map_unordered

from ...conftest import Bench

ITEMS = list(range(20))
DEADLY = 13


def square(number: int) -> int:
    return number**2


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker changes its folder and its variables; here it is this process."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(tmp_path)


class Loss:
    """Who is lost: everybody that has `DEADLY`, and the first few whatever they have."""

    def __init__(self, unlucky: int):
        self.unlucky = unlucky
        self.given: list[list[int]] = []

    def strikes(self, items: Sequence[int]) -> bool:
        self.given.append(list(items))
        return DEADLY in items or len(self.given) <= self.unlucky


def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: Loss) -> Engine:
    """An engine whose jobs work at once in this process."""
    from submitit.core.utils import UncompletedJobError

    class Job:
        def __init__(self, work: Any, items: Sequence[int]):
            self.answers = None if loss.strikes(items) else carry_out(work, items)

        def done(self) -> bool:
            return True

        def result(self) -> Any:
            if self.answers is None:
                raise UncompletedJobError("Job 7 (task: 0)\nhas not produced any output (state: NODE_FAIL)")
            return self.answers

    def map_array(function: Any, works: Sequence[Any], shares: Sequence[Any]) -> list[Job]:
        return [Job(work, share) for work, share in zip(works, shares, strict=True)]

    monkeypatch.setattr(SlurmEngine, "_executor", lambda self, needs: SimpleNamespace(map_array=map_array))
    return SlurmEngine("submit", 4, tmp_path, (tmp_path,))


def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: Loss) -> Engine:
    """An engine whose cluster is this process; it gives a unit to somebody else as often as Ray is asked to."""
    module, exceptions = ModuleType("ray"), ModuleType("ray.exceptions")
    exceptions.RayError = type("RayError", (Exception,), {})
    exceptions.RayTaskError = type("RayTaskError", (exceptions.RayError,), {})
    numbers = count()
    answers: dict[int, Any] = {}

    def remote(**options: Any) -> Any:
        def start(work: Any, items: Sequence[int]) -> int:
            alive = [not loss.strikes(items) for _ in range(1 + options["max_retries"])]
            number = next(numbers)
            answers[number] = carry_out(work, items) if any(alive) else None
            return number

        return lambda function: SimpleNamespace(remote=start)

    def get(number: int) -> Any:
        if answers[number] is None:
            raise exceptions.RayError("The node died.\nIts address was ...")
        return answers[number]

    module.put = lambda value: value
    module.remote = remote
    module.wait = lambda numbers: (numbers[-1:], numbers[:-1])  # not in order
    module.get = get
    module.cancel = lambda number, force: None
    module.nodes = lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"GPU": 8.0}}]
    module.exceptions = exceptions
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
    return RayEngine(2, 4, (tmp_path,))


engines = pytest.mark.parametrize("make", [slurm, ray])


@engines
@pytest.mark.parametrize("unlucky", [0, 1, AGAIN])
def test_what_is_lost_is_done_again_and_costs_itself(
    make: Callable[..., Engine], unlucky: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loss = Loss(unlucky)
    with elsewhere(make(monkeypatch, tmp_path, loss)):
        outcomes = {outcome.item: outcome for outcome in map_unordered(square, ITEMS, 1)}
    assert sorted(outcomes) == ITEMS
    for number, outcome in outcomes.items():
        if number != DEADLY:
            assert outcome.result() == number**2
    error = outcomes[DEADLY].clip_error()
    assert isinstance(error, ClipError)
    assert error.reason == CRASHED
    assert "NODE_FAIL" in error.message or "The node died" in error.message
    assert loss.given.count([DEADLY]) >= 2


@engines
def test_no_items_are_no_work(make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loss = Loss(0)
    with elsewhere(make(monkeypatch, tmp_path, loss)):
        assert list(map_unordered(square, [], 1)) == []
    assert not loss.given


@engines
def test_one_worker_goes_on_too(make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make(monkeypatch, tmp_path, Loss(1))
    with elsewhere(engine._replace(workers=1)):  # type: ignore[attr-defined]
        outcomes = list(map_unordered(square, ITEMS, 1))
    assert [outcome.item for outcome in outcomes if outcome.error] == [DEADLY]


@engines
def test_isolated_work_goes_there_too_and_the_pool_is_back_after(
    make: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loss = Loss(0)
    monkeypatch.setattr("visaudio_bench.isolation._isolated", lambda function, timeout, item: function(item))
    monkeypatch.setattr(
        "visaudio_bench.bench.cluster.units.pickle", SimpleNamespace(dumps=lambda f: f, loads=lambda f: f)
    )
    with elsewhere(make(monkeypatch, tmp_path, loss)):
        assert {outcome.result() for outcome in map_isolated(square, [1, 2], 1, 60)} == {1, 4}
    assert loss.given
    loss.given.clear()
    assert [outcome.result() for outcome in map_unordered(square, [3], 1)] == [9]
    assert not loss.given


def test_what_no_machine_has_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (
        elsewhere(ray(monkeypatch, tmp_path, Loss(0))),
        pytest.raises(BenchError, match="no machine of the Ray cluster has 1 cores and 1 graphics cards"),
    ):
        list(map_unordered(square, ITEMS, 1, Needs(gpus=1)))


def test_slurm_is_asked_for_what_a_unit_needs(tmp_path: Path) -> None:
    """As the double of Slurm and the parameters of sbatch say; nothing is submitted."""
    executor = SlurmEngine("local", 3, tmp_path, ())._executor(Needs(cpus=4, gpus=1))
    assert executor._executor.parameters["gpus_per_node"] == 1
    assert executor._executor.parameters["timeout_min"] == 240


NOT_HERE = [
    (("--ray", "local"), {"ray": None}, 2, "pip install 'visaudio-bench[cluster]'"),
    (("--slurm", "local"), {"submitit": None}, 2, "pip install 'visaudio-bench[cluster]'"),
    (("--slurm",), {}, 2, "no sbatch and srun are here"),
    (("--ray", "head"), {"ray": ModuleType("ray")}, 2, "expected HOST:PORT"),
    (("--ray", "127.0.0.1:9"), {"ray": ModuleType("ray")}, 1, "no Ray cluster answers there"),
    (("--ray", "auto", "--slurm", "local"), {}, 2, "Leave one out"),
    (("--ray", "auto", "--dry-run"), {}, 2, "--dry-run predicts for one machine"),
    (("--ray", "auto", "--device", "cuda:1"), {}, 2, "gives each worker one: --device cuda"),
]


@pytest.mark.parametrize(
    ("options", "modules", "code", "said"),
    NOT_HERE,
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_not_here_is_said_in_one_sentence(
    bench: Bench, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...], modules: dict[str, Any], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    told = bench("run", "--suite", f"folder:{clips}", "--system", "motion-pan", "--out", tmp_path / "run", *options)
    assert told.code == code
    error = told.err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert said in error
    assert "Traceback" not in told.err
    assert not list(tmp_path.rglob("*shared~*")), "tokens are gone"


def test_this_machine_needs_no_engine(tmp_path: Path) -> None:
    with at_work(Machines(workers=3), [tmp_path / "none"]) as workers:
        assert workers == 3
        assert [outcome.result() for outcome in map_unordered(square, [2], 1)] == [4]
    assert not (tmp_path / "none").exists()
