"""One typed registry for suites, systems and metrics: lazy built-ins, plug-ins by entry point, did-you-mean."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from visaudio_bench.errors import UsageError
from visaudio_bench.names import fault

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Look for what may have been meant.

    Args:
        name: what was written.
        known: names that there are.

    Returns:
        ` Did you mean "x"?` for the closest one, or an empty string.
    """
    names = list(known)
    other_case = [other for other in names if other.casefold() == name.casefold()]
    close = other_case or get_close_matches(name, names, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else ""


class Registry(Generic[T]):
    """Names mapped to objects that are imported only when they are asked for.

    `builtin` maps a name to `"module:object"`, or to the object itself. Entry points of `group` add third-party
    names; a plug-in that does not import is a `UsageError` when it is asked for, and nobody else's trouble.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str | T]):
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    def _plugins(self) -> dict[str, EntryPoint]:
        points: dict[str, EntryPoint] = {}
        for point in _installed(entry_points, self.group, _folders()):
            why = "the name is taken" if point.name in self._builtin or point.name in points else fault(point.name)
            if why:
                warnings.warn(f"{self.kind} {point.name!a} of {point.value} is ignored: {why}", stacklevel=3)
            else:
                points[point.name] = point
        return points

    def names(self) -> tuple[str, ...]:
        """Every known name: built-ins in their own order, then plug-ins by name."""
        return (*self._builtin, *sorted(self._plugins()))

    def origin(self, name: str) -> str:
        """Where a name comes from: `built in`, or the plug-in's `module:object`."""
        return "built in" if name in self._builtin else self._plugins()[name].value

    def get(self, name: str) -> T:
        """The object behind `name`.

        Raises:
            UsageError: the name is unknown (with the closest known one), or its plug-in does not import.
        """
        if name in self._builtin:
            value = self._builtin[name]
            if not isinstance(value, str):
                return value
            module, _, attribute = value.partition(":")
            return cast(T, getattr(importlib.import_module(module), attribute))
        plugin = self._plugins().get(name)
        if plugin is None:
            raise UsageError(
                f'unknown {self.kind} "{name}".{did_you_mean(name, self.names())} '
                f"Known: {', '.join(self.names())}. See: bench list {self.kind}s"
            )
        return cast(T, _load(plugin, self.kind))


def entry_points(group: str) -> Iterable[EntryPoint]:
    """What packages say that they bring; the reader of packages is imported where somebody asks."""
    from importlib import metadata

    return metadata.entry_points(group=group)


def _folders() -> tuple[tuple[str, int], ...]:
    """Where packages may be installed, each with the time of its last change."""
    from visaudio_bench.files import file_stamp

    return tuple((folder, file_stamp(Path(folder))["mtime_ns"]) for folder in sys.path if Path(folder).is_dir())


@lru_cache(maxsize=64)
def _installed(
    read: Callable[..., Iterable[EntryPoint]], group: str, folders: tuple[tuple[str, int], ...]
) -> tuple[EntryPoint, ...]:
    """The entry points of a group; every package is looked at again only when one was installed or removed."""
    del folders
    return tuple(read(group=group))


def _load(plugin: EntryPoint, kind: str) -> Any:
    try:
        return plugin.load()
    except Exception as error:  # a plug-in may raise anything on import
        raise UsageError(
            f'{kind} "{plugin.name}" comes from the plug-in {plugin.value}, which does not import: {error!r}. '
            "Repair or uninstall that package."
        ) from error
