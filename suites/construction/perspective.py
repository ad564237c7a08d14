"""What a camera sees of an equirectangular picture.

A pixel's centre is half a pixel from its edge, in the source as in the result. (pyequilib 0.5 and 0.6, which the paper
used, take the corners of result pixels and sample the source one pixel further right and down: 0.1 to 0.35 degrees.)
Pictures stay what video codecs make of them: one plane of light and two of colour at half the size. The planes are
projected alike, so nothing is converted to RGB and back; that and keeping every buffer is what makes this fast.
"""

from __future__ import annotations

import numpy as np
import torch

from visaudio_bench.suites.construction.trajectory import camera_rotation
from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.yuv_pictures import Plane, Planes

FIELD_OF_VIEW = np.pi / 2


class Projector:
    """Perspective pictures, `size` pixels wide and high, of equirectangular ones of any size.

    Azimuth runs over the whole width whatever the aspect ratio (there are 16:9 files), positive to the left, 0 in the
    middle; elevation over the whole height. Sampling is bilinear; columns wrap around, rows end at the poles.
    """

    def __init__(self, size: int, field_of_view: float = FIELD_OF_VIEW):
        self._light = _Sampler(size, field_of_view)
        self._colour = _Sampler(size // 2, field_of_view)

    def project(self, picture: Planes, yaw: float, pitch: float, roll: float) -> Planes:
        """The view of a camera at a pose in radians (see `trajectory.camera_rotation`)."""
        rotation = camera_rotation(yaw, pitch, roll)
        y = self._light.view([picture.y], rotation)
        u, v = self._colour.view([picture.u, picture.v], rotation)
        return Planes(y[0], u, v)


class _Sampler:
    """One size of plane; all arrays are kept from picture to picture, since fetching memory costs more than filling."""

    def __init__(self, size: int, field_of_view: float):
        self.size = size
        self._tangents = _tangents(size, field_of_view)
        self._world = torch.empty(3, size, size)
        self._angle = torch.empty(size, size)
        self._places = torch.empty(1, size, size, 2)
        self._padded = torch.empty(0)

    def view(self, planes: list[Plane], rotation: Array) -> Plane:
        """`(C, size, size)` of planes `(H, W)` of one size, seen after a rotation from camera to world axes."""
        height, width = planes[0].shape
        self._look(rotation, width)
        if self._padded.shape != (1, len(planes), height, width + 2):
            self._padded = torch.empty(1, len(planes), height, width + 2)
        for padded, plane in zip(self._padded[0], planes, strict=True):
            source = torch.from_numpy(plane)
            padded[:, 1:-1] = source
            padded[:, 0] = source[:, -1]
            padded[:, -1] = source[:, 0]
        seen = torch.nn.functional.grid_sample(
            self._padded, self._places, mode="bilinear", padding_mode="border", align_corners=False
        )
        return seen[0].add_(0.5).to(torch.uint8).numpy()

    def _look(self, rotation: Array, width: int) -> None:
        """The place of every pixel in the padded source, from -1 to 1 each way: azimuth and elevation, turned round."""
        # A ray is (1, -a, -b) with a its column's tangent and b its row's, and needs no length: its rotation is a sum
        # of one vector for each column and one for each row.
        columns = torch.from_numpy((rotation[:, :1] - rotation[:, 1:2] * self._tangents).astype(np.float32))
        rows = torch.from_numpy((-rotation[:, 2:] * self._tangents).astype(np.float32))
        torch.add(columns[:, None], rows[:, :, None], out=self._world)
        x, y, z = self._world
        across, down = self._places[0].unbind(2)
        torch.atan2(y, x, out=self._angle)
        torch.mul(self._angle, -width / (np.pi * (width + 2)), out=across)
        torch.atan2(z, torch.hypot(x, y, out=x), out=self._angle)
        torch.mul(self._angle, -2 / np.pi, out=down)


def _tangents(size: int, field_of_view: float) -> Array:
    """Tangents `(size,)` of the angles at which pixels' centres lie, along a row to the right or a column down."""
    return np.asarray(((np.arange(size) + 0.5) * 2 / size - 1) * np.tan(field_of_view / 2))
