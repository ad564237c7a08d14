"""Who is evaluated: the contract of a system, the anchor rows of every table, and bring-your-own outputs."""

from visaudio_bench.baselines.system import DEFAULT_SYSTEMS, SYSTEMS, Generation, System, SystemCard, open_system

__all__ = ["DEFAULT_SYSTEMS", "SYSTEMS", "Generation", "System", "SystemCard", "open_system"]
