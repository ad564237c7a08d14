"""Binauralisers trained for the same time, against their controls, parts left out, and rows of two stages.

    python benchmarks/binauralisers.py train geometry-aware mono2binaural audio-only --minutes 20 --scenes 480
    python benchmarks/binauralisers.py train foleyspace foleyspace-rooms --minutes 20 --scenes 480
    python benchmarks/binauralisers.py controls                      # held-out rooms, and paired differences
    python benchmarks/binauralisers.py trajectory                    # what moves, and the true path of the first source
    python benchmarks/binauralisers.py coherence                     # how often the classifier is right
    python benchmarks/binauralisers.py train without-coherence without-response --minutes 10 --scenes 480
    python benchmarks/binauralisers.py ablation
    python benchmarks/binauralisers.py stages --generator visaudio:FILE

Each training is `bench train` with its tiny preset, told to stop after so many minutes, and judged by its last weights;
`foleyspace-rooms` ends by itself, for its learning rate falls towards the end. One that is there already is not
repeated. Tables are of those that are there, in `--out`; FoleySpace in rooms has a row for each of some numbers of
steps. `mono` in the table of stages is the reference's own mono sound, the best that a first stage could give.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from visaudio_bench.baselines import System, open_system
from visaudio_bench.baselines.binauraliser import Binauraliser
from visaudio_bench.baselines.foleyspace import FoleySpace
from visaudio_bench.baselines.geometry_aware import FLIPPED, GeometryAwareSystem
from visaudio_bench.baselines.motion import Array
from visaudio_bench.baselines.two_stage import TwoStage
from visaudio_bench.bench.cli.common import finish, print_tables
from visaudio_bench.bench.evaluation.metric_choice import find_metrics
from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
from visaudio_bench.bench.evaluation.system_comparison import comparison_tables, find_sides
from visaudio_bench.metrics.aggregate import mean
from visaudio_bench.metrics.uncertainty import Statistic, interval
from visaudio_bench.models.foleyspace.inference import at_usual_distance
from visaudio_bench.models.foleyspace.training.room_scenes import MIRROR
from visaudio_bench.models.geometry_aware.checkpoints import CHECKPOINTS
from visaudio_bench.models.geometry_aware.spectra import loudness_gain, spectrum
from visaudio_bench.models.geometry_aware.training.batches import Reader
from visaudio_bench.models.geometry_aware.training.learner import GeometryLearner
from visaudio_bench.models.geometry_aware.training.recipe import PRESETS
from visaudio_bench.models.visaudio.feature_store import FeatureStore
from visaudio_bench.models.weight_loading import header_notes
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import Clip, open_suite
from visaudio_bench.suites.media import Samples
from visaudio_bench.suites.simulator.hrtf import pan, unit_vector
from visaudio_bench.suites.simulator.truth import read_truth

# Name of a training -> kind, preset, changes.
TRAININGS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "geometry-aware": ("geometry-aware", "tiny", ()),
    "mono2binaural": ("geometry-aware", "mono2binaural-tiny", ()),
    "audio-only": ("geometry-aware", "audio-only-tiny", ()),
    "without-coherence": ("geometry-aware", "tiny", ("network.coherence=false",)),
    "without-response": ("geometry-aware", "tiny", ("network.response=false",)),
    "without-consistency": ("geometry-aware", "tiny", ("network.consistency=false",)),
    "without-channel-masks": ("geometry-aware", "tiny", ("network.channel_masks=false",)),
    "foleyspace": ("foleyspace", "tiny", ()),
    "foleyspace-rooms": ("foleyspace", "rooms-tiny", ()),
}
ENDS_ITSELF = ("foleyspace-rooms",)
# FoleySpace in rooms by so many steps of the diffusion.
ROOMS = tuple(f"foleyspace-rooms@steps={steps}" for steps in (1, 2, 4))
ABLATION = ("geometry-aware", *(name for name in TRAININGS if name.startswith("without-")), "mono2binaural")
METRICS = ("stft", "env", "lat_r", "lr_acc", "lat_err", "delta_ild", "delta_itd", "delta_iacc")
NEVER = 1_000_000  # steps
PREEMPTED = 75
WINDOWS = 8  # of a clip, whose ears the classifier is asked about


def train(names: Sequence[str], out: Path, scenes: int, minutes: float) -> None:
    """Train what is not there yet, one after the other."""
    for name in names:
        kind, preset, changes = TRAININGS[name]
        if (out / name / "last.safetensors").exists():
            continue
        settings = [*changes, f"validate_every={NEVER}"]
        if name not in ENDS_ITSELF:
            settings.append(f"steps={NEVER}")
        options: list[object] = []
        if kind == "geometry-aware":
            options = ["--data", _store(out, f"simroom-train:{scenes}")]
        elif preset.startswith("rooms"):
            list(open_suite(f"simroom-train:{scenes}").prepare(available_cores()))
            settings.append(f"sounds={scenes}")
        chosen = [part for setting in settings for part in ("--set", setting)]
        command = ("train", kind, "--preset", preset, "--out", out / name, "--device", "cpu", *options, *chosen)
        _bench(*command, seconds=None if name in ENDS_ITSELF else 60 * minutes)


def _store(out: Path, suite: str) -> Path:
    """The windows of a suite's clips, made on first use."""
    folder = out / f"windows-{suite.replace(':', '-')}"
    if not folder.exists():
        silent = suite.rpartition(":")[2]  # some scenes are, on purpose: any number may be left out
        options = ("--parts", "windows-tiny", "--suite", suite, "--out", folder, "--allow-missing", silent)
        _bench("features", "build", *options)
    return folder


def _bench(*arguments: object, seconds: float | None = None) -> None:
    """`bench` as a process of its own, told to stop after a while."""
    process = subprocess.Popen([sys.executable, "-m", "visaudio_bench", *map(str, arguments)])
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        code = process.wait()
    if code not in (0, PREEMPTED):
        sys.exit(f"bench {arguments[0]} {arguments[1]} ended with exit code {code}")


def true_path(clip: Clip) -> Array:
    """Places of a clip's first source around the listener, 100 a second."""
    source = read_truth(clip.meta["truth"]).sources[0]
    return np.asarray(source.distance[:, None] * unit_vector(source.azimuth, source.elevation))


class OracleFoleySpace(FoleySpace):
    """On the true trajectory."""

    def __init__(self, path: Path, *, steps: int | None = None):
        super().__init__(path, steps=steps)
        self.card = replace(self.card, name=f"oracle-{self.card.name}", title=f"{self.card.title}, true trajectory")

    def positions(self, clip: Clip, seconds: float) -> Array:
        """The truth, whatever the pictures show."""
        del seconds
        return at_usual_distance(true_path(clip))


class MirroredFoleySpace(FoleySpace):
    """On the mirrored trajectory of what moves: its control Flipped-Visual."""

    def positions(self, clip: Clip, seconds: float) -> Array:
        """What pictures in a mirror show."""
        return super().positions(clip, seconds) * MIRROR


class OraclePan(Binauraliser):
    """Measured head responses on the true trajectory."""

    card = replace(open_system("motion-pan").card, name="oracle-pan", title="Pan, true trajectory")

    def binauralise(self, clip: Clip, mono: Samples, rng: np.random.Generator) -> Samples:
        """At the true azimuth and elevation."""
        del rng
        x, y, z = true_path(clip).T
        return pan(mono, np.arctan2(y, x), np.arctan2(z, np.hypot(x, y)))


class TrainedRows:
    """What has been trained in a folder, as rows of tables."""

    def __init__(self, out: Path):
        self.out = out

    def file(self, name: str) -> Path:
        """The last weights of the training of a row."""
        return self.out / _training(name) / "last.safetensors"

    def trained(self, *names: str) -> Iterator[System]:
        """Those that are there, each under the name of its training."""
        for name in names:
            if self.file(name).exists():
                yield self._row(name)

    def mirrored(self, *names: str) -> Iterator[System]:
        """Those that are there, shown mirrored pictures."""
        for name in names:
            if self.file(name).exists():
                path = self.file(name)
                foley = TRAININGS[_training(name)][0] == "foleyspace"
                mirrored = MirroredFoleySpace(path, steps=_steps(name)) if foley else GeometryAwareSystem(FLIPPED, path)
                yield _named(mirrored, f"{name}-flipped")

    def oracles(self, *names: str) -> Iterator[System]:
        """Those that are there, on the true trajectory."""
        for name in names:
            if self.file(name).exists():
                yield _named(OracleFoleySpace(self.file(name), steps=_steps(name)), f"oracle-{name}")

    def _row(self, name: str) -> System:
        path = self.file(name)
        if TRAININGS[_training(name)][0] == "foleyspace":
            return _named(FoleySpace(path, steps=_steps(name)), name)
        return _named(GeometryAwareSystem(CHECKPOINTS.read_config(path).system, path), name)


def _training(name: str) -> str:
    """The training of a row, which may say steps of its own."""
    return name.partition("@")[0]


def _steps(name: str) -> int | None:
    """The steps that a row says, None where it says none."""
    said = name.partition("@steps=")[2]
    return int(said) if said else None


def _named(system: FoleySpace | GeometryAwareSystem, name: str) -> System:
    """A row under a name of its own, which says how long it was trained."""
    steps = header_notes(system.path).get("step", "?")
    system.card = replace(system.card, name=name, title=f"{name}, {steps} steps")
    return system


def controls(rows: TrainedRows) -> tuple[list[System], list[tuple[str, str]]]:
    """What sees, what sees nothing, and what sees a mirror."""
    seeing = ("geometry-aware", "mono2binaural", *ROOMS)
    systems = [open_system("mono"), *rows.trained(*seeing, "audio-only"), *rows.mirrored(*seeing)]
    pairs = [(name, other) for name in seeing for other in ("mono", "audio-only", f"{name}-flipped")]
    return systems, [*pairs, ("geometry-aware", "mono2binaural")]


def trajectory(rows: TrainedRows) -> tuple[list[System], list[tuple[str, str]]]:
    """The same estimate, then the truth, through measured responses and through what has been learnt."""
    learnt = ("foleyspace", *ROOMS)
    systems = [*map(open_system, ("mono", "motion-pan", "foleyspace-like")), *rows.trained(*learnt)]
    systems += [OraclePan(), *rows.oracles(*learnt)]
    pairs = [(name, other) for name in learnt for other in ("motion-pan", "foleyspace-like")]
    pairs += [(f"oracle-{name}", "oracle-pan") for name in learnt]
    pairs += [(f"oracle-{name}", name) for name in learnt]
    return systems, [*pairs, ("oracle-pan", "motion-pan")]


def ablation(rows: TrainedRows) -> tuple[list[System], list[tuple[str, str]]]:
    """Each part of the loss left out."""
    return [open_system("mono"), *rows.trained(*ABLATION)], [(ABLATION[0], name) for name in ABLATION[1:]]


def stages(rows: TrainedRows, generators: Sequence[str]) -> tuple[list[System], list[tuple[str, str]]]:
    """Generators by themselves, and each with every binauraliser behind it."""
    learnt = ("foleyspace", *ROOMS, "geometry-aware", "mono2binaural")
    systems: list[System] = []
    pairs = []
    for request in ("mono", *generators):
        first = open_system(request)
        binauralisers = [open_system("motion-pan"), *rows.trained(*learnt)]
        both = [TwoStage(first, binauraliser) for binauraliser in binauralisers]
        systems += [first, *both]
        if request != "mono":
            pairs += [(row.card.name, first.card.name) for row in both]
    return systems, pairs


def table(
    systems: Sequence[System], pairs: Sequence[tuple[str, str]], suite: str, out: Path, arguments: argparse.Namespace
) -> None:
    """Print a leaderboard, then what differs between pairs of its rows."""
    job = SuiteJob(open_suite(suite), (open_system("reference"), *systems), arguments.limit)
    finish(Plan((job,), find_metrics(METRICS), out, workers=arguments.workers), arguments.format, dry_run=False)
    rows = {system.card.name for system in systems}
    for first, second in pairs:
        if {first, second} <= rows:
            tables = comparison_tables(*find_sides(first, second, out))
            print_tables(tables[:1], arguments.format)


def coherence(rows: TrainedRows, scenes: int) -> None:
    """Print how often the classifier says rightly whether the ears were exchanged, with an interval over clips."""
    path = rows.file("geometry-aware")
    network = CHECKPOINTS.load(path)
    store = FeatureStore(_store(rows.out, f"simroom-validation:{scenes}"))
    reader = Reader(store, network.config, PRESETS["tiny"])
    learner = GeometryLearner(network, PRESETS["tiny"])
    right = np.array([_right(reader, learner, clip) for clip in range(len(store))])
    told = interval(Statistic(mean("right"), {"right": right}, 0.0, 1.0))
    print(
        f"coherence: right in {told.value:.3f} (95 % {told.low:.3f} to {told.high:.3f}) of {right.size * WINDOWS} "
        f"windows of {len(store)} held-out scenes; chance is 0.5"
    )


@torch.no_grad()
def _right(reader: Reader, learner: GeometryLearner, clip: int) -> float:
    """Share of some windows of a clip of which the classifier is right."""
    samples = [clip * WINDOWS + window for window in range(WINDOWS)]
    batch = reader.batch(reader.empty(WINDOWS, pinned=False), [clip] * WINDOWS, samples)
    sound = batch.tensors["sound"]
    ears = spectrum(sound * loudness_gain(sound.sum(1))[:, None])
    logit = learner.flipped_logit(ears, learner.network.see(batch.tensors["frames"]), batch)
    return float(((logit > 0) == batch.tensors["flipped"]).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("train", "controls", "trajectory", "coherence", "ablation", "stages"))
    parser.add_argument("names", nargs="*", help=f"trainings: {', '.join(TRAININGS)}")
    parser.add_argument("--out", type=Path, default=Path("runs/binauralisers"))
    parser.add_argument("--suite", default="simroom")
    parser.add_argument("--scenes", type=int, default=960, help="that are learnt from; for coherence: listened to")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each training")
    parser.add_argument("--generator", action="append", default=[], help="first stages, e.g. visaudio:FILE")
    parser.add_argument("--limit", type=int, help="clips")
    parser.add_argument("--format", default="text")
    parser.add_argument("--workers", type=int, default=available_cores())
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - TRAININGS.keys())
    if unknown:
        parser.error(f"there is no training {unknown[0]}; known: {', '.join(TRAININGS)}")
    rows = TrainedRows(arguments.out)
    if arguments.task == "train":
        train(arguments.names or list(TRAININGS), arguments.out, arguments.scenes, arguments.minutes)
    elif arguments.task == "coherence":
        coherence(rows, min(arguments.scenes, 40))
    else:
        made = {"controls": controls, "trajectory": trajectory, "ablation": ablation}
        task = arguments.task
        systems, pairs = stages(rows, arguments.generator) if task == "stages" else made[task](rows)
        table(systems, pairs, arguments.suite, arguments.out / f"table-{task}", arguments)


if __name__ == "__main__":
    main()
