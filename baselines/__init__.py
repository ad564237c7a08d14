"""Who is evaluated: the contract of a system, the anchor rows of every table, and bring-your-own outputs."""

from visaudio_bench.baselines.catalogue import DEFAULT_SYSTEMS, SYSTEMS, open_system
from visaudio_bench.baselines.system import Generation, System, SystemCard

__all__ = ["DEFAULT_SYSTEMS", "SYSTEMS", "Generation", "System", "SystemCard", "open_system"]
