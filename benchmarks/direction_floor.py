"""What the metrics against labels say of perfect sound, on scenes whose labels are exact: the tables of the manual.

Run: PYTHONPATH=. python benchmarks/direction_floor.py

The first table is of the scenes of `simroom`, rendered if they are not yet (minutes); the second of scenes that go all
around the listener, made for it and kept nowhere (minutes). Values are means over clips with 95 % intervals over clips,
as a leaderboard has them: none where clips are too few. The results stand in the docstring of `metrics/direction.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from visaudio_bench.bench.evaluation.families.direction import FAMILY, as_arrays
from visaudio_bench.bench.evaluation.signal_scores import read_reference
from visaudio_bench.metrics.direction import Labels, label_quantities, segment_labels
from visaudio_bench.metrics.interaural import Cues, interaural_cues
from visaudio_bench.metrics.quantity import Quantity, undefined
from visaudio_bench.metrics.uncertainty import Statistic, interval
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.direction_labels import clip_labels
from visaudio_bench.suites.simulator.design import HIGH, REVERBERATION, ROOMS
from visaudio_bench.suites.simulator.images import Room
from visaudio_bench.suites.simulator.labels import scene_labels
from visaudio_bench.suites.simulator.placement import EYE_HEIGHT, FURTHEST, NEAREST, THING_FROM_WALL
from visaudio_bench.suites.simulator.render import binaural_sound, scene_sounds
from visaudio_bench.suites.simulator.scenes import Scene, SoundSource
from visaudio_bench.suites.simulator.sounds import SourceSound

SUITE = "simroom"
COLUMNS = ("label_side", "label_err", "label_ccc")
BANDS = ((0, 15), (15, 30), (30, 60))
AROUND = ((0, 15), (15, 30), (30, 45), (45, 60), (60, 75), (75, 90), (90, 180))  # degrees, either side
SOUNDS = ("string", "drum", "engine", "water", "bird")  # five of the scenes' seven: twenty scenes a band
DURATION = 4.0  # s
SEED = 17


class Judged(NamedTuple):
    """A perfect sound's cues, its labels, and what its scene is: by what rows are told apart."""

    cues: Cues
    labels: Labels
    rt60: float
    sources: int
    band: tuple[int, int] | None = None
    kind: str = "one source"


Select = Callable[[Judged], Cues | None]


def in_band(low: float, high: float) -> Select:
    """Keep segments whose label lies between two lateral angles in degrees."""

    def select(judged: Judged) -> Cues:
        cues = judged.cues
        lateral = np.nan_to_num(np.abs(segment_labels(judged.labels, len(cues.ild)).lateral))
        angle = np.degrees(np.arcsin(lateral))
        return cues._replace(active=cues.active & (low <= angle) & (angle < high))

    return select


def where(wanted: Callable[[Judged], bool]) -> Select:
    """Keep clips."""
    return lambda judged: judged.cues if wanted(judged) else None


def table_of(clips: Sequence[Judged], select: Select) -> Mapping[str, np.ndarray]:
    """Quantities of all clips by name; NaN for clips that are not selected."""
    rows: list[dict[str, Quantity]] = []
    for judged in clips:
        cues = select(judged)
        rows.append({} if cues is None or not cues.active.any() else label_quantities(cues, judged.labels))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, undefined("other")).value for row in rows]) for name in names}


def told(key: str, table: Mapping[str, np.ndarray]) -> str:
    """`5.3 (4.1 to 6.8)`, and without brackets where clips are too few for an interval."""
    metric = next(metric for metric in FAMILY.metrics if metric.key == key)
    value, low, high, clips, _ = interval(
        Statistic(metric.aggregate, {name: table[name] for name in metric.quantities}, metric.low, metric.high)
    )
    digits = metric.digits
    ends = f" ({low:.{digits}f} to {high:.{digits}f})" if clips >= metric.minimum_clips and np.isfinite(low) else ""
    return f"{value:.{digits}f}{ends}"


def row_of(name: str, clips: Sequence[Judged], select: Select) -> str:
    """One row of a table."""
    table = table_of(clips, select)
    if "label_ccc.n" not in table:
        return f"| {name} | | | | none |"
    counted = f"{np.isfinite(table['label_err']).sum()}, {np.nansum(table['label_segments']):.0f}"
    return " | ".join(["|", name, *(told(key, table) for key in COLUMNS), counted, "|"]).replace("| |", "|")


def by_the_first(judged: Judged) -> Judged:
    """A clip as if nobody had labelled its other sources: what the metrics leave out, and why."""
    labels = judged.labels
    first = labels.source == labels.source.min()
    return judged._replace(labels=Labels(*(column[first] for column in labels)))


def of_suite(name: str = SUITE) -> Iterator[Judged]:
    """Read the references of a simulated suite."""
    suite = open_suite(name)
    list(suite.prepare(available_cores()))
    for clip in suite.clips():
        ears = read_reference(clip)
        assert ears is not None
        sources = len(clip.meta["visible"]) + len(clip.meta["invisible"])
        yield Judged(ears.cues, as_arrays(clip_labels(clip)), clip.meta["rt60"], sources)


def suite_rows(clips: Sequence[Judged]) -> Iterator[str]:
    """The rows of the first table."""
    yield row_of("all, of one source", clips, where(lambda _: True))
    for low, high in BANDS:
        yield row_of(f"{low} to {high} degrees to the side", clips, in_band(low, high))
    for times in (REVERBERATION[:2], REVERBERATION[2:]):
        name = f"RT60 {' or '.join(f'{seconds:g}' for seconds in times)} s"
        yield row_of(name, clips, where(lambda judged, times=times: judged.rt60 in times))
    first = [by_the_first(judged) for judged in clips]
    yield row_of("two sources at once, by the first alone", first, where(lambda judged: judged.sources > 1))


def all_around(
    bands: Sequence[tuple[int, int]] = AROUND,
    reverberation: Sequence[float] = REVERBERATION,
    sounds: Sequence[str] = SOUNDS,
    duration: float = DURATION,
) -> Iterator[Judged]:
    """Render scenes of sources that stand still at the height of the ears, so that azimuth is all there is.

    One scene for each band of azimuth, reverberation time and sound, left and right in turn; and as many of two sources
    for each reverberation time as there are sounds, both anywhere in front, heard one after the other and at once.
    """
    for (row, rt60), (column, sound) in product(enumerate(reverberation), enumerate(sounds)):
        rng = np.random.default_rng([SEED, round(1000 * rt60), column])
        for index, band in enumerate(bands):
            azimuth = (-1) ** (row + column + index) * np.radians(rng.uniform(*band))
            scene = scene_of((azimuth,), rt60, (sound,), duration, rng)
            yield judged(scene, scene_sounds(scene), band=band)
        other = sounds[(column + 1) % len(sounds)]
        scene = scene_of(tuple(np.radians(rng.uniform(-90, 90, 2))), rt60, (sound, other), duration, rng)
        both = scene_sounds(scene)
        yield judged(scene, [halved(source, half) for half, source in enumerate(both)], kind="in turn")
        yield judged(scene, both, kind="at once")


def scene_of(
    azimuths: tuple[float, ...], rt60: float, sounds: tuple[str, ...], duration: float, rng: np.random.Generator
) -> Scene:
    """A listener and sources around him at azimuths in radians, anywhere in a room where all keep off the walls."""
    seed, *seeds = (int(value) for value in rng.integers(2**31, size=1 + len(sounds)))
    while True:
        size = np.array(ROOMS[rng.integers(len(ROOMS))])
        start, ahead = rng.uniform(THING_FROM_WALL, size[:2] - THING_FROM_WALL), rng.uniform(-np.pi, np.pi)
        bearing = ahead + np.array(azimuths)
        distance = rng.uniform(NEAREST, FURTHEST, len(azimuths))
        places = start + distance[:, None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=1)
        if np.all((places > THING_FROM_WALL) & (places < size[:2] - THING_FROM_WALL)):
            break
    sources = tuple(
        SoundSource(sound, seed, ((0.0, float(x), float(y), EYE_HEIGHT),))
        for sound, seed, (x, y) in zip(sounds, seeds, places, strict=True)
    )
    x, y = (float(value) for value in start)
    room = Room(tuple(float(side) for side in size), rt60, HIGH * rt60)
    return Scene("floor", "static", duration, seed, room, ((0.0, x, y, EYE_HEIGHT),), ((0.0, float(ahead)),), sources)


def halved(sound: SourceSound, half: int) -> SourceSound:
    """The first or the second half of a sound; what it does in the other is silent."""
    samples = sound.samples.copy()
    middle = len(samples) // 2
    samples[slice(middle, None) if half == 0 else slice(0, middle)] = 0
    return SourceSound(samples, sound.onsets)


def judged(scene: Scene, sounds: Sequence[SourceSound], **group: object) -> Judged:
    """Hear a scene."""
    labels = as_arrays(scene_labels(scene, sounds))
    cues = interaural_cues(binaural_sound(scene, sounds))
    return Judged(cues, labels, scene.room.rt60, len(scene.sources), **group)


def around_rows(clips: Sequence[Judged]) -> Iterator[str]:
    """The rows of the second table."""
    single = [judged for judged in clips if judged.kind == "one source"]
    bands = [band for band in AROUND if any(judged.band == band for judged in single)]

    def row(name: str, within: Sequence[tuple[int, int]], rt60: float | None = None) -> str:
        return row_of(name, single, where(lambda judged: judged.band in within and rt60 in (None, judged.rt60)))

    for low, high in bands:
        yield row(f"{low} to {high} degrees" + (", behind" if low >= 90 else ""), [(low, high)])
    seen, unseen, front = (
        [band for band in bands if lowest <= band[0] < highest] for lowest, highest in ((0, 45), (45, 90), (0, 90))
    )
    for seconds in sorted({judged.rt60 for judged in single}):
        for name, within in (("in the picture", seen), ("beside it, to 90 degrees", unseen)):
            yield row(f"RT60 {seconds:g} s, {name}", within, seconds)
    yield row("one source in front", front)
    two = [judged for judged in clips if judged.sources == 2]
    yield row_of("two sources in front, in turn", two, where(lambda judged: judged.kind == "in turn"))
    at_once = [by_the_first(judged) for judged in two if judged.kind == "at once"]
    yield row_of("two at once, by the first alone", at_once, where(lambda _: True))


def main() -> None:
    """Print both tables."""
    head = "| segments | `label_side` % | `label_err` degrees | concordance | clips, segments |\n|---|---|---|---|---|"
    for rows in (suite_rows(list(of_suite())), around_rows(list(all_around()))):
        print(head, *rows, sep="\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
