"""Surround sound to two channels."""

from __future__ import annotations

from typing import Literal

import numpy as np

from visaudio_bench.suites.media import Samples

Downmix = Literal["bs775", "bs775-integer"]

# 5.1 in the order that FFmpeg writes and See2Sound's files have.
CHANNELS = ("FL", "FR", "FC", "LFE", "BL", "BR")
# ITU-R BS.775, table 2: centre and surrounds at -3 dB, the low-frequency channel left out.
AT_MINUS_3_DB = np.sqrt(0.5)
BS775 = np.array(
    [
        [1, 0, AT_MINUS_3_DB, 0, AT_MINUS_3_DB, 0],
        [0, 1, AT_MINUS_3_DB, 0, 0, AT_MINUS_3_DB],
    ]
)
MATRICES: dict[Downmix, np.ndarray[tuple[int, int], np.dtype[np.float64]]] = {
    "bs775": BS775,
    # What FFmpeg's `-ac 2` does when it writes integers: the same, 7.66 dB quieter, so that nothing can clip.
    "bs775-integer": BS775 / BS775.sum(axis=1, keepdims=True),
}


def downmix(samples: Samples, kind: Downmix = "bs775") -> Samples:
    """Mix surround sound down to two channels.

    Args:
        samples: 5.1 sound `(6, N)` in the order FL, FR, FC, LFE, BL, BR.
        kind: key of `MATRICES`; `bs775` keeps the front channels at their level, and may therefore exceed full scale.

    Returns:
        `(2, N)`, left first.
    """
    return np.asarray(MATRICES[kind] @ samples, dtype=np.float32)
