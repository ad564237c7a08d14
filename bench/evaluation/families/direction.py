"""Whether a sound comes from where its source is labelled to be (`metrics.direction`); no reference is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from visaudio_bench.bench.evaluation.family import Family, Judged, binaural
from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.catalogue import OURS, Better, Metric
from visaudio_bench.metrics.uncertainty import POOLED_CLIPS
from visaudio_bench.suites.direction_labels import RATE

if TYPE_CHECKING:
    from visaudio_bench.bench.evaluation.clip_inputs import ClipInputs
    from visaudio_bench.metrics.direction import Labels
    from visaudio_bench.suites.direction_labels import LabelledFrame


def _metric(key: str, title: str, unit: str, better: Better, description: str, **other: Any) -> Metric:
    """Make a metric against labels: by default a mean over clips of the quantity of its name.

    None of them says what is perfect: the reference's row does.
    """
    fields: dict[str, Any] = {
        "low": 0.0, "high": None, "quantities": (key,), "aggregate": aggregate.mean(key), "digits": 1,
    }  # fmt: skip
    return Metric(
        key=key, title=title, unit=unit, better=better, description=description, perfect=None, track="generation",
        family="visaudio_bench.metrics.direction", needs_reference=False, needs_labels=True, default=False, source=OURS,
        **fields | other,
    )  # fmt: skip


def _correlation(key: str, title: str, description: str, pooled: aggregate.Pooled, names: Sequence[str]) -> Metric:
    """Make a metric in [-1, 1] of sums that are pooled over clips."""
    return _metric(
        key, title, "", "higher", description, low=-1.0, high=1.0, digits=2, minimum_clips=POOLED_CLIPS,
        quantities=tuple(f"{key}.{name}" for name in names), aggregate=pooled,
    )  # fmt: skip


_PERCENT: dict[str, Any] = {"high": 100.0}
_DEGREES: dict[str, Any] = {"high": 180.0}
CENTRED = aggregate.CENTRED_MOMENTS


class Direction(Family):
    """Metrics against direction labels."""

    name = "direction"
    metrics = (
        _metric(
            "label_side", "Side", "%", "higher",
            "Share of segments whose sound is on the side where the source is; centred or silent counts half.",
            **_PERCENT,
        ),
        _metric(
            "label_err", "DirErr", "deg", "lower",
            "Mean difference of the lateral angle from that of the labelled source.", **_DEGREES,
        ),
        _correlation(
            "label_ccc", "DirCCC", "Concordance of lateralisation with the label's, pooled over all segments.",
            aggregate.concordance("label_ccc"), aggregate.MOMENTS,
        ),
        _correlation(
            "label_motion", "Move r", "Correlation of the movement within clips with the label's; 0 if static.",
            aggregate.centred_correlation("label_motion"), CENTRED,
        ),
        _metric(
            "label_side_seen", "Side seen", "%", "higher", "Side of sources that are in the picture.", **_PERCENT
        ),
        _metric(
            "label_side_unseen", "Side unseen", "%", "higher", "Side of sources that are out of the picture.",
            **_PERCENT,
        ),
        _metric(
            "label_err_seen", "DirErr seen", "deg", "lower", "DirErr of sources that are in the picture.", **_DEGREES
        ),
        _metric(
            "label_err_unseen", "DirErr unseen", "deg", "lower", "DirErr of sources that are out of the picture.",
            **_DEGREES,
        ),
        _correlation(
            "level_distance", "Level r", "Correlation of the level with -20 log10 of the distance, within clips.",
            aggregate.centred_correlation("level_distance"), CENTRED,
        ),
        _correlation(
            "reverb_distance", "Reverb r", "The same of coherent over incoherent energy of the ears, within clips.",
            aggregate.centred_correlation("reverb_distance"), CENTRED,
        ),
        _metric(
            "label_segments", "segments", "", "none", "Segments of a clip that count: one labelled source, and sound."
        ),
        _metric(
            "label_share", "counted", "%", "none", "Their share of the segments with a labelled source.", **_PERCENT
        ),
    )  # fmt: skip

    def quantities(self, inputs: ClipInputs) -> Judged:
        """The prediction against its clip's labels."""
        from visaudio_bench.metrics.direction import label_quantities

        return binaural(label_quantities(inputs.prediction.ears.cues, as_arrays(inputs.labels)))


def as_arrays(rows: Sequence[LabelledFrame]) -> Labels:
    """Rows of labels as the arrays that the metrics read."""
    from visaudio_bench.metrics.direction import Labels

    numbers = {name: number for number, name in enumerate(dict.fromkeys(row.source for row in rows))}
    return Labels(
        time=np.array([(row.frame + 0.5) / RATE for row in rows]),
        lateral=np.array([np.sin(row.azimuth) * np.cos(row.elevation) for row in rows]),
        distance=np.array([np.nan if row.distance is None else row.distance for row in rows]),
        source=np.array([numbers[row.source] for row in rows], dtype=np.int64),
        visible=np.array([np.nan if row.visible is None else float(row.visible) for row in rows]),
    )


FAMILY = Direction()
