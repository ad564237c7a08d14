"""What systems are evaluated on: clips, suites, media reading, and the simulated suite that needs no download."""

from suites.catalogue import SUITES, open_suite
from suites.clip import Clip, Suite

__all__ = ["SUITES", "Clip", "Suite", "open_suite"]
