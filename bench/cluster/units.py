"""What a worker of a cluster does: units of work of the machine that conducts, with files that both see.

A worker refuses everything where its numbers could be others, or would be kept where nobody looks for them: where code
or packages have other versions, or the conductor's folders are not there.
"""

from __future__ import annotations

import os
import pickle
import platform
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import visaudio_bench
from visaudio_bench.bench.provenance import package_versions
from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.files import CACHE_VARIABLE, cache_dir
from visaudio_bench.pool import CRASHED, ONE_THREAD, Outcome, attempt, attempt_far

Item = TypeVar("Item")

OURS = CACHE_VARIABLE.rpartition("_")[0]  # what the names of our environment variables begin with


class Errand(NamedTuple):
    """What all units of one map have in common, for a worker that may be on another machine.

    Attributes:
        function: pickled.
        folder: where the conductor was started, for paths that are relative.
        tokens: folders that the conductor has made below those that all must see.
        environment: our variables, and where the cache is.
        versions: of the code and of the packages that can change a number.
    """

    function: bytes
    folder: str
    tokens: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def errand(function: Callable[[Any], Any], tokens: Sequence[Path]) -> Errand:
    """Describe what is to be done with every item.

    Args:
        function: importable, or a `functools.partial` of such a function.
        tokens: folders that a worker must see.

    Returns:
        The description.

    Raises:
        Exception: the function cannot be pickled.
    """
    ours = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    environment = {**ours, **ONE_THREAD, CACHE_VARIABLE: str(cache_dir().absolute())}
    seen = tuple(str(token.absolute()) for token in tokens)
    return Errand(pickle.dumps(function), str(Path.cwd()), seen, tuple(environment.items()), versions())


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """What must be the same on every machine: the code, Python, and the packages that can change a number."""
    state = sha256()
    root = Path(visaudio_bench.__file__).parent
    for folder, _, names in sorted(os.walk(root, followlinks=True)):  # in a checkout the rooms are links
        for name in sorted(name for name in names if name.endswith(".py")):
            state.update(name.encode() + Path(folder, name).read_bytes())
    ours = f"{visaudio_bench.__version__}+{state.hexdigest()[:12]}"
    python = ".".join(platform.python_version_tuple()[:2])
    return (("visaudio-bench", ours), ("Python", python), *package_versions().items())


def carry_out(work: Errand, items: Sequence[Any]) -> list[tuple[Any, Exception | None]]:
    """In a worker: apply the function to items.

    Args:
        work: what is to be done.
        items: with what.

    Returns:
        Value and error of each, of which one is None.
    """
    made = attempt(_function, work)
    if made.error is not None:
        return [(None, made.error)] * len(items)
    return [(outcome.value, outcome.error) for outcome in (attempt_far(made.result(), item) for item in items)]


@lru_cache(maxsize=1)  # with what it keeps between items, such as networks that it has loaded
def _function(work: Errand) -> Callable[[Any], Any]:
    here = socket.gethostname()
    os.environ.update(work.environment)  # torch is not imported yet, and reads its number of threads when it is
    for (name, wanted), (_, own) in zip(work.versions, versions(), strict=True):
        if wanted != own:
            raise BenchError(
                f"machine {here} of the cluster has {name} {own}, and the one that conducts has {wanted}: results "
                "would depend on where they are made. Install the same on all, best in a shared environment."
            )
    for token in (work.folder, *work.tokens):
        if not Path(token).is_dir():
            shared = token if token == work.folder else Path(token).parent
            raise BenchError(
                f"machine {here} of the cluster does not see {shared} of the one that conducts. Work in a folder that "
                f"all machines share, and the cache too: {CACHE_VARIABLE}=DIR"
            )
    os.chdir(work.folder)
    try:
        function: Callable[[Any], Any] = pickle.loads(work.function)
    except (ImportError, AttributeError) as error:
        raise BenchError(f"machine {here} of the cluster lacks what is to be done there: {error}.") from error
    return function


def lost(item: Item, why: str) -> Outcome[Item, Any]:
    """What became of an item whose worker was lost, and those that tried again.

    Args:
        item: the item.
        why: what is known of the last one.

    Returns:
        No value, and the error `crashed`.
    """
    said = f"the worker that had it was lost, and so were those that had it again: {why}"
    return Outcome(item, None, ClipError(CRASHED, said))
