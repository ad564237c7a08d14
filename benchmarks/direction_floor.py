"""What the metrics against labels say of perfect sound, on scenes whose labels are exact: the tables of the manual.

Run: PYTHONPATH=. python benchmarks/direction_floor.py

The scenes of `simroom`, rendered if they are not yet (minutes), by lateral angle of the label, reverberation time and
number of sources; values are means over clips with 95 % bootstrap intervals over clips. The result stands in the
docstring of `metrics/direction.py`.
"""

from collections.abc import Callable, Mapping

import numpy as np

from visaudio_bench.bench.evaluation.families.direction import as_arrays
from visaudio_bench.bench.evaluation.signal_scores import read_reference
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.direction import Labels, label_quantities, segment_labels
from visaudio_bench.metrics.interaural import Cues
from visaudio_bench.metrics.quantity import Quantity, undefined
from visaudio_bench.metrics.uncertainty import Interval, bootstrap
from visaudio_bench.pool import available_cores
from visaudio_bench.suites import open_suite
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.direction_labels import clip_labels

SUITE = "simroom"
BANDS = ((0, 15), (15, 30), (30, 60), (60, 90))
Judged = tuple[Clip, Cues, Labels]
Select = Callable[[Judged], Cues | None]


def in_band(low: float, high: float) -> Select:
    """Keep segments whose label lies between two lateral angles in degrees."""

    def select(judged: Judged) -> Cues:
        _, cues, labels = judged
        lateral = np.nan_to_num(np.abs(segment_labels(labels, len(cues.ild)).lateral))
        angle = np.degrees(np.arcsin(lateral))
        return cues._replace(active=cues.active & (low <= angle) & (angle < high))

    return select


def of_clips(seconds: float) -> Select:
    """Keep the clips of one reverberation time."""
    return lambda judged: judged[1] if judged[0].meta["rt60"] == seconds else None


def table_of(clips: list[Judged], select: Select) -> Mapping[str, np.ndarray]:
    """Quantities of all clips by name; NaN for clips that are not selected."""
    rows: list[dict[str, Quantity]] = []
    for judged in clips:
        cues = select(judged)
        rows.append({} if cues is None or not cues.active.any() else label_quantities(cues, judged[2]))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, undefined("other")).value for row in rows]) for name in names}


def told(interval: Interval, digits: int = 1) -> str:
    """`5.3 (4.1 to 6.8)`."""
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def main() -> None:
    """Print the rows of the table."""
    suite = open_suite(SUITE)
    list(suite.prepare(available_cores()))
    clips: list[Judged] = []
    for clip in suite.clips():
        ears = read_reference(clip)
        assert ears is not None
        clips.append((clip, ears.cues, as_arrays(clip_labels(clip))))
    groups: dict[str, Select] = {"all": lambda judged: judged[1]}
    groups |= {f"{low} to {high} degrees to the side": in_band(low, high) for low, high in BANDS}
    groups |= {f"RT60 {seconds:g} s": of_clips(seconds) for seconds in (0.2, 0.35, 0.5, 0.8)}
    print("| segments | `label_side` % | `label_err` degrees | concordance | clips, segments |\n|---|---|---|---|---|")
    for name, select in groups.items():
        print_row(name, table_of(clips, select))
    print_row("two sources at once, by the first", table_of([with_first_alone(*judged) for judged in clips], two))


def two(judged: Judged) -> Cues | None:
    """Keep scenes with two sources."""
    meta = judged[0].meta
    return judged[1] if len(meta["visible"]) + len(meta["invisible"]) > 1 else None


def with_first_alone(clip: Clip, cues: Cues, labels: Labels) -> Judged:
    """A clip as if nobody had labelled its other sources: what the metrics leave out, and why."""
    first = labels.source == labels.source.min()
    return clip, cues, Labels(*(column[first] for column in labels))


def print_row(name: str, table: Mapping[str, np.ndarray]) -> None:
    """One row of the table."""
    if "label_ccc.n" not in table:
        print(f"| {name} | | | | none |")
        return
    side, error = (bootstrap(aggregate.mean(key), {key: table[key]}) for key in ("label_side", "label_err"))
    moments = {f"label_ccc.{moment}": table[f"label_ccc.{moment}"] for moment in aggregate.MOMENTS}
    concordance = bootstrap(aggregate.concordance("label_ccc"), moments)
    counted = f"{concordance.n}, {np.nansum(table['label_segments']):.0f}"
    print(f"| {name} | {told(side)} | {told(error)} | {told(concordance, 2)} | {counted} |")


if __name__ == "__main__":
    main()
