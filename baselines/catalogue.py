"""The systems by name: ours, published ones, and those of plug-ins. An argument comes after a colon: `outputs:DIR`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from visaudio_bench.baselines.system import System
from visaudio_bench.registry import Registry

SystemFactory = Callable[[str | None], System]


class SystemRegistry(Registry[SystemFactory]):
    """The systems of this project and of plug-ins, and the published ones: a folder with a card is a system."""

    def names(self) -> tuple[str, ...]:
        """Every known name: built-ins, published systems with their variants, plug-ins."""
        from visaudio_bench.baselines.published.installed import published_names

        known = super().names()
        return (*known, *(name for name in published_names() if name not in known))

    def origin(self, name: str) -> str:
        """As `Registry.origin`, `published` for a published system."""
        return "published" if self._is_published(name) else super().origin(name)

    def get(self, name: str) -> SystemFactory:
        """As `Registry.get`."""
        if self._is_published(name):
            from visaudio_bench.baselines.published.published_system import open_published

            return partial(open_published, name)
        return super().get(name)

    def _is_published(self, name: str) -> bool:
        from visaudio_bench.baselines.published.installed import published_names

        return name not in self._builtin and name in published_names() and name not in super().names()


SYSTEMS = SystemRegistry(
    "system",
    "visaudio_bench.systems",
    {
        "reference": "visaudio_bench.baselines.trivial:Reference",
        "mono": "visaudio_bench.baselines.trivial:Mono",
        "swapped": "visaudio_bench.baselines.trivial:Swapped",
        "repaired": "visaudio_bench.baselines.trivial:Repaired",
        "noise": "visaudio_bench.baselines.trivial:Noise",
        "motion-pan": "visaudio_bench.baselines.motion_pan:MotionPan",
        "visaudio-tiny": "visaudio_bench.baselines.visaudio:open_tiny",
        "visaudio": "visaudio_bench.baselines.visaudio:open_visaudio",
        "visaudio-dual": "visaudio_bench.baselines.visaudio:open_dual",
        "mmaudio-dup": "visaudio_bench.baselines.visaudio:open_mmaudio_dup",
        "foleyspace-like": "visaudio_bench.baselines.foleyspace_like:FoleySpaceLike",
        "outputs": "visaudio_bench.baselines.outputs:open_outputs",
    },
)

# Anchors made of the references: every table of a suite that has references has them, asked for or not.
STANDING_ANCHORS = ("reference", "mono", "swapped", "repaired")
# All rows that a table is read from and that do not compete: those whose card says `anchor`.
ANCHORS = (*STANDING_ANCHORS, "noise")
DEFAULT_SYSTEMS = (*ANCHORS, "motion-pan", "visaudio-tiny")


def open_system(request: str) -> System:
    """The system behind `name` or `name:argument`.

    Raises:
        UsageError: unknown name, a missing or needless argument, or a folder that is not there.
    """
    name, _, argument = request.partition(":")
    return SYSTEMS.get(name)(argument or None)
