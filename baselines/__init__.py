"""Who is evaluated: the contract of a system, the anchor rows of every table, and bring-your-own outputs."""

from visaudio_bench.baselines.catalogue import ANCHORS, DEFAULT_SYSTEMS, STANDING_ANCHORS, SYSTEMS, open_system
from visaudio_bench.baselines.system import Generation, System, SystemCard

__all__ = [
    "ANCHORS",
    "DEFAULT_SYSTEMS",
    "STANDING_ANCHORS",
    "SYSTEMS",
    "Generation",
    "System",
    "SystemCard",
    "open_system",
]
