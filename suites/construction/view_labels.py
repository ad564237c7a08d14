"""Direction labels of a panorama, as its perspective view has them: turned with the camera, and seen or not."""

from __future__ import annotations

import math

import numpy as np

from visaudio_bench.suites.construction.perspective import FIELD_OF_VIEW
from visaudio_bench.suites.construction.trajectory import Trajectory, camera_rotation
from visaudio_bench.suites.direction_labels import RATE, LabelledFrame, Labels
from visaudio_bench.suites.simulator.hrtf import unit_vector


def seen_by(trajectory: Trajectory, labels: Labels, duration: float) -> Labels:
    """Turn labels into the camera's axes, each frame by where the camera looks in its middle.

    Args:
        trajectory: of the camera.
        labels: of the panorama, azimuth 0 in the middle of its picture.
        duration: of the view, seconds from the panorama's beginning.

    Returns:
        The labels within the view's time; `visible` says whether a source's centre lies in its picture.
    """
    return tuple(_turned(trajectory, row) for row in labels if row.frame < round(duration * RATE))


def _turned(trajectory: Trajectory, row: LabelledFrame) -> LabelledFrame:
    yaw, pitch, roll = (float(angle) for angle in trajectory.at((row.frame + 0.5) / RATE))
    place = np.asarray(unit_vector(np.asarray(row.azimuth), np.asarray(row.elevation)))
    x, y, z = (float(value) for value in place @ camera_rotation(yaw, pitch, roll))
    edge = x * math.tan(FIELD_OF_VIEW / 2)
    return row._replace(
        azimuth=math.atan2(y, x),
        elevation=math.atan2(z, math.hypot(x, y)),
        visible=x > 0 and abs(y) <= edge and abs(z) <= edge,
    )
