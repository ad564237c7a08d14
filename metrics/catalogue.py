"""Every metric of the tables as data: what it is called, which way is better, and how it comes from per-clip values.

A run leaves a table with one row for each clip and quantity; `Metric.quantities` names the rows that a metric reads
and `Metric.aggregate` turns them into the result, so that every result can be recomputed from that table. A metric
that is a mean over clips has its own key as its single quantity. Vectors are written `name[]`; a set metric reads
those of the reference set too, as `reference:name[]`.

The order is the order of the columns. Tracks are never mixed in one table: `content` (what is heard and when, by frozen
networks: the objective metrics of the ViSAudio paper, in its order), `generation` (where the sound is, when its content
may differ from the reference) and `binauralisation` (the mono mix of the reference was given).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics import aggregate
from visaudio_bench.metrics.interaural_sets import CUE_DIMENSIONS, REFERENCE, cue_frechet, wasserstein
from visaudio_bench.metrics.quantity import Quantities
from visaudio_bench.metrics.uncertainty import MINIMUM_CLIPS, POOLED_CLIPS

Better = Literal["higher", "lower", "reference", "none"]
Track = Literal["generation", "binauralisation", "content"]
IntervalKind = Literal["bootstrap", "jackknife", "plain jackknife", "none"]
DistanceKind = Literal["", "frechet", "kernel", "inception"]
Aggregate = Callable[[Quantities], npt.NDArray[np.float64]]

BINAURAL = ("binaural",)
OURS = "this benchmark, cues BCF-1"


@dataclass(frozen=True)
class Metric:
    """One metric of the tables.

    Attributes:
        key: name in files and on the command line.
        title: heading of its column; tables add an arrow for the direction.
        unit: unit of its value, "" for pure numbers.
        better: which way is better; `reference` means closest to the reference's own value.
        low: lower end of its range, None where it is unbounded.
        high: upper end of its range, None where it is unbounded.
        perfect: value of a perfect prediction, None where it depends on the clip.
        track: the table that it belongs to.
        family: the module whose docstring is its manual page.
        quantities: the per-clip rows that `aggregate` reads.
        aggregate: reduces the last axis (clips); with a `bootstrap` interval it accepts leading axes.
        needs_reference: whether the reference's sound is read.
        default: whether it is shown unless asked otherwise.
        digits: number of decimals shown.
        source: where the definition comes from.
        description: one sentence for the legend of a table.
        views: what it is measured on; `binaural` for metrics that use both channels together.
        version: raised whenever the same input gives another number.
        interval: how its interval and its tests are found: `bootstrap` for what single clips have; for distances
            between sets `jackknife`, which takes the bias of few clips off the value, or `plain jackknife`, which
            leaves the value as it is; `none` has no marks either.
        minimum_clips: below this many clips no interval is given.
        weights: the networks that it needs, by the names of their weight files.
        features: the network whose sets of features it compares (it reads those instead of `quantities`), else "".
        distance: what is asked of sets of features, their `frechet` or `kernel` distance from the reference's, or the
            `inception` score of a set of logits by itself; "" for other metrics.
        shown: the views that get a column.
        needs_labels: whether the clip's direction labels are read.
        view_choice: the field of `metrics.protocol.Protocol` that names its only view, "" where nothing is to choose.
    """

    key: str
    title: str
    unit: str
    better: Better
    low: float | None
    high: float | None
    perfect: float | None
    track: Track
    family: str
    quantities: tuple[str, ...]
    aggregate: Aggregate
    needs_reference: bool
    default: bool
    digits: int
    source: str
    description: str
    views: tuple[str, ...] = BINAURAL
    version: int = 1
    interval: IntervalKind = "bootstrap"
    minimum_clips: int = MINIMUM_CLIPS
    weights: tuple[str, ...] = ()
    features: str = ""
    distance: DistanceKind = ""
    shown: tuple[str, ...] = BINAURAL
    view_choice: str = ""
    needs_labels: bool = False


def defaults(track: Track | None = None) -> tuple[Metric, ...]:
    """List the metrics that a table shows unless asked otherwise.

    Args:
        track: the table; None takes all of them.

    Returns:
        The metrics in the order of columns.

    Example:
        >>> [metric.title for metric in defaults("binauralisation")]
        ['STFT', 'ENV']
    """
    return tuple(metric for metric in METRICS.values() if metric.default and track in (None, metric.track))


def _generation(key: str, title: str, unit: str, better: Better, description: str, **other: Any) -> Metric:
    """Make a metric of the generation track: by default a mean over clips of the quantity of its name, unbounded."""
    fields: dict[str, Any] = {
        "low": 0.0, "high": None, "perfect": 0.0,
        "family": "visaudio_bench.metrics.interaural_scores", "quantities": (key,),
        "aggregate": aggregate.mean(key), "needs_reference": True, "default": False, "digits": 1,
        "source": OURS,
    }  # fmt: skip
    return Metric(
        key=key, title=title, unit=unit, better=better, description=description, track="generation", **fields | other
    )


def _set_distance(key: str, title: str, unit: str, vector: str, description: str, **other: Any) -> Metric:
    """Make a distance between sets: by default W1 of a vector; tables print its floor beside it."""
    fields: dict[str, Any] = {
        "quantities": (vector, REFERENCE + vector), "aggregate": partial(wasserstein, key=vector),
        "interval": "plain jackknife",
        "family": "visaudio_bench.metrics.interaural_sets", "digits": 2,
    }  # fmt: skip
    return _generation(key, title, unit, "lower", description, **fields | other)


def _error(key: str, title: str, unit: str, better: Better, description: str, **other: Any) -> Metric:
    """Make a metric of the binauralisation track, a mean over clips."""
    fields: dict[str, Any] = {"low": 0.0, "high": None, "perfect": 0.0, "default": False, "digits": 3}
    return Metric(
        key=key, title=title, unit=unit, better=better, description=description, track="binauralisation",
        family="visaudio_bench.metrics.binaural_error", quantities=(key,), aggregate=aggregate.mean(key),
        needs_reference=True, **fields | other,
    )  # fmt: skip


def _sums(key: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{key}.{name}" for name in names)


_PERCENT: dict[str, Any] = {"high": 100.0, "perfect": 100.0}
_CORRELATION: dict[str, Any] = {"low": -1.0, "high": 1.0, "perfect": 1.0, "digits": 2, "minimum_clips": POOLED_CLIPS}
_DESCRIPTIVE: dict[str, Any] = {"perfect": None, "needs_reference": False}


def _content(key: str, title: str, unit: str, better: Better, weights: str, description: str, **other: Any) -> Metric:
    """Make a metric of what is heard and when, by a frozen network: by default a mean over clips, of the mix."""
    fields: dict[str, Any] = {
        "low": 0.0, "high": None, "perfect": 0.0, "digits": 3, "quantities": (key,), "aggregate": aggregate.mean(key),
        "default": True, "views": ("mix",), "shown": ("mix",),
    }  # fmt: skip
    return Metric(
        key=key, title=title, unit=unit, better=better, description=description, track="content", weights=(weights,),
        **fields | other,
    )  # fmt: skip


_BOTH_EARS: dict[str, Any] = {
    "views": ("mix", "avg", "left", "right"), "shown": ("mix", "avg"), "needs_reference": True,
}  # fmt: skip


def _feature_distance(key: str, title: str, network: str, description: str, **other: Any) -> Metric:
    """Make a distance between sets of a network's features."""
    fields: dict[str, Any] = {
        "quantities": (), "interval": "jackknife", "features": network, "distance": "frechet",
        "family": "visaudio_bench.metrics.frechet", **_BOTH_EARS,
    }  # fmt: skip
    return _content(key, title, "", "lower", network, description, **fields | other)


_ALL = (
    _feature_distance(
        "fd_vgg", "FD-VGG", "vggish", "Fréchet distance of VGGish features, one row for every 0.96 s.",
        source="Kilgour et al. 2019; ViSAudio, section 5.1",
    ),
    _feature_distance(
        "fd_pann", "FD-PANN", "panns", "Fréchet distance of PANNs Cnn14 features, one row a clip.",
        source="Liu et al. 2023 (AudioLDM); ViSAudio, section 5.1",
    ),
    _content(
        "kl_pann", "KL-PANN", "", "lower", "panns",
        "KL divergence of the classes of PANNs Cnn14 from the reference's, in nats.",
        family="visaudio_bench.metrics.divergence", source="Kreuk et al. 2023; ViSAudio, section 5.1", **_BOTH_EARS,
    ),
    _content(
        "desync", "DeSync", "s", "lower", "synchformer",
        "Mean offset between sound and picture that Synchformer sees.",
        high=2.0, family="visaudio_bench.metrics.synchrony", needs_reference=False, view_choice="desync_view",
        source="Cheng et al. 2025 (MMAudio)",
    ),
    _content(
        "ib_score", "IB-Score", "", "higher", "imagebind",
        "Cosine between ImageBind's embeddings of sound and picture.",
        low=-1.0, high=1.0, perfect=None, family="visaudio_bench.metrics.semantics", needs_reference=False,
        view_choice="ib_view",
        source="Girdhar et al. 2023; Cheng et al. 2025 (MMAudio)",
    ),
    _feature_distance(
        "kad_vgg", "KAD-VGG", "vggish", "Kernel distance of VGGish features: unbiased, no Gaussian is assumed.",
        family="visaudio_bench.metrics.kernel_distance", distance="kernel", low=None, default=False,
        source="Chung et al. 2025",
    ),
    _feature_distance(
        "kad_pann", "KAD-PANN", "panns", "Kernel distance of PANNs features: unbiased, no Gaussian is assumed.",
        family="visaudio_bench.metrics.kernel_distance", distance="kernel", low=None, default=False,
        source="Chung et al. 2025",
    ),
    _generation(
        "lr_acc", "LR-Acc", "%", "higher",
        "Share of segments whose sound is on the same side as in the reference; centred or silent counts half.",
        default=True, **_PERCENT,
    ),
    _generation(
        "lat_err", "LatErr", "deg", "lower",
        "Mean difference of the lateral angle from the reference's.",
        high=180.0, default=True,
    ),
    _generation(
        "lat_ccc", "LatCCC", "", "higher",
        "Concordance of lateralisation with the reference's, pooled over all segments of all clips.",
        quantities=_sums("lat_ccc", aggregate.MOMENTS), aggregate=aggregate.concordance("lat_ccc"), default=True,
        source="Lin 1989, on cues BCF-1", **_CORRELATION,
    ),
    _generation(
        "delta_ild", "ΔILD", "dB", "lower",
        "Mean difference of the interaural level difference from the reference's.",
        high=60.0, default=True, digits=2,
    ),
    _generation(
        "delta_itd", "ΔITD", "µs", "lower",
        "Mean difference of the interaural time difference from the reference's.",
        high=2000.0, default=True, digits=0,
    ),
    _generation(
        "delta_iacc", "ΔIACC", "", "lower",
        "Mean difference of the interaural cross-correlation from the reference's.",
        high=1.0, default=True, digits=3,
    ),
    _generation(
        "side_mid", "S/M", "dB", "reference",
        "Energy of the channels' difference over that of their sum: very low is mono, above 10 is inverted.",
        low=None, default=True, **_DESCRIPTIVE,
    ),
    _generation(
        "delta_itd_median", "ΔITD median", "µs", "lower",
        "Median over clips of the clip's mean ΔITD, which has a heavy tail.",
        quantities=("delta_itd",), aggregate=aggregate.median("delta_itd"), high=2000.0, digits=0,
    ),
    _generation(
        "flip_pref", "FlipPref", "%", "higher",
        "Share of clips nearer to the reference as they are than with swapped ears.",
        **_PERCENT,
    ),
    _generation(
        "lat_r", "Lat r", "", "higher",
        "Pearson correlation of lateralisation with the reference's, pooled over all segments of all clips.",
        quantities=_sums("lat_ccc", aggregate.MOMENTS), aggregate=aggregate.correlation("lat_ccc"), **_CORRELATION,
    ),
    _generation(
        "motion_r", "motion r", "", "higher",
        "Correlation of the movement within clips, over clips whose reference moves; 0 for a static prediction.",
        quantities=_sums("motion_r", aggregate.CENTRED_MOMENTS),
        aggregate=aggregate.centred_correlation("motion_r"), **_CORRELATION,
    ),
    _set_distance(
        "w1_ild", "W1-ILD", "dB", "segment_ild[]", "Wasserstein distance of the set's level differences."
    ),
    _set_distance(
        "w1_itd", "W1-ITD", "µs", "segment_itd[]", "Wasserstein distance of the set's time differences.", digits=0
    ),
    _set_distance(
        "w1_iacc", "W1-IACC", "", "segment_iacc[]", "Wasserstein distance of the set's cross-correlations.", digits=3
    ),
    _set_distance(
        "fcd", "FCD", "", "cue_vector[]", "Fréchet distance of the set's interaural cues in 9 dimensions.",
        aggregate=partial(cue_frechet, key="cue_vector[]"), interval="jackknife", minimum_clips=2 * CUE_DIMENSIONS,
    ),
    _generation(
        "coverage", "coverage", "%", "none",
        "Share of the reference's active segments in which the prediction is active too.",
        **_PERCENT,
    ),
    _generation(
        "ild_coverage", "ILD coverage", "%", "none",
        "Share of common segments with a valid level difference in both.",
        high=100.0, perfect=None,
    ),
    _generation(
        "itd_coverage", "ITD coverage", "%", "none",
        "Share of common segments with a valid time difference in both.",
        high=100.0, perfect=None,
    ),
    _generation(
        "mono_rate", "mono", "%", "reference",
        "Share of clips that are centred throughout with a cross-correlation of 1.",
        high=100.0, **_DESCRIPTIVE,
    ),
    _generation(
        "mean_abs_ild", "|ILD|", "dB", "reference", "Mean magnitude of the level difference.",
        high=30.0, digits=2, **_DESCRIPTIVE,
    ),
    _generation(
        "mean_abs_itd", "|ITD|", "µs", "reference", "Mean magnitude of the time difference.",
        high=1000.0, digits=0, **_DESCRIPTIVE,
    ),
    _generation(
        "mean_iacc", "IACC", "", "reference", "Mean interaural cross-correlation: 1 is a point, 0 is diffuse.",
        high=1.0, digits=3, **_DESCRIPTIVE,
    ),
    _error(
        "stft", "STFT", "", "lower", "Squared distance of the complex spectra of peak-normalised clips.",
        default=True, source="Gao and Grauman 2019",
    ),
    _error(
        "env", "ENV", "", "lower", "Root mean square distance of the envelopes of peak-normalised clips.",
        default=True, source="Morgado et al. 2018; Gao and Grauman 2019",
    ),
    _error(
        "dphase", "D-Phase", "rad", "lower", "Mean phase difference of the left-minus-right spectra.",
        high=float(np.pi), source="Xu et al. 2021",
    ),
    _error(
        "snr", "SNR", "dB", "higher", "Signal over error of peak-normalised clips; about 17 dB is perfect.",
        low=None, perfect=None, digits=2, source="Xu et al. 2021",
    ),
    _error(
        "wav", "WAV", "1e-3", "lower", "Mean squared distance of the peak-normalised waveforms.",
        source="Chen et al. 2025",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.key: metric for metric in _ALL}


def backbone_distances(module: str) -> tuple[Metric, Metric]:
    """Make the Fréchet and the kernel distance of the scene embeddings of a HEAR module, one row a clip.

    They belong to a run that names the module, not to the catalogue; the name alone is enough to make them again.

    Args:
        module: name of the module as it is imported.

    Returns:
        The Fréchet distance and the kernel distance.

    Example:
        >>> [metric.key for metric in backbone_distances("hearbaseline.wav2vec2")]
        ['fd_hear_wav2vec2', 'kad_hear_wav2vec2']
    """
    name = module.rpartition(".")[2]
    frechet, kernel = METRICS["fd_pann"], METRICS["kad_pann"]
    return (
        replace(
            frechet, key=f"fd_hear_{name}", title=f"FD-{name}", features=f"hear_{name}", weights=(),
            description=f"Fréchet distance of the scene embeddings of {module}, one row a clip.",
            source="Kilgour et al. 2019; Turian et al. 2022 (HEAR)",
        ),
        replace(
            kernel, key=f"kad_hear_{name}", title=f"KAD-{name}", features=f"hear_{name}", weights=(),
            description=f"Kernel distance of the scene embeddings of {module}: unbiased, no Gaussian is assumed.",
            source="Chung et al. 2025; Turian et al. 2022 (HEAR)",
        ),
    )  # fmt: skip
