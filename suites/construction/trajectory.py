"""Where the camera looks while a clip lasts: from near the loudest sound, and on at a constant rate.

Angles are in radians: yaw positive to the left, pitch upwards, roll positive when the left side goes up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from visaudio_bench.suites.simulator.hrtf import Array

# The most that yaw, pitch and roll drift. The paper gives no unit; only radians a second make sense of its own test
# whether a clip's drift exceeds 30 degrees (Eq. 25): a frame would be hundreds of degrees a clip, a clip at most ten.
DRIFT = (np.pi / 18, np.pi / 90, np.pi / 180)
STILL = 1 / 3  # probability that an angle does not drift
FAR = np.pi / 6  # a yaw that drifts further than this begins on the other side of the source
PITCH = np.pi / 6  # the first pitch is at most this


class Pose(NamedTuple):
    """Yaw, pitch and roll, in radians, at one time or at several `(P,)`."""

    yaw: Array
    pitch: Array
    roll: Array


@dataclass(frozen=True)
class Trajectory:
    """The pose at the first picture, and its change a second (Eqs. 21-23): `(yaw, pitch, roll)` in radians."""

    start: tuple[float, float, float]
    rate: tuple[float, float, float]

    def at(self, times: ArrayLike) -> Pose:
        """The pose at times in seconds from the clip's start; angles are not wrapped."""
        t = np.asarray(times, dtype=np.float64)
        return Pose(*(first + rate * t for first, rate in zip(self.start, self.rate, strict=True)))


def draw_trajectory(azimuth: float, elevation: float, duration: float, rng: np.random.Generator) -> Trajectory:
    """Draw a random trajectory of the camera.

    Source: Eqs. 24-30. The order of the draws is part of the definition: for yaw, pitch and roll in turn whether it
    drifts and how fast, then the first yaw, then the first pitch.

    Args:
        azimuth: of the loudest sound, radians, positive to the left.
        elevation: of the loudest sound, radians, positive upwards.
        duration: of the clip, seconds.
        rng: what is drawn from.

    Returns:
        Where the camera looks, from the first moment to the last.
    """
    rates = []
    for most in DRIFT:
        drifts = rng.random() > STILL
        rate = rng.uniform(-most, most)
        rates.append(rate if drifts else 0.0)
    yaw = azimuth + _offset(rates[0] * duration, rng)
    pitch = float(np.clip(rng.uniform(min(elevation, 0.0), max(elevation, 0.0)), -PITCH, PITCH))
    return Trajectory((yaw, pitch, 0.0), (rates[0], rates[1], rates[2]))


def _offset(drift: float, rng: np.random.Generator) -> float:
    """How far beside the source the camera begins: where it drifts far, so that the source is passed (Eq. 25)."""
    if drift > FAR:
        return rng.uniform(-np.pi / 4, 0)
    if drift < -FAR:
        return rng.uniform(0, np.pi / 4)
    return rng.uniform(-np.pi / 6, np.pi / 6)


def camera_rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The rotation R = Rz(yaw) Ry(-pitch) Rx(roll) that takes camera axes to world axes (elements: Eqs. 31-33).

    Axes: x ahead, y left, z up. A picture's ray r lies at R r in the world; a sound from v is heard from R' v. The
    paper prints the three factors in the opposite order; with that, picture and sound agree for yaw alone.

    Args:
        yaw: radians, positive to the left.
        pitch: radians, positive upwards.
        roll: radians.

    Returns:
        `(3, 3)` matrix.
    """
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, -pitch, roll))
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    return np.asarray(about_z @ about_y @ about_x)
