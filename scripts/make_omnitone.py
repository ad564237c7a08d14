"""Build `suites/assets/omnitone_foa_48k.npz` from the responses inside the package omnitone.

Omnitone (npm package `omnitone`, version 1.3.0) carries them as two base64 strings in its JavaScript; each is a wav of
two channels: (W, Y) and (Z, X).

    npm pack omnitone@1.3.0 && tar xzf omnitone-1.3.0.tgz
    python scripts/make_omnitone.py package
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
import wave
from pathlib import Path

import numpy as np

RATE, TAPS = 48000, 256
SHA256 = ("28ff31e8d3fd39d5", "8aff90c47b54678b")  # how those of (W, Y) and (Z, X) begin
OUT = Path(__file__).parents[1] / "suites" / "assets" / "omnitone_foa_48k.npz"


def main(package: str) -> None:
    """Take the two wavs out of the package and store their four channels, as they are, in the order W, Y, Z, X."""
    script = Path(package, "build", "omnitone.esm.js").read_text(encoding="utf-8")
    found = re.search(r"OmnitoneFOAHrirBase64 = \[(.*?)\]", script, re.DOTALL)
    wavs = [base64.b64decode(text) for text in re.findall('"(.*?)"', found[1])] if found else []
    sums = tuple(hashlib.sha256(data).hexdigest()[:16] for data in wavs)
    if sums != SHA256:
        raise SystemExit(f"{package} does not hold the known responses: their SHA-256 begin with {sums}, not {SHA256}")
    np.savez_compressed(OUT, taps=np.concatenate([channels(data) for data in wavs]), sample_rate=np.int64(RATE))
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


def channels(data: bytes) -> np.ndarray:
    """`(2, 256)` 16-bit samples of one of the two wavs."""
    with wave.open(io.BytesIO(data)) as file:
        form = (file.getframerate(), file.getnframes(), file.getnchannels(), file.getsampwidth())
        if form != (RATE, TAPS, 2, 2):
            raise SystemExit(f"unexpected wav: rate, samples, channels, bytes are {form}")
        return np.frombuffer(file.readframes(TAPS), dtype="<i2").reshape(TAPS, 2).T


if __name__ == "__main__":
    main(sys.argv[1])
