"""The cache of computed features: content-addressed files that are written atomically.

A key is the SHA-256 of what went in (digests of decoded samples, weights, windows) and of the source of the modules
that compute it: renaming, copying or re-encoding without loss hits the cache, a changed sample or a changed line of
code does not. A killed run loses at most the clip it was working on.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from visaudio_bench.files import atomic_path, cache_dir, source_revision


def cached(modules: Sequence[str], digests: Sequence[str], compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The arrays that `compute` gives, from the cache where the same `modules` made them from the same `digests`."""
    key = hashlib.sha256("/".join([*modules, source_revision(*modules), *digests]).encode()).hexdigest()
    path = cache_dir() / "features" / key[:2] / f"{key}.npz"
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        pass  # not there, or damaged from outside: compute it
    arrays = {name: np.asarray(value) for name, value in compute().items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    return arrays
