"""First-order ambisonics (FOA): plane waves into it, camera turns in it, and out of it into two ears.

FOA is `(4, N)` in the order W, Y, Z, X (ACN) with SN3D weights: a plane wave s from azimuth a and elevation e is
s * (1, sin a cos e, sin e, cos a cos e). Axes: x front, y LEFT, z up; azimuth is positive to the left, elevation
upwards. A camera's yaw is positive to the left, its pitch upwards, its roll lifts its left side; all in radians.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from visaudio_bench.suites.foa_decoders import load_decoder
from visaudio_bench.suites.media import resample
from visaudio_bench.suites.simulator.hrtf import Array, Samples, unit_vector

CHANNELS = 4


def harmonics(azimuth: ArrayLike, elevation: ArrayLike) -> Array:
    """The gains of the four ambisonic channels for a plane wave.

    Source: ViSAudio, appendix A.2, Eqs. 12-15.

    Args:
        azimuth: where it comes from, radians, positive to the left; any shape.
        elevation: radians, positive upwards; of a shape that goes with it.

    Returns:
        `(4, ...)` gains in the order W, Y, Z, X.
    """
    x, y, z = np.moveaxis(unit_vector(azimuth, elevation), -1, 0)
    return np.stack([np.ones_like(x), y, z, x])


def encode(mono: Samples, azimuth: ArrayLike, elevation: ArrayLike = 0.0) -> Samples:
    """Encode a plane wave as first-order ambisonics.

    Args:
        mono: its sound `(N,)`.
        azimuth: where it comes from, radians, positive to the left: one value, or one for each sample `(N,)`.
        elevation: radians, positive upwards; likewise.

    Returns:
        `(4, N)` field, W, Y, Z, X with SN3D weights.
    """
    gains = harmonics(azimuth, elevation)
    return np.asarray(mono * (gains if gains.ndim == 2 else gains[:, None]), dtype=np.float32)


def rotate(foa: Samples, yaw: ArrayLike, pitch: ArrayLike = 0.0, roll: ArrayLike = 0.0) -> Samples:
    """The field as it is heard by somebody turned by these angles: it turns the other way.

    With R = Rz(yaw) Ry(-pitch) Rx(roll), which takes camera axes to world axes, a direction v becomes R' v. This is
    what ViSAudio's Eq. 34 has to mean: as printed, R has its factors in the opposite order and turns the field with
    the camera instead of against it, so that sound and picture part (docs/construction.md).

    Args:
        foa: `(4, N)`.
        yaw: radians, positive to the left; one value, or one for each sample `(N,)`.
        pitch: radians, positive upwards.
        roll: radians, positive when the left side goes up.

    Returns:
        `(4, N)` float32.

    Raises:
        ValueError: not four channels.
    """
    w, y, z, x = _four(foa)
    x, y = _turned(x, y, -np.asarray(yaw))
    z, x = _turned(z, x, np.asarray(pitch))
    y, z = _turned(y, z, -np.asarray(roll))
    return np.stack([w, y, z, x]).astype(np.float32, copy=False)


def _turned(first: Array, second: Array, angle: Array) -> tuple[Array, Array]:
    """The first axis turned towards the second one by an angle."""
    if not np.any(angle):
        return first, second
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return cos * first - sin * second, sin * first + cos * second


def binaural(foa: Samples, sample_rate: int, decoder: str = "omnitone") -> Samples:
    """What two ears hear of a field, by the decoders of `suites.foa_decoders`.

    W, Y, Z and X each go through their response; their sum is the left ear, and with the sign of Y turned the right
    ear (ViSAudio, Eqs. 35-38; Omnitone's own graph). The convolution is done at the decoder's own rate, 48 kHz for
    `omnitone`: sound of another rate is resampled to it, and the result back. Taking the 48 kHz taps at 44.1 kHz
    would stretch time differences by 9 % and shift the spectrum by as much. The responses' onset (0.4 ms in
    `omnitone`, 1.5 ms in `kemar`) stays in, the same for both ears; their tail beyond the last sample is cut off.

    Args:
        foa: `(4, N)`, with the head looking along x.
        sample_rate: of the sound, Hz.
        decoder: `omnitone` or `kemar`.

    Returns:
        `(2, N)` float32, left first, no gain applied: loud fields may exceed full scale.

    Raises:
        ValueError: not four channels.
        UsageError: unknown decoder.
    """
    filters = load_decoder(decoder)
    length = _four(foa).shape[1]
    field = foa if sample_rate == filters.sample_rate else resample(foa, sample_rate, filters.sample_rate)
    filtered = scipy.signal.oaconvolve(field, filters.taps, axes=-1)[:, : field.shape[1]]
    both = filtered[0] + filtered[2] + filtered[3]
    ears = np.stack([both + filtered[1], both - filtered[1]]).astype(np.float32, copy=False)
    if sample_rate != filters.sample_rate:
        ears = resample(ears, filters.sample_rate, sample_rate)
    missing = length - ears.shape[1]
    return np.pad(ears, ((0, 0), (0, missing))) if missing > 0 else np.ascontiguousarray(ears[:, :length])


def _four(foa: Samples) -> Samples:
    if foa.ndim != 2 or foa.shape[0] != CHANNELS:
        raise ValueError(f"first-order ambisonics is (4, samples), got {foa.shape}")
    return foa
