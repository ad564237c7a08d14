"""PyTorch's files, read without running anything that is in them.

`torch.load(weights_only=True)` refuses a whole file for one object that it does not know, and training scripts file
all kinds of things away beside their weights: `argparse.Namespace`, OmegaConf, paths, their own classes. The names of
those classes stand in the file. Each of them is put in with an empty mapping, so that the tensors can be read and
nothing of anybody's is imported or called; where a tensor would have had to come out of one, there is none.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from visaudio_bench.errors import BenchError

_PICKLES = 5  # in a file of PyTorch before 1.6: magic number, version, machine, contents, names of the storages
_NEWEST_PROTOCOL = 3  # that torch reads without running anything
# What no file of weights has a reason to name.
_DANGEROUS = re.compile(
    r"(os|posix|nt|subprocess|sys|shutil|socket|runpy|importlib|ctypes|pty|webbrowser)(\..*)? .*"
    r"|builtins (eval|exec|compile|open|__import__|breakpoint)"
)
_PLAIN = ("torch", "collections", "numpy", "builtins", "_codecs")  # modules that files of torch always name
_SAVE = "Save the weights by themselves, where the file was made: torch.save(model.state_dict(), FILE)"


def made_of(value: Any) -> str:
    """The class of an object that was not imported, for what stands in for it; empty for everything else."""
    return str(getattr(value, "_made_of", "")) if type(value) is Counter else ""


def read_pickled(path: Path, *, zipped: bool) -> Any:
    """Read what `torch.save` wrote, without running anything that is in it.

    Args:
        path: of the file.
        zipped: whether it is a zip archive, as newer versions write it; then it is mapped, not read whole.

    Returns:
        Tensors, plain values and numpy arrays on the CPU; of other objects only their class (`made_of`).

    Raises:
        BenchError: the file is damaged, would run something, or holds what cannot be read safely.
    """
    names, protocol = _globals(path, zipped=zipped)
    wicked = sorted(name.replace(" ", ".") for name in names if _DANGEROUS.fullmatch(name))
    if wicked:
        raise BenchError(
            f"{path} was not opened: Python's pickle would call {', '.join(wicked[:3])} when it opens it, which no "
            "file of weights has a reason to. Do not trust where it comes from"
        )
    if protocol > _NEWEST_PROTOCOL:
        raise BenchError(
            f"{path} was written with protocol {protocol} of Python's pickle, which cannot be read without running "
            "what is in it. Save it again where it was made, with torch.save as it does by itself"
        )
    arrays = _numpy_globals()
    stand_ins: list[Any] = [
        _stand_in(name) for name in sorted(name.replace(" ", ".") for name in names) if name not in arrays
    ]
    try:
        with (
            torch.serialization.safe_globals([*((kind, name) for name, kind in arrays.items()), *stand_ins]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise _unreadable(path, names, error) from error


def _stand_in(name: str) -> tuple[Any, str]:
    """A class under somebody else's name; torch's own names go before it.

    Its objects are empty counters, because torch fills those with items and attributes alike.
    """

    def make(cls: type, *arguments: Any, **named: Any) -> Counter[Any]:
        del cls, arguments, named
        made: Counter[Any] = Counter()
        made.__dict__["_made_of"] = name
        return made

    return type("StandIn", (), {"__new__": make}), name


def _globals(path: Path, *, zipped: bool) -> tuple[set[str], int]:
    """The names that the pickles of a file ask for, as `module name`, and the newest protocol of them."""
    try:
        if zipped:
            with zipfile.ZipFile(path) as archive:
                (inner,) = (name for name in archive.namelist() if name.partition("/")[2] == "data.pkl")
                with archive.open(inner) as file:
                    return _named(file, 1)
        with path.open("rb") as file:
            return _named(file, _PICKLES)
    except (ValueError, EOFError, OSError, IndexError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BenchError(
            f"{path} is not an intact PyTorch file: its pickle ends or breaks off in the middle "
            f"({path.stat().st_size:,} bytes are there). Get it again"
        ) from error


def _named(file: IO[bytes], pickles: int) -> tuple[set[str], int]:
    names: set[str] = set()
    protocol = 0
    for number in range(pickles):
        strings: list[str] = []
        for code, argument, _ in _operations(file, first=number == 0):
            if code.name == "PROTO":
                protocol = max(protocol, int(argument))
            elif code.name in ("GLOBAL", "INST"):
                names.add(_today(str(argument)))
            elif code.name == "STACK_GLOBAL" and len(strings) > 1:
                names.add(_today(" ".join(strings[-2:])))
            elif isinstance(argument, str):
                strings.append(argument)
    return names, protocol


def _today(name: str) -> str:
    """A name as Python 3 has it: pickles of PyTorch call things by those of Python 2."""
    module, _, attribute = name.partition(" ")
    module, attribute = NAME_MAPPING.get((module, attribute), (IMPORT_MAPPING.get(module, module), attribute))
    return f"{module} {attribute}"


def _operations(file: IO[bytes], *, first: bool) -> Iterable[tuple[Any, Any, int | None]]:
    """The operations of the next pickle; a plain pickle is alone in its file."""
    if not first and not file.peek(1):  # type: ignore[attr-defined]  # buffered, as open() makes it
        return ()
    return pickletools.genops(file)


def _unreadable(path: Path, names: Iterable[str], error: Exception) -> BenchError:
    """What is said of a file that torch does not read; torch's own advice, to let the file run code, is not."""
    foreign = sorted(name.replace(" ", ".") for name in names if not name.startswith(_PLAIN))
    said = str(error)
    cause = re.search(r"WeightsUnpickler error: (.*)", said)
    if "unexpected EOF" in said or "unexpected pos" in said or isinstance(error, EOFError):
        return BenchError(
            f"{path} is not an intact PyTorch file: it ends before its last tensor does "
            f"({path.stat().st_size:,} bytes are there). Get it again"
        )
    if "Invalid magic number" in said:
        return BenchError(f"{path} is a pickle, and not one that torch.save wrote. {_SAVE}")
    if isinstance(error, (pickle.UnpicklingError, TypeError, AttributeError)) and foreign:
        shown = ", ".join(foreign[:4]) + (", …" if len(foreign) > 4 else "")
        return BenchError(f"{path} holds objects ({shown}) without which its tensors cannot be read. {_SAVE}")
    reason = cause[1] if cause else said.splitlines()[0] if said and "weights_only" not in said else ""
    reason = reason.partition(" Please use")[0][:160] or type(error).__name__
    return BenchError(f"{path} is not an intact PyTorch file ({reason}). Get it again, or see: bench weights list")


def _numpy_globals() -> dict[str, Any]:
    """What arrays and their scalars are made with, by the names that pickles of either NumPy have for it."""
    reconstruct = np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # pickles name this private function
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [kind for name in np.dtypes.__all__ if isinstance(kind := getattr(np.dtypes, name), type)]
    known = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (np.ndarray, np.dtype, *kinds)}
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):
        known |= {f"{module}._reconstruct": reconstruct, f"{module}.scalar": scalar}
    return known
