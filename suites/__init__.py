"""What systems are evaluated on: clips, suites, media reading, and the simulated suite that needs no download."""

from visaudio_bench.suites.catalogue import SUITES, open_suite
from visaudio_bench.suites.clip import Clip, Suite

__all__ = ["SUITES", "Clip", "Suite", "open_suite"]
