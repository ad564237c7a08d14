"""Whether pictures are one equirectangular panorama, which file names and headers do not tell.

Platforms also serve 360-degree video as faces of a cube (EAC), two views above each other (stereo), half a sphere, or
flat; projected as if equirectangular they give pictures of nothing, without any error.
"""

from __future__ import annotations

import numpy as np

from visaudio_bench.errors import ClipError
from visaudio_bench.suites.simulator.hrtf import Array
from visaudio_bench.suites.yuv_pictures import Plane

# Panoramas of cameras and of the simulator are below 2 times the difference of neighbouring columns; see the test.
SEAM_RATIO, SEAM_FLOOR = 4.0, 4.0
STEREO = 0.9
BLOCK = 8  # pixels: stereo views are compared without their finest detail


class PanoramaCheck:
    """Gathers evidence from some pictures of a video, and refuses in the end what is no panorama."""

    def __init__(self) -> None:
        self._seam: list[float] = []
        self._step: list[float] = []
        self._alike: list[float] = []

    def look(self, light: Plane) -> None:
        """Take one picture `(H, W)` into account; pictures without any detail say nothing."""
        grey = light.astype(np.float32)
        if grey.std() < 2:
            return
        self._seam.append(float(np.abs(grey[:, 0] - grey[:, -1]).mean()))
        self._step.append(float(np.abs(np.diff(grey, axis=1)).mean()))
        height = grey.shape[0] // (2 * BLOCK) * BLOCK
        self._alike.append(float(np.corrcoef(_coarse(grey[:height]), _coarse(grey[-height:]))[0, 1]))

    def verdict(self) -> None:
        """Pass, or refuse.

        Raises:
            ClipError: `not_panorama` where the left edge does not continue at the right one; `stereo_panorama` where
                the lower half repeats the upper one.
        """
        if not self._seam:
            return
        seam, step, alike = (float(np.median(values)) for values in (self._seam, self._step, self._alike))
        if seam > SEAM_RATIO * step + SEAM_FLOOR:
            raise ClipError(
                "not_panorama",
                f"the left and the right edge differ by {seam:.0f} grey levels, neighbouring columns by {step:.1f}: "
                "this is no equirectangular panorama, but perhaps a cube map (ffmpeg's v360=eac:equirect converts it).",
            )
        if alike > STEREO:
            raise ClipError(
                "stereo_panorama",
                f"the lower half repeats the upper one (correlation {alike:.2f}): two views above each other. "
                "Cut one of them out.",
            )


def _coarse(half: Array) -> Array:
    """Means of blocks, flattened."""
    height, width = (side // BLOCK for side in half.shape)
    return np.asarray(half[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK).mean((1, 3)).ravel())
