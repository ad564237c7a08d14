"""The cache of computed features: content-addressed files that are written atomically.

A key is the SHA-256 of what went in (digests of decoded samples, weights, windows) and of the source that computes
it: renaming, copying or re-encoding without loss hits the cache, a changed sample or a changed line of code does not.
A killed run loses at most the clip it was working on. A file that is not, to the bit, what was written is computed
again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from visaudio_bench.files import cache_dir, read_sealed, write_sealed
from visaudio_bench.sources import source_revision


def cached(
    compute: Callable[[], Mapping[str, Any]], digests: Sequence[str], *others: str | Callable[..., Any]
) -> dict[str, Any]:
    """The arrays that `compute` gives, from the cache where the same code has made them from the same inputs.

    Args:
        compute: gives arrays by name. Its own source counts, and whatever it imports (see `visaudio_bench.sources`).
        digests: of what goes in.
        others: modules that `compute` finds by name when it runs, and functions that made what it uses.

    Returns:
        The arrays by name.
    """
    key = hashlib.sha256("/".join([source_revision(compute, *others), *digests]).encode()).hexdigest()
    path = cache_dir() / "features" / key[:2] / f"{key}.sealed"
    kept = read_sealed(path)
    if kept is not None:
        with np.load(io.BytesIO(kept), allow_pickle=False) as stored:
            return dict(stored)
    arrays = {name: np.asarray(value) for name, value in compute().items()}
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    write_sealed(path, written.getvalue())
    return arrays
