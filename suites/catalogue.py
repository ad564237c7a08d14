"""The suites by name. An argument comes after a colon: `folder:DIR`, `fairplay:split1:test`."""

from __future__ import annotations

from collections.abc import Callable

from suites.clip import Suite
from visaudio_bench.registry import Registry

SuiteFactory = Callable[[str | None], Suite]

SUITES: Registry[SuiteFactory] = Registry(
    "suite",
    "visaudio_bench.suites",
    {
        "simroom-mini": "suites.simulated:simroom_mini",
        "simroom": "suites.simulated:simroom",
        "simroom-full": "suites.simulated:simroom_full",
        "simroom-train": "suites.training_scenes:simroom_train",
        "simroom-validation": "suites.training_scenes:simroom_validation",
        "folder": "suites.folder:open_folder",
        "biaudio": "suites.prepared:biaudio",
        "music": "suites.prepared:music",
        "fairplay": "suites.prepared:fairplay",
        "youtube-binaural": "suites.prepared:youtube_binaural",
        "oap": "suites.prepared:oap",
        "simbinaural": "suites.prepared:simbinaural",
        "binaural-vggsound": "suites.prepared:binaural_vggsound",
    },
)


def open_suite(request: str) -> Suite:
    """The suite behind `name` or `name:argument`.

    Raises:
        UsageError: unknown name, a missing or needless argument, or a folder that is not there.
    """
    name, _, argument = request.partition(":")
    return SUITES.get(name)(argument or None)
