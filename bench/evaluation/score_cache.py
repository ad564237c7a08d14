"""The cache of computed features: answers by what they were made from (`answer_store` says how they are kept).

A key is the SHA-256 of what went in (digests of decoded samples, weights, windows) and of the source that computes
it: renaming, copying or re-encoding without loss hits the cache, a changed sample or a changed line of code does not.
A killed run loses at most the answer it was working on. What is not, to the bit, what was written is computed again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.bench.evaluation.answer_store import AnswerStore
from visaudio_bench.files import cache_dir
from visaudio_bench.sources import source_revision

FOLDER = "answers"


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
    key = hashlib.sha256("/".join([source_revision(compute, *others), *digests]).encode()).digest()
    store = answers(cache_dir())
    kept = store.get(key)
    if kept is not None:
        with np.load(io.BytesIO(kept), allow_pickle=False) as stored:
            return dict(stored)
    arrays = {name: np.asarray(value) for name, value in compute().items()}
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    store.put(key, written.getvalue())
    return arrays


@lru_cache(maxsize=1)
def answers(cache: Path) -> AnswerStore:
    """The store of answers below a cache folder."""
    return AnswerStore(cache / FOLDER)
