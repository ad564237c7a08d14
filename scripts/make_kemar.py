"""Build `suites/simulator/assets/mit_kemar_44k1.npz` from the MIT KEMAR responses in SOFA form.

The SOFA file is part of the Debian package libmysofa1 (`/usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa`). It is an
HDF5 file; reading it needs h5py, which nothing else in this project does:

    pip install h5py
    python scripts/make_kemar.py /usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

TAPS = 256
FADE = 16
OUT = Path(__file__).parents[1] / "suites" / "simulator" / "assets" / "mit_kemar_44k1.npz"


def main(sofa: str) -> None:
    """Cut every response to 256 taps, fade out its last 16, and store all of them as 16-bit integers of one scale."""
    with h5py.File(sofa) as file:
        taps = np.asarray(file["Data.IR"], dtype=np.float64)[..., :TAPS]
        degrees = np.asarray(file["SourcePosition"], dtype=np.float64)[:, :2]
        rate = float(np.asarray(file["Data.SamplingRate"])[0])
        left = np.asarray(file["ReceiverPosition"])[0, 1, 0]
    if taps.shape != (710, 2, TAPS) or rate != 44100 or left <= 0:
        raise SystemExit(f"{sofa} is not the MIT KEMAR set: {taps.shape} responses at {rate} Hz, first ear at {left} m")
    taps[..., -FADE:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, FADE + 1) / FADE)
    scale = np.abs(taps).max() / 32767
    np.savez_compressed(
        OUT,
        taps=np.rint(taps / scale).astype(np.int16),
        scale=np.float64(scale),
        degrees=degrees.astype(np.float32),
        sample_rate=np.int64(rate),
    )
    print(f"{OUT.name}: {len(taps)} directions, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
