"""Where the sound is against where its source is: cues of one sound, and labels of directions instead of a reference.

Labels say in frames of 0.1 s which sources sound, and where each is. They are laid under the segments of the cues of
`metrics.interaural`, one second long every 0.25 s. A segment **counts** if exactly one labelled source has a frame in
it and the sound is not more than 20 dB below its loudest segment (`Cues.active`); with two sources at once the cues are
of neither. y is the mean of sin(azimuth) cos(elevation) over the frames of the source in a segment, positive left, in
[-1, 1]; Λ is the lateralisation of the sound; Θ = asin:

| quantity | definition, over the segments that count | unit | mono | swapped ears |
|---|---|---|---|---|
| `label_side` | of those with abs y > 0.15 (9°): 1 if Λ is on y's side, ½ if abs Λ < 0.02, else 0 | % | 50 | 100 - x |
| `label_err` | mean of abs(Θ(Λ) - Θ(y)) | degrees | mean abs Θ(y) | about twice that |
| `label_ccc.*` | sums from which concordance of Λ (x) and y is pooled over clips | | 0 | about -x |
| `label_motion.*` | the same, less each source's means, of clips whose y has a range over 0.3 | | 0 | -x |
| `label_side_seen`, `label_err_seen` | of segments whose source is in the picture in all of its frames | | | |
| `label_side_unseen`, `label_err_unseen` | of segments whose source is out of the picture in all of them | | | |
| `level_distance.*` | level of both ears in dB (x) and -20 log10(distance) (y), less their means as above | | | same |
| `reverb_distance.*` | 10 log10(IACC / (1 - IACC)) in dB (x), y as before | | | same |
| `label_segments` | how many segments count | 1 | | |
| `label_share` | their share of all segments with a labelled source; the rest has several, or is quiet | % | | |

The distance of a clip counts where that of one of its sources changes by more than 3 dB (a factor of 1.41). Coherence
falls as reverberation takes over from the direct sound, so that its ratio stands for the direct-to-reverberant ratio,
which no recording contains; it also falls to the side and with every other sound, and is the weaker cue.

A perfect recording does not reach 0 degrees or 100 %. Λ is a ruler and no localiser: in a dry room its sine is
right to about 45 degrees and too small beyond, reverberation pulls it inwards, and front and back look alike. What the
reference of a suite reaches is the ruler's floor. On the 40 scenes of `simroom`, whose labels are exact (95 % intervals
over clips in brackets, none where clips are too few or all but one agree; by lateral angle of the label;
`benchmarks/direction_floor.py`):

| segments | `label_side` % | `label_err` degrees | concordance | clips, segments |
|---|---|---|---|---|
| all, of one source | 95.0 (78.7 to 99.0) | 7.0 (5.0 to 9.8) | 0.81 (0.65 to 0.90) | 29, 812 |
| 0 to 15 degrees to the side | 91.8 (69.8 to 98.2) | 4.9 (3.0 to 7.8) | 0.46 (0.11 to 0.71) | 20, 427 |
| 15 to 30 degrees to the side | 94.9 (80.5 to 98.8) | 8.2 (6.1 to 11.0) | 0.88 (0.79 to 0.94) | 25, 312 |
| 30 to 60 degrees to the side | 100.0 | 11.0 | 0.67 | 8, 73 |
| RT60 0.2 or 0.35 s | 99.7 | 4.5 (3.3 to 6.0) | 0.92 | 14, 392 |
| RT60 0.5 or 0.8 s | 90.7 (66.5 to 98.0) | 9.4 (6.2 to 14.0) | 0.63 | 15, 420 |
| two sources at once, by the first alone | 49.5 (27.7 to 71.5) | 25.6 (17.1 to 37.3) | 0.28 | 11, 308 |

The last row is why segments with two sources do not count: the cues are those of whichever is louder, near or not. Of
the other rows of that table mono has 50 % and 15.1 degrees (11.9 to 19.2), swapped ears 5.0 % (1.0 to 21.3), 25.5
degrees (20.3 to 31.8) and a concordance of -0.81 (-0.90 to -0.66), another clip's sound 47.4 % (33.3 to 62.0), 20.0
degrees (16.1 to 24.6) and 0.02 (-0.16 to 0.20). Movement correlates by 0.72 in 18 clips; level with distance by 0.78
and coherence by 0.57, in 4 clips, which are too few for intervals. A mono sound keeps its level: that column says
nothing of direction.

No scene of `simroom` has a single source out of the picture or beyond 60 degrees. So these are 180 more, of sources
that stand still at the height of the ears, anywhere around the head, in the same rooms (4 s, five sounds; of two
sources one sounds first and then the other, or both do):

| segments | `label_side` % | `label_err` degrees | concordance | clips, segments |
|---|---|---|---|---|
| 0 to 15 degrees | 86.8 | 5.1 (3.8 to 7.0) | 0.50 (0.10 to 0.76) | 20, 240 |
| 15 to 30 degrees | 100.0 | 7.2 (5.2 to 10.0) | 0.93 (0.86 to 0.96) | 20, 240 |
| 30 to 45 degrees | 98.8 | 14.6 (10.6 to 19.9) | 0.86 (0.75 to 0.93) | 20, 240 |
| 45 to 60 degrees | 96.2 (0.0 to 100.0) | 20.6 (16.6 to 25.5) | 0.88 (0.78 to 0.94) | 20, 240 |
| 60 to 75 degrees | 96.7 | 31.4 (24.9 to 39.2) | 0.86 (0.70 to 0.94) | 20, 240 |
| 75 to 90 degrees | 96.2 (0.0 to 100.0) | 46.7 (41.4 to 52.4) | 0.84 (0.76 to 0.90) | 20, 240 |
| 90 to 180 degrees, behind | 97.9 (0.0 to 100.0) | 24.0 (17.0 to 33.3) | 0.82 (0.66 to 0.91) | 20, 240 |
| RT60 0.2 s, in the picture | 100.0 | 3.0 (2.0 to 4.4) | 0.99 | 15, 180 |
| RT60 0.2 s, beside it, to 90 degrees | 100.0 | 22.7 (15.5 to 32.5) | 0.96 | 15, 180 |
| RT60 0.35 s, in the picture | 100.0 | 7.7 (4.7 to 12.4) | 0.92 | 15, 180 |
| RT60 0.35 s, beside it, to 90 degrees | 100.0 | 30.1 (22.8 to 39.1) | 0.93 | 15, 180 |
| RT60 0.5 s, in the picture | 97.9 | 11.4 (7.9 to 16.2) | 0.84 | 15, 180 |
| RT60 0.5 s, beside it, to 90 degrees | 92.2 (48.8 to 99.3) | 37.9 (29.7 to 47.6) | 0.78 | 15, 180 |
| RT60 0.8 s, in the picture | 92.8 (0.0 to 100.0) | 13.9 (9.4 to 20.3) | 0.66 | 15, 180 |
| RT60 0.8 s, beside it, to 90 degrees | 93.3 (0.0 to 100.0) | 41.1 (32.9 to 50.5) | 0.73 | 15, 180 |
| one source in front | 97.0 (94.2 to 98.5) | 20.9 (18.1 to 24.2) | 0.86 (0.82 to 0.89) | 120, 1440 |
| two sources in front, in turn | 98.8 | 23.0 (16.1 to 32.3) | 0.86 (0.73 to 0.93) | 20, 167 |
| two at once, by the first alone | 71.7 (51.4 to 85.9) | 40.9 (29.3 to 55.4) | 0.47 (0.12 to 0.71) | 20, 240 |

The side is as sure at 90 degrees as at 20, until two sources sound at once; where its interval is all of the range, one
or two clips decide it. Degrees are not comparable between the middle and the side: a perfect sound from 80 degrees is
measured at about 35. So a suite with sources beside the picture has a higher floor, which its reference's row shows.

A system cannot be told from perfect beyond these numbers; where there is a reference, `metrics.interaural_scores`
compares with it and has a floor of zero.

A silent prediction is undefined (`prediction_silent`), except in `label_side`, where it counts as a guess (50). Other
reasons: `no_single_source` where no segment has exactly one source, `label_centred`, `label_static`, `none_seen`,
`none_unseen`, `distance_unknown`, `distance_constant`.

Sources: Lin 1989 (concordance); labels by frames of 0.1 s as in the data sets of the DCASE challenges (Politis et al.
2022). Definitions are this project's.

Functions: `label_quantities`, `segment_labels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.aggregate import centred_moments, moments
from visaudio_bench.metrics.interaural_scores import GUESS, LATERAL, MOVING, side_points
from visaudio_bench.metrics.quantity import Quantity, mean_where, undefined

if TYPE_CHECKING:  # the cues' module needs torch, their scores do not
    from visaudio_bench.metrics.interaural import Cues

SEGMENT_STEP, SEGMENT_LENGTH = 0.25, 1.0  # s; of the cues
SEGMENT_LEAD = 0.018  # s: the first window's taper, so that the second lies in the middle of what is measured
NEARER = 3.0  # dB
COHERENCE = (1e-3, 1 - 1e-4)  # -30 dB to 40 dB

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


class Labels(NamedTuple):
    """Frames in which a labelled source sounds, in any order; arrays have one entry a frame and source (n,).

    Attributes:
        time: seconds from the clip's start to the frame's middle.
        lateral: sin(azimuth) cos(elevation) of the source, in [-1, 1], positive left.
        distance: metres, NaN where it is not known.
        source: number of the source.
        visible: 1 where it is in the picture, 0 where it is not, NaN where that is not known.
    """

    time: Floats
    lateral: Floats
    distance: Floats
    source: npt.NDArray[np.int64]
    visible: Floats


class SegmentLabels(NamedTuple):
    """What the labels say of each segment (K,).

    Attributes:
        sources: how many labelled sources have a frame in it.
        source: the number of that source where there is exactly one, else -1.
        lateral: mean of its `Labels.lateral`, NaN where there is not exactly one source.
        nearness: mean of -20 log10 of its distance in metres, dB, NaN where it is not known.
        visible: 1 where it is in the picture in all of its frames, 0 where in none, NaN elsewhere.
    """

    sources: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    lateral: Floats
    nearness: Floats
    visible: Floats


def segment_labels(labels: Labels, segments: int) -> SegmentLabels:
    """Lay labels under the segments of cues.

    Args:
        labels: of the clip.
        segments: how many segments K its cues have.

    Returns:
        What they say of each segment.

    Example:
        One source sounds from the start, a second one from 1.5 s on, so that the third segment (0.5 s to 1.5 s) still
        has one and the fourth has two:

        >>> time, source = np.r_[0.05:2:0.1, 1.55:2:0.1], np.r_[[0] * 20, [1] * 5]
        >>> labels = Labels(time, np.full(25, 0.5), np.full(25, np.nan), source, np.ones(25))
        >>> segment_labels(labels, 4).sources
        array([1, 1, 1, 2])
        >>> segment_labels(labels, 4).lateral
        array([0.5, 0.5, 0.5, nan])
    """
    starts = SEGMENT_LEAD + SEGMENT_STEP * np.arange(segments)
    inside = (starts[:, None] <= labels.time) & (labels.time < starts[:, None] + SEGMENT_LENGTH)
    numbers = np.unique(labels.source)
    present = np.zeros((segments, max(len(numbers), 1)), dtype=bool)
    for index, number in enumerate(numbers):
        present[:, index] = (inside & (labels.source == number)).any(1)
    sources = present.sum(1)
    single = sources == 1
    source = np.full(segments, -1)
    source[single] = numbers[present[single].argmax(1)] if len(numbers) else -1
    nearness = -20 * np.log10(labels.distance)
    visible = _mean_inside(labels.visible, inside, single)
    return SegmentLabels(
        sources,
        source,
        _mean_inside(labels.lateral, inside, single),
        _mean_inside(nearness, inside, single),
        np.where(np.isin(visible, (0.0, 1.0)), visible, np.nan),
    )


def label_quantities(cues: Cues, labels: Labels) -> dict[str, Quantity]:
    """Compare the cues of a sound with labels.

    Args:
        cues: of the sound that is judged.
        labels: of its clip.

    Returns:
        The quantities of the module's table by name, with a reason where they are NaN or a guess.

    Example:
        Noise that is 6 dB louder on the left, of a source that is 60 degrees to the right:

        >>> from visaudio_bench.metrics.interaural import interaural_cues
        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> left = interaural_cues(np.stack([noise, noise / 2]))
        >>> time = np.r_[0.05:2:0.1]
        >>> right = Labels(time, np.full(20, np.sin(-np.pi / 3)), np.full(20, 2.0), np.zeros(20, int), np.ones(20))
        >>> scores = label_quantities(left, right)
        >>> scores["label_side"].value, round(scores["label_err"].value)
        (0.0, 72)
    """
    said = segment_labels(labels, len(cues.ild))
    single = said.sources == 1
    counts = single & cues.active
    reason = None
    if not single.any():
        reason = "no_single_source"
    elif not counts.any():
        reason = "prediction_silent"
    error = np.degrees(np.abs(np.arcsin(cues.lateralisation) - np.arcsin(np.where(single, said.lateral, 0))))
    seen, unseen = counts & (said.visible == 1), counts & (said.visible == 0)
    labelled = said.sources > 0
    return {
        "label_side": _side(cues, said, single, counts, reason),
        "label_err": mean_where(error, counts, reason),
        "label_side_seen": _side(cues, said, single & (said.visible == 1), seen, reason or "none_seen"),
        "label_err_seen": mean_where(error, seen, reason or "none_seen"),
        "label_side_unseen": _side(cues, said, single & (said.visible == 0), unseen, reason or "none_unseen"),
        "label_err_unseen": mean_where(error, unseen, reason or "none_unseen"),
        "label_segments": Quantity(float(counts.sum())),
        "label_share": mean_where(100.0 * counts, labelled, "no_single_source"),
        **moments("label_ccc", cues.lateralisation[counts], said.lateral[counts], reason),
        **centred_moments(
            "label_motion", _by_source(cues.lateralisation, said.lateral, said, counts), reason or _still(said, counts)
        ),
        **_distance(cues, said, counts, reason),
    }


def _mean_inside(values: Floats, inside: Booleans, single: Booleans) -> Floats:
    """The mean of the frames of each segment that has one source, NaN elsewhere and where a frame's value is NaN."""
    total = np.where(inside, values, 0).sum(1)
    return np.where(single, total / np.maximum(inside.sum(1), 1), np.nan)


def _side(cues: Cues, said: SegmentLabels, labelled: Booleans, counts: Booleans, reason: str | None) -> Quantity:
    """Points for the side, a guess where a lateral source is there and nothing is heard."""
    if not labelled.any():
        return undefined(reason or "no_single_source")
    lateral = np.abs(said.lateral) > LATERAL
    if not np.any(lateral & labelled):
        return undefined("label_centred")
    judged = lateral & counts
    if not judged.any():
        return Quantity(GUESS, "prediction_silent")
    return mean_where(side_points(cues.lateralisation, said.lateral), judged, None)


def _by_source(x: Floats, y: Floats, said: SegmentLabels, counts: Booleans) -> list[tuple[Floats, Floats]]:
    """Each source by itself: what moves is one source, not the attention from one to another."""
    return [(x[group], y[group]) for group in _groups(said, counts)]


def _groups(said: SegmentLabels, counts: Booleans) -> list[Booleans]:
    return [counts & (said.source == number) for number in np.unique(said.source[counts])]


def _still(said: SegmentLabels, counts: Booleans) -> str | None:
    moved = max((np.ptp(said.lateral[group]) for group in _groups(said, counts)), default=0.0)
    return None if moved > MOVING else "label_static"


def _distance(cues: Cues, said: SegmentLabels, counts: Booleans, reason: str | None) -> dict[str, Quantity]:
    known = counts & np.isfinite(said.nearness)
    if reason is None and not known.any():
        reason = "distance_unknown"
    change = max((np.ptp(said.nearness[group]) for group in _groups(said, known)), default=0.0)
    if reason is None and change <= NEARER:
        reason = "distance_constant"
    coherence = np.clip(cues.iacc, *COHERENCE)
    level = 10 * np.log10(np.maximum(cues.energy, np.finfo(np.float64).tiny))
    ratio = 10 * np.log10(coherence / (1 - coherence))
    return {
        **centred_moments("level_distance", _by_source(level, said.nearness, said, known), reason),
        **centred_moments("reverb_distance", _by_source(ratio, said.nearness, said, known), reason),
    }
