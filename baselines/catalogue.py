"""The systems by name: ours, published ones, and those of plug-ins.

An argument comes after a colon: `outputs:DIR`; two systems one after the other have a plus between them
(`baselines.two_stage`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

from visaudio_bench.baselines.checkpoint_argument import names_file
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
        "foleyspace": "visaudio_bench.baselines.foleyspace:open_foleyspace",
        "foleyspace-like": "visaudio_bench.baselines.foleyspace_like:FoleySpaceLike",
        "geometry-aware": "visaudio_bench.baselines.geometry_aware:open_geometry_aware",
        "mono2binaural": "visaudio_bench.baselines.geometry_aware:open_mono2binaural",
        "audio-only": "visaudio_bench.baselines.geometry_aware:open_audio_only",
        "flipped-visual": "visaudio_bench.baselines.geometry_aware:open_flipped_visual",
        "outputs": "visaudio_bench.baselines.outputs:open_outputs",
    },
)

# By name, as the systems are: what is imported would be part of every system's revision.
TWO_STAGE = "visaudio_bench.baselines.two_stage:open_two_stage"
# Anchors made of the references: every table of a suite that has references has them, asked for or not.
STANDING_ANCHORS = ("reference", "mono", "swapped", "repaired")
# All rows that a table is read from and that do not compete: those whose card says `anchor`.
ANCHORS = (*STANDING_ANCHORS, "noise")
DEFAULT_SYSTEMS = (*ANCHORS, "motion-pan", "visaudio-tiny")


def open_system(request: str) -> System:
    """The system behind `name`, `name:argument`, or two of those with a plus between them.

    Raises:
        UsageError: unknown name, a missing or needless argument, a folder that is not there, or two that do not fit.
    """
    stages = _stages(request)
    if stages is not None:
        module, _, opener = TWO_STAGE.partition(":")
        row: System = getattr(import_module(module), opener)(*stages)
        return row
    name, _, argument = request.partition(":")
    return SYSTEMS.get(name)(argument or None)


def _stages(request: str) -> tuple[str, str] | None:
    """Generator and binauraliser: parted at the last plus that a known system's name follows.

    An argument may hold a plus too, and a file of that whole name is meant by it, of either system.
    """
    if "+" not in request or ("+" not in request.partition(":")[0] and _names_file(request)):
        return None
    known = SYSTEMS.names()
    signs = [at for at, sign in enumerate(request) if sign == "+" and at > 0]
    pairs = [(request[:at], request[at + 1 :]) for at in signs if request[at + 1 :].partition(":")[0] in known]
    whole = (pair for pair in pairs if "+" in pair[1] and _names_file(pair[1]))
    return next(whole, pairs[-1] if pairs else None)


def _names_file(request: str) -> bool:
    """Whether the argument of one system is a file or folder that is there."""
    return names_file(request.partition(":")[2])
