"""What a run will take: arithmetic on measured rates, and what a dry run says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.bench.console import clock
from visaudio_bench.bench.evaluation.rates import Forecast, Machine, Rates, Work, machine_of, measured, predict
from visaudio_bench.errors import UsageError
from visaudio_bench.files import CACHE_VARIABLE

RATES = Rates(
    {"processor": "an abacus", "date": "2026-01-01", "torch": "2.11"},
    100,
    {
        "generate mono": {"seconds": 0.1, "bytes a second": 1000.0},
        "generate slow": {"seconds": 0.5, "bytes a second": 1000.0},
        "read sound": {"seconds": 0.01},
        "read pictures": {"seconds": 1.0},
        "metric cues": {"seconds": 0.04},
        "network panns sound": {"seconds": 0.2, "GFLOP": 10.0, "weights MB": 300.0},
        "network imagebind sound": {"seconds": 0.5, "GFLOP": 100.0, "weights MB": 4000.0},
        "network imagebind pictures": {"seconds": 5.0, "GFLOP": 2000.0, "weights MB": 4000.0},
    },
)
WORK = Work(100, 8.0, 4, {"mono": 100, "reference": 0}, 60.0, ["cues"], ["panns", "imagebind"])


def of(work: Work = WORK, *, cores: int = 1, speed: float = 1.0, cards: int = 0) -> Forecast:
    return predict([work], Machine(cores, speed, cards), RATES)


def test_every_stage_is_what_was_measured_times_how_often_it_is_done() -> None:
    said = of()
    assert said.seconds["prepare"] == 60
    assert said.seconds["generate"] == pytest.approx(100 * 0.1)
    assert said.seconds["score"] == pytest.approx(500 * 0.05)
    # Three views of each sound, pictures once a clip, and both are read.
    networks = 500 * 3 * 0.2 + 500 * 0.5 + 100 * 5.0 + 500 * 0.01 + 100 * 1.0
    assert said.seconds["networks"] == pytest.approx(networks)
    assert said.total == pytest.approx(60 + 10 + 25 + networks)
    assert said.memory_mb == 100 + 4300
    assert said.disk_mb == pytest.approx((100 * 8000 + 500 * (20_000 + 31_000 + 5_000)) / 1e6)


def test_more_and_faster_cores_longer_clips_and_cards() -> None:
    assert of(cores=4, speed=2.0).total == pytest.approx(of().total / 8)
    assert of(WORK._replace(seconds=16.0, rendering=0.0)).total == pytest.approx(2 * (of().total - 60))
    assert of(cores=4).memory_mb == 5 * 100 + 4300
    # The card waits for what is read, until there are cores enough.
    assert of(cards=1).seconds["networks"] == pytest.approx(105)
    computing = (500 * 3 * 10 + 500 * 100 + 100 * 2000) / 20_000
    assert of(cores=64, cards=1).seconds["networks"] == pytest.approx(computing)
    assert of(cores=64, cards=2).seconds["networks"] == pytest.approx(computing / 2)
    assert any("assumed" in said for said in of(cards=1).basis) and not any("assumed" in said for said in of().basis)


def test_what_was_never_measured_is_counted_as_something_that_was_and_said() -> None:
    said = of(WORK._replace(to_make={"theirs": 100}, networks=["new"]))
    assert said.seconds["generate"] == pytest.approx(100 * 0.5)
    assert said.seconds["networks"] == of(WORK._replace(networks=["panns"])).seconds["networks"]
    basis = " ".join(said.basis)
    assert "theirs" in basis and "new" in basis and "an abacus" in basis
    assert "theirs" not in " ".join(of(WORK._replace(to_make={"theirs": 0})).basis)


def test_rates_ship_for_everything_that_is_built_in() -> None:
    shipped = measured()
    for name in ("vggish", "panns", "synchformer", "imagebind"):
        assert shipped.number("network", f"{name} sound", "GFLOP") > 0
    assert shipped.seconds("generate", "motion-pan") > shipped.seconds("generate", "mono") > 0
    assert shipped.seconds("metric", "interaural_cues") > 0 and shipped.worker_mb > 50


@pytest.mark.parametrize(
    "text", ["cores", "cores=0", "speed=0", "speed=x", "cards=-1", "ram=4", "", "cores=1.5", "cores=2,cores=3"]
)
def test_a_machine_that_is_none_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="says nothing of a machine"):
        machine_of(text, 2)
    assert machine_of("cards=8,speed=1.5", 2) == Machine(2, 1.5, 8)


def test_a_dry_run_says_what_it_will_take_and_what_that_rests_upon(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    asked = ("run", "--suite", f"folder:{clips}", "--out", tmp_path / "run")
    told = bench(*asked, "--dry-run")
    assert (told.code, told.out) == (0, "")
    assert "  time     " in told.err and "  memory   " in told.err and "GB" in told.err
    assert str(measured().machine["processor"]) in told.err
    other = bench(*asked, "--dry-run", "--plan-for", "cores=1,speed=0.01")
    assert "taken for 0.01 times as fast" in other.err and other.err != told.err
    assert '"speed=1e-320" says nothing' in bench(*asked, "--dry-run", "--plan-for", "speed=1e-320").err
    wrong = bench(*asked, "--dry-run", "--plan-for", "ram=4")
    assert wrong.code == 2 and '"ram=4" says nothing of a machine' in wrong.err
    wet = bench(*asked, "--plan-for", "cores=4")
    assert wet.code == 2 and "--dry-run" in wet.err and not (tmp_path / "run").exists()


def test_scenes_that_are_still_to_be_rendered_are_counted(
    bench: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    asked = ("run", "--suite", "simroom", "--system", "mono", "--out", tmp_path / "run", "--dry-run")
    told = bench(*asked, "--plan-for", "cores=1").err
    assert f"prepare {clock(40 * measured().seconds('render', 'scene'))}" in told


def test_a_dry_run_needs_no_torch(clips: Path, tmp_path: Path) -> None:
    program = "\n".join(
        [
            "import sys",
            "from visaudio_bench.bench.cli import main",
            "try: main()",
            "except SystemExit as ended: print(ended.code, 'torch' in sys.modules)",
        ]
    )
    asked = ("run", "--suite", f"folder:{clips}", "--dry-run", "--out", str(tmp_path / "run"))
    told = subprocess.run([sys.executable, "-c", program, *asked], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["0", "False"]
    assert "rates of one core" in told.stderr


def test_the_plan_of_a_run_keeps_its_prediction(bench: Callable, clips: Path, tmp_path: Path) -> None:
    done = bench("run", "--suite", f"folder:{clips}", "--limit", 1, "--system", "mono", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    kept = json.loads((tmp_path / "run" / "plan.json").read_text())["prediction"]
    assert kept.keys() == {"seconds", "memory_mb", "disk_mb", "basis"}
