"""The cache of computed features: answers by what they were made from (`answer_store` says how they are kept).

A key is the SHA-256 of what went in (digests of decoded samples, weights, windows) and of the source that computes
it: renaming, copying or re-encoding without loss hits the cache, a changed sample or a changed line of code does not.
A killed run loses at most the answer it was working on. What is not, to the bit, what was written is computed again.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from visaudio_bench.bench.evaluation.answer_store import AnswerStore
from visaudio_bench.errors import BenchError
from visaudio_bench.files import CACHE_VARIABLE, cache_dir
from visaudio_bench.guard import is_of_permission
from visaudio_bench.sources import source_revision
from visaudio_bench.turns import alone

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
    with alone(key):
        kept = store.get(key)
        if kept is not None:
            return _unpacked(kept)
        arrays = {name: np.asarray(value) for name, value in compute().items()}
        _keep(store, key, arrays)
    return arrays


def _keep(store: AnswerStore, key: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    try:
        store.put(key, _packed(arrays))
    except OSError as error:
        if is_of_permission(error):  # of nobody's clip
            raise BenchError(
                f"answers cannot be kept in {store.folder}: {error.strerror}. Have them kept elsewhere: "
                f"{CACHE_VARIABLE}=DIR"
            ) from error
        error.filename = error.filename or str(store.folder)
        raise


@lru_cache(maxsize=1)
def answers(cache: Path) -> AnswerStore:
    """The store of answers below a cache folder."""
    return AnswerStore(cache / FOLDER)


_HEAD = struct.Struct("<I")


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Names, types and shapes as JSON behind its length, then the numbers.

    An archive of numpy's costs more processor time than everything else about keeping an answer.
    """
    if any(array.dtype.hasobject for array in arrays.values()):
        raise TypeError("an answer is of numbers and texts; arrays of objects cannot be kept")
    told = json.dumps([(name, array.dtype.str, array.shape) for name, array in arrays.items()]).encode()
    return b"".join([_HEAD.pack(len(told)), told, *(array.tobytes() for array in arrays.values())])


def _unpacked(data: bytes) -> dict[str, np.ndarray]:
    (length,) = _HEAD.unpack_from(data)
    place = _HEAD.size + length
    arrays = {}
    for name, kind, shape in json.loads(data[_HEAD.size : place]):
        array = np.ndarray(shape, kind, data, place).copy()
        place += array.nbytes
        arrays[name] = array
    return arrays
