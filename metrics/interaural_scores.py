"""Scores of one clip from its interaural cues: alone, and against the cues of its reference.

They are computed from the cues of `metrics.interaural` and blind to content and gain: they ask where sound comes from,
not what it is. g and p stand for the segments of reference and prediction cut to their common length, V for the
segments where both are active, J for those of V with a valid ILD in both, I for those with a valid ITD in both, and
Θ = asin Λ:

| quantity | definition | unit | perfect | mono prediction | swapped ears |
|---|---|---|---|---|---|
| `lr_acc` | over V with abs Λ_g > 0.15 (9°): 1 if on the same side, ½ if abs Λ_p < 0.02, else 0 | % | 100 | 50 | 0 |
| `lat_err` | mean over V of abs(Θ_p - Θ_g) | degrees | 0 | mean abs Θ_g | twice that |
| `delta_ild` | mean over J of abs(ILD_p - ILD_g) | dB | 0 | mean abs ILD_g | twice that |
| `delta_itd` | mean over I of abs(ITD_p - ITD_g) | µs | 0 | mean abs ITD_g | twice that |
| `delta_iacc` | mean over V of abs(IACC_p - IACC_g) | 1 | 0 | 1 - IACC_g | 0 |
| `flip_pref` | 1 if ΣΛ_pΛ_g > 0 over V else 0; ½ if either is below 0.02 everywhere | % | 100 | 50 | 0 |
| `coverage` | V among the active segments of the reference | % | 100 | | |
| `ild_coverage`, `itd_coverage` | J among V, I among V | % | 100 | | |

`flip_pref` is the question "is p nearer to g than p with swapped ears is": |p - g|² - |-p - g|² = -4 p·g.
`lat_ccc.*` are the sums from which concordance and correlation of Λ are pooled over clips, x = prediction and
y = reference; Λ lies in [-1, 1], so that plain float64 sums lose nothing. `motion_r.*` are centred in each clip, of
clips whose reference moves (range of Λ_g over 0.3).

Of one clip alone, over its active segments: `mean_abs_ild`, `mean_abs_itd`, `mean_iacc`, `side_mid` (dB), `mono_rate`
(100 if abs Λ < 0.02 everywhere and mean IACC > 0.999, else 0), and the vectors that set metrics pool (`segment_ild`,
`segment_itd`, `segment_iacc`, `cue_vector`).

A silent prediction leaves nothing to compare: its scores are NaN with the reason `prediction_silent`, except in
`lr_acc` and `flip_pref`, where it counts as a guess (50) and carries the reason too, and in `coverage`, which is 0.

Pitfalls: other content in the right direction does not reach 0, since cues depend on the content (about 9° of `lat_err`
and 2.6 dB of `delta_ild` on simulated clips); `delta_itd` has a heavy tail; by `lat_err` alone mono can be better than
sound at a wrong place, so read it beside `lr_acc`.

Sound of a coincident pair of microphones has no time differences: `without_time` says so where they would stand.

Functions: `clip_quantities`, `paired_scores`, `descriptors`, `without_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from visaudio_bench.metrics.aggregate import centred_moments, moments
from visaudio_bench.metrics.quantity import Quantity, mean_where, undefined, vector

if TYPE_CHECKING:  # the cues' module needs torch, their scores do not
    from visaudio_bench.metrics.interaural import Cues

LATERAL = 0.15
CENTRED = 0.02
MOVING = 0.3
MONO_IACC = 0.999
GUESS = 50.0
FIRST_ITD = "segment_itd[0]"  # which sound without time differences does not have
TIMED = ("delta_itd", "itd_coverage", "mean_abs_itd", FIRST_ITD, *(f"cue_vector[{i}]" for i in range(9)))
BAND_GROUPS = (slice(0, 9), slice(9, 18), slice(18, 27))

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


class _Common(NamedTuple):
    """Two clips cut to their common segments, with the segment sets V, J and I of the module's table."""

    p: Cues
    g: Cues
    both: Booleans
    ild: Booleans
    itd: Booleans
    reason: str | None  # why V is empty


def clip_quantities(prediction: Cues, reference: Cues | None = None) -> dict[str, Quantity]:
    """Compute every interaural quantity of one clip: its descriptors, and its scores if there is a reference.

    Args:
        prediction: cues of the sound that is judged (or of a reference, to have its descriptors).
        reference: cues of the reference sound of the same clip.

    Returns:
        Quantities by name. NaN values have a reason: `prediction_silent`, `reference_silent`, `no_common_activity`,
        `reference_centred`, `reference_static`, `ild_undefined`, `itd_undefined`; descriptors say `silent`.

    Example:
        Noise that is 6 dB louder on the left, and its reference, which is 6 dB louder on the right:

        >>> from visaudio_bench.metrics.interaural import interaural_cues
        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> left, right = (interaural_cues(np.stack(ears)) for ears in ((noise, noise / 2), (noise / 2, noise)))
        >>> scores = clip_quantities(left, right)
        >>> scores["lr_acc"].value, round(scores["delta_ild"].value), round(scores["mean_abs_ild"].value)
        (0.0, 12, 6)
    """
    own = descriptors(prediction)
    return own if reference is None else own | paired_scores(prediction, reference)


def paired_scores(prediction: Cues, reference: Cues) -> dict[str, Quantity]:
    """Compute the quantities of the module's table and the sums of the pooled metrics.

    Args:
        prediction: cues of the sound that is judged.
        reference: cues of the reference sound of the same clip.

    Returns:
        Quantities by name, with a reason where they are NaN or a guess.

    Example:
        A mono prediction of a reference that is 6 dB louder on the left:

        >>> from visaudio_bench.metrics.interaural import interaural_cues
        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> mono, left = (interaural_cues(np.stack([noise, gain * noise])) for gain in (1.0, 0.5))
        >>> scores = paired_scores(mono, left)
        >>> scores["lr_acc"].value, round(scores["delta_ild"].value, 1)
        (50.0, 6.0)
    """
    common = _common(prediction, reference)
    p, g, both = common.p, common.g, common.both
    angle = np.degrees(np.abs(np.arcsin(p.lateralisation) - np.arcsin(g.lateralisation)))
    return {
        "lr_acc": _side_accuracy(common),
        "lat_err": mean_where(angle, both, common.reason),
        "delta_ild": mean_where(np.abs(p.ild - g.ild), common.ild, common.reason or "ild_undefined"),
        "delta_itd": mean_where(np.abs(p.itd - g.itd), common.itd, common.reason or "itd_undefined"),
        "delta_iacc": mean_where(np.abs(p.iacc - g.iacc), both, common.reason),
        "flip_pref": _flip_preference(common),
        "coverage": mean_where(100.0 * both, g.active, "reference_silent"),
        "ild_coverage": mean_where(100.0 * common.ild, both, common.reason),
        "itd_coverage": mean_where(100.0 * common.itd, both, common.reason),
        **_moments(common),
        **_motion(common),
    }


def descriptors(cues: Cues) -> dict[str, Quantity]:
    """Describe one clip without a reference.

    Args:
        cues: of the sound.

    Returns:
        Quantities by name, among them the vectors that set metrics pool; NaN with a reason where nothing is defined.

    Example:
        >>> from visaudio_bench.metrics.interaural import interaural_cues
        >>> noise = 0.1 * np.random.default_rng(0).standard_normal(2 * 44100)
        >>> descriptors(interaural_cues(np.stack([noise, noise])))["mono_rate"].value
        100.0
    """
    active, silent = cues.active, "silent"
    has_ild, has_itd = active & cues.ild_ok, active & cues.itd_ok
    return {
        "side_mid": Quantity(float(cues.side_mid)) if active.any() else undefined(silent),
        "mean_abs_ild": mean_where(np.abs(cues.ild), has_ild, "ild_undefined" if active.any() else silent),
        "mean_abs_itd": mean_where(np.abs(cues.itd), has_itd, "itd_undefined" if active.any() else silent),
        "mean_iacc": mean_where(cues.iacc, active, silent),
        "mono_rate": Quantity(100.0 * _is_mono(cues)) if active.any() else undefined(silent),
        **vector("segment_ild", cues.ild[has_ild]),
        **vector("segment_itd", cues.itd[has_itd]),
        **vector("segment_iacc", cues.iacc[active]),
        **_cue_vector(cues, has_ild, has_itd),
    }


def without_time(quantities: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Leave out what reads time differences, of clips whose sound differs in level alone.

    Args:
        quantities: of a clip by name, from cues without time differences (`metrics.interaural.levels_alone`).

    Returns:
        The quantities, those of time undefined with the reason `level_only`.

    Example:
        >>> without_time({"delta_itd": undefined("itd_undefined"), "delta_ild": Quantity(3.0)})["delta_itd"].reason
        'level_only'
    """
    return {**quantities, **{name: undefined("level_only") for name in TIMED if name in (*quantities, FIRST_ITD)}}


def _is_mono(cues: Cues) -> bool:
    centred = np.abs(cues.lateralisation[cues.active]).max() < CENTRED
    return bool(centred and cues.iacc[cues.active].mean() > MONO_IACC)


def _common(prediction: Cues, reference: Cues) -> _Common:
    length = min(len(prediction.ild), len(reference.ild))
    p, g = _cut(prediction, length), _cut(reference, length)
    both = p.active & g.active
    reason = None
    if not g.active.any():
        reason = "reference_silent"
    elif not p.active.any():
        reason = "prediction_silent"
    elif not both.any():
        reason = "no_common_activity"
    return _Common(p, g, both, both & p.ild_ok & g.ild_ok, both & p.itd_ok & g.itd_ok, reason)


def _cut(cues: Cues, length: int) -> Cues:
    return cues._replace(**{name: value[:length] for name, value in cues._asdict().items() if name != "side_mid"})


def _side_accuracy(common: _Common) -> Quantity:
    p, g = common.p.lateralisation, common.g.lateralisation
    lateral = np.abs(g) > LATERAL
    if not np.any(lateral & common.g.active):
        return undefined("reference_silent" if common.reason == "reference_silent" else "reference_centred")
    judged = lateral & common.both
    if not judged.any():
        return Quantity(GUESS, common.reason or "no_common_activity")
    return mean_where(side_points(p, g), judged, None)


def side_points(own: npt.NDArray[np.floating], true: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Give points for the side.

    Args:
        own: lateralisations of the prediction.
        true: those that it should have, none of them central.

    Returns:
        100 for the right side, 0 for the wrong one, 50 for the centre.

    Example:
        >>> side_points(np.array([0.5, -0.5, 0.0]), np.array([0.7, 0.7, 0.7])).tolist()
        [100.0, 0.0, 50.0]
    """
    return np.where(np.abs(own) < CENTRED, GUESS, 100.0 * (np.sign(own) == np.sign(true)))


def _flip_preference(common: _Common) -> Quantity:
    if common.reason == "reference_silent":
        return undefined(common.reason)
    p, g = common.p.lateralisation[common.both], common.g.lateralisation[common.both]
    if common.reason or min(np.abs(p).max(), np.abs(g).max()) < CENTRED:
        return Quantity(GUESS, common.reason)
    return Quantity(100.0 if p @ g > 0 else 0.0)


def _moments(common: _Common) -> dict[str, Quantity]:
    x, y = common.p.lateralisation[common.both], common.g.lateralisation[common.both]
    return moments("lat_ccc", x, y, common.reason)


def _motion(common: _Common) -> dict[str, Quantity]:
    x, y = common.p.lateralisation[common.both], common.g.lateralisation[common.both]
    reason = common.reason or ("reference_static" if np.ptp(y) <= MOVING else None)
    return centred_moments("motion_r", [(x, y)], reason)


def _cue_vector(cues: Cues, has_ild: Booleans, has_itd: Booleans) -> dict[str, Quantity]:
    """Make the 9 numbers of FCD: mean and deviation of ILD, ITD and IACC, mean band ILD of each third of the bands."""
    missing = "itd_undefined" if has_ild.any() else "ild_undefined"
    if not (has_ild.any() and has_itd.any()):
        reason = missing if cues.active.any() else "silent"
        return {f"cue_vector[{index}]": undefined(reason) for index in range(9)}
    kept = (cues.ild[has_ild], cues.itd[has_itd], cues.iacc[cues.active])
    spread = [statistic for cue in kept for statistic in (cue.mean(), cue.std())]
    bands = [cues.ild_bands[cues.active, group].mean() for group in BAND_GROUPS]
    return vector("cue_vector", spread + bands)
