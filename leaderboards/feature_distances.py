"""The rows of features that a run leaves behind, and the distances between sets of them.

`RUN/features/<suite>/<system>.npz` holds `clips` (ids), and for each network `<network>` `(R, 3, d)` (mix, left, right)
or `(R, 1, d)` (side), with `<network>_clip` `(R,)`, the clip of each row; `@reference.npz` holds the references'.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visaudio_bench.errors import UsageError
from visaudio_bench.metrics.catalogue import Metric
from visaudio_bench.metrics.frechet import frechet_distance, frechet_replicates, too_few
from visaudio_bench.metrics.uncertainty import Replicates, few

VIEWS = ("mix", "left", "right")
SIDE = ("side",)
KINDS = {len(views): views for views in (VIEWS, SIDE)}  # by how many sounds a row of features is of
REFERENCE_SET = "@reference"

Rows = NDArray[np.float64]


class FeatureSet(NamedTuple):
    """Features of one system from one network: `(R, 3 or 1, d)` rows, the clip number of each, and the clip ids."""

    rows: Rows
    clip: NDArray[np.int64]
    clips: tuple[str, ...]


class Distance(NamedTuple):
    """A distance between sets.

    Attributes:
        plain: the value that papers print.
        replicates: what a jackknife needs, None where there are too few clips for one.
        clips: number of clips.
        size: N and d, without which such a distance is never shown.
        refusal: why there are no replicates.
    """

    plain: float
    replicates: Replicates | None
    clips: int
    size: str
    refusal: str = ""


def feature_file(run: Path, suite: str, system: str) -> Path:
    """Name the file of the features of one system's sounds.

    Args:
        run: run folder.
        suite: name of the suite.
        system: name of the system.

    Returns:
        Where they lie or will lie.
    """
    return run / "features" / suite / f"{system}.npz"


def read_features(path: Path, network: str) -> FeatureSet | None:
    """Read the features of one network.

    Args:
        path: as `feature_file` says.
        network: its name.

    Returns:
        The features by clip; None where the run has none.

    Raises:
        UsageError: the file is damaged, or holds something else.
    """
    if not path.is_file():
        return None
    with arrays_of(path) as stored:
        if network not in stored:
            return None
        return _checked(stored[network], stored[f"{network}_clip"], stored["clips"])


@contextmanager
def arrays_of(path: Path) -> Iterator[Any]:
    """The arrays of a file of features, for a block; whatever it raises of them says that the file is damaged.

    Raises:
        UsageError: the file is damaged, or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            yield stored
    except Exception as error:  # zipfile and numpy raise whatever comes to them of damaged bytes
        why = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"{path} does not hold features of clips ({why}). Make the run again, or take its folder from where it "
            "came from once more."
        ) from error


def _checked(rows: NDArray[Any], clip: NDArray[Any], names: NDArray[Any]) -> FeatureSet:
    if rows.ndim != 3 or rows.shape[1] not in KINDS or rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise ValueError(
            f"rows of shape {rows.shape} and type {rows.dtype}, (R, 3 or 1, d) finite numbers were expected"
        )
    if clip.shape != rows.shape[:1] or clip.dtype.kind != "i" or names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError("rows, their clips and the clips' names do not belong together")
    if len(clip) and not (clip.min() >= 0 and clip.max() < len(names)):
        raise ValueError("a row belongs to no clip")
    if len(set(names.tolist())) < len(names):
        raise ValueError("a clip is named twice")
    return FeatureSet(rows.astype(np.float64), clip, tuple(names[np.unique(clip)].tolist()))


def set_distance(metric: Metric, prediction: FeatureSet, reference: FeatureSet, view: str, mean: str) -> Distance:
    """Compute FD, KAD or the inception score of one view; `avg` is the mean of the values of left and right.

    Args:
        metric: the metric, which says what kind of distance it is.
        prediction: features of the system.
        reference: features of the reference, of the same clips; an inception score does not look at them.
        view: mix, left, right or avg, or side.
        mean: precision of the mean features of a Fréchet distance, `float64`, or `float32` to reproduce av-benchmark.

    Returns:
        The distance, with an interval for FD of one view.
    """
    if view == "avg":
        left, right = (set_distance(metric, prediction, reference, side, mean) for side in ("left", "right"))
        both = None
        if left.replicates is not None and right.replicates is not None:
            both = left.replicates.mixed(right.replicates, 0.5, 0.5)
        return left._replace(plain=(left.plain + right.plain) / 2, replicates=both)
    p, g = (rows[:, KINDS[rows.shape[1]].index(view)] for rows in (prediction.rows, reference.rows))
    clips, dimension = len(prediction.clips), p.shape[1]
    size = f"N = {len(p)} rows of {clips} clips, d = {dimension}"
    # Only here: scipy.spatial takes a second to import, which is half of all that a table without KAD costs.
    if metric.distance == "kernel":
        from visaudio_bench.metrics.kernel_distance import kernel_distance, kernel_replicates

        refusal = few(clips)
        if refusal:
            return Distance(kernel_distance(p, g).value, None, clips, size, refusal)
        replicates = kernel_replicates(p, g, prediction.clip, reference.clip)
        return Distance(replicates.full, replicates, clips, size)
    if metric.distance == "inception":
        from visaudio_bench.metrics.divergence import INCEPTION_SPLITS, inception_score

        size = f"N = {clips} clips in {INCEPTION_SPLITS} groups"
        return Distance(inception_score(p).value, None, clips, size)
    plain = frechet_distance(p, g).value
    if mean == "float32":
        plain += _mean_step(p, g, np.float32) - _mean_step(p, g, np.float64)
    refusal = too_few(clips, dimension)
    drawn = None if refusal else frechet_replicates(p, g, clips=prediction.clip, reference_clips=reference.clip)
    return Distance(plain, drawn, clips, size, refusal)


def _mean_step(p: Rows, g: Rows, dtype: Any) -> float:
    step = p.astype(dtype).mean(0) - g.astype(dtype).mean(0)
    return float(step @ step)
