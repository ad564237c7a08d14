"""What a run will take: seconds, memory and disk, predicted from rates that `python -m benchmarks` has measured.

The rates are CPU seconds of one core of the machine that they were measured on, which the file names. What was not
measured is taken from what comes nearest, and said. Nothing here imports torch: a plan is there at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from visaudio_bench.errors import UsageError

RATES = files("visaudio_bench.bench.evaluation") / "rates.json"

# Assumed, not measured: what a graphics card does with the networks in float32, of the 67 TFLOP/s that an H100 is
# sold for. A prediction for a card says so.
CARD_TFLOPS = 20.0
MEASURED_SECONDS = 8.0  # length of the clips that the rates are of
VIEWS = {"vggish": 3, "panns": 3}  # in which a network listens to a sound, where more than one
INSTEAD = "panns"  # what a network that was never measured is counted as
# Bytes that are kept of one sound of 8 s: a 16-bit wav a second, its cues, and the answers of networks.
SOUND_BYTES, CUE_BYTES = 176_400, 20_000
ANSWER_BYTES = {"vggish": 14_000, "panns": 31_000, "synchformer": 450_000, "imagebind": 5_000}


@dataclass(frozen=True)
class Rates:
    """Measured rates: seconds and other numbers by stage, and the machine they are of."""

    machine: Mapping[str, Any]
    worker_mb: float
    rates: Mapping[str, Mapping[str, float]]

    def seconds(self, stage: str, what: str) -> float:
        """CPU seconds of something for one clip; of what was not measured those of the slowest of its stage."""
        known = {name: rate["seconds"] for name, rate in self.rates.items() if name.startswith(f"{stage} ")}
        return known.get(f"{stage} {what}", max(known.values(), default=0.0))

    def number(self, stage: str, what: str, name: str, otherwise: float = 0.0) -> float:
        """Another number of what was measured."""
        return self.rates.get(f"{stage} {what}", {}).get(name, otherwise)


class Work(NamedTuple):
    """What is to be done for one suite.

    Attributes:
        clips: that are judged.
        seconds: of a clip.
        systems: that are judged.
        to_make: clips by the name of the system that makes sound for them.
        rendering: CPU seconds of preparing what is not there yet.
        families: without networks, by name.
        networks: families with networks, by name.
        references: whether there is a reference sound for each clip.
    """

    clips: int
    seconds: float
    systems: int
    to_make: Mapping[str, int]
    rendering: float
    families: Sequence[str]
    networks: Sequence[str]
    references: bool = True

    @property
    def sounds(self) -> int:
        """How many are judged, references with them."""
        return self.clips * (self.systems + self.references)


@dataclass(frozen=True)
class Forecast:
    """What a run will take on the machine that was asked for.

    Attributes:
        seconds: by stage, of wall time.
        memory_mb: at most, of all processes.
        disk_mb: that the run folder and the cache grow by.
        basis: sentences on what this rests upon.
    """

    seconds: Mapping[str, float]
    memory_mb: float
    disk_mb: float
    basis: tuple[str, ...]

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    def record(self) -> dict[str, Any]:
        """As data, for `plan.json`."""
        return {
            "seconds": {stage: round(seconds, 1) for stage, seconds in self.seconds.items()},
            "memory_mb": round(self.memory_mb),
            "disk_mb": round(self.disk_mb),
            "basis": list(self.basis),
        }


@lru_cache(maxsize=1)
def measured() -> Rates:
    """The rates that this version was measured with."""
    return Rates(**json.loads(RATES.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Machine:
    """What a run is predicted for.

    Attributes:
        cores: at work.
        speed: of a core, as a multiple of one of the machine that the rates are of.
        cards: graphics cards that run the networks; 0 where the processor does.
    """

    cores: int
    speed: float = 1.0
    cards: int = 0


def predict(work: Sequence[Work], machine: Machine, rates: Rates | None = None) -> Forecast:
    """Predict what a run takes.

    Args:
        work: of each suite.
        machine: that it is to run on.
        rates: what was measured; by default what this version was measured with.

    Returns:
        The prediction, with what it rests upon.
    """
    rates = rates or measured()
    at_once = machine.cores * machine.speed
    stages = {"prepare": 0.0, "generate": 0.0, "score": 0.0, "networks": 0.0}
    weights = disk = 0.0
    for part in work:
        scale = part.seconds / MEASURED_SECONDS
        made = sum(count * rates.seconds("generate", system) for system, count in part.to_make.items())
        reading = part.sounds * rates.seconds("read", "sound")
        judging = part.sounds * sum(rates.seconds("metric", name) for name in part.families)
        stages["prepare"] += part.rendering / at_once
        stages["generate"] += scale * made / at_once
        stages["score"] += scale * (reading + judging) / at_once
        if part.networks:
            reading += part.clips * rates.seconds("read", "pictures")
            stages["networks"] += scale * _networks(part, rates, reading, machine)
        weights = max(weights, sum(rates.number("network", f"{name} sound", "weights MB") for name in part.networks))
        disk += scale * _disk(part, rates)
    workers = machine.cores if machine.cores > 1 else 0
    memory = rates.worker_mb * (1 + workers) + weights * max(1, machine.cards)
    return Forecast(stages, memory, disk, _basis(work, rates, machine))


def _networks(work: Work, rates: Rates, reading: float, machine: Machine) -> float:
    """Seconds in which networks answer; workers prepare meanwhile, which is what it takes where a card is faster."""
    at_once = machine.cores * machine.speed
    if machine.cards:
        computing = _asked(work, rates, "GFLOP") / 1e3 / CARD_TFLOPS / machine.cards
        return max(computing, reading / at_once)
    return (_asked(work, rates, "seconds") + reading) / at_once


def _asked(work: Work, rates: Rates, number: str) -> float:
    """The sum of a number over everything that networks are asked about."""
    total = 0.0
    for name in work.networks:
        like = name if f"network {name} sound" in rates.rates else INSTEAD
        for what, times in (
            ("sound", work.sounds * VIEWS.get(like, 1)),
            ("comparison", work.sounds),
            ("pictures", work.clips),
        ):
            total += times * rates.number("network", f"{like} {what}", number)
    return total


def _disk(work: Work, rates: Rates) -> float:
    """MB that systems write and answers take, of clips of `MEASURED_SECONDS`."""
    written = sum(
        count * rates.number("generate", system, "bytes a second", SOUND_BYTES) * MEASURED_SECONDS
        for system, count in work.to_make.items()
    )
    answers = work.sounds * (CUE_BYTES + sum(ANSWER_BYTES.get(name, ANSWER_BYTES["panns"]) for name in work.networks))
    return (written + answers) / 1e6


def _basis(work: Sequence[Work], rates: Rates, machine: Machine) -> tuple[str, ...]:
    told = rates.machine
    said = [
        f"rates of one core of {told['processor']}, {told['date']}, torch {told['torch']}"
        + (f", taken for {machine.speed:g} times as fast" if machine.speed != 1 else "")
    ]
    unknown = sorted({s for part in work for s, n in part.to_make.items() if n and f"generate {s}" not in rates.rates})
    if unknown:
        said.append(f"never measured, counted as the slowest system without weights: {', '.join(unknown)}")
    others = sorted({name for part in work for name in part.networks if f"network {name} sound" not in rates.rates})
    if others:
        said.append(f"never measured, counted as {INSTEAD}: {', '.join(others)}")
    if machine.cards and any(part.networks for part in work):
        said.append(f"networks on a card are not measured but assumed to reach {CARD_TFLOPS:g} TFLOP/s")
    return tuple(said)


LEAST = {"cards": 0, "speed": 1e-3}  # of a machine that is planned for


def machine_of(text: str, cores: int) -> Machine:
    """The machine that somebody plans for: `cores=32,speed=1.5,cards=8`, any of them.

    Args:
        text: what was written.
        cores: where it says nothing of them.

    Returns:
        The machine.

    Raises:
        UsageError: another word, or no number that a machine has.
    """
    given: dict[str, float] = {"cores": cores, "speed": 1.0, "cards": 0}
    told: set[str] = set()
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            number = float(value) if name == "speed" else int(value)
        except ValueError:
            number = -1
        if name in told or name not in given or not LEAST.get(name, 1) <= number < 1e6:
            raise UsageError(
                f'"{part}" says nothing of a machine. Write any of cores=N, speed=X and cards=N, with commas between: '
                "--plan-for cores=32,speed=1.5,cards=8"
            )
        told.add(name)
        given[name] = number
    return Machine(int(given["cores"]), given["speed"], int(given["cards"]))
