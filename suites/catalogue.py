"""The suites by name. An argument comes after a colon: `folder:DIR`, `fairplay:split1:test`."""

from __future__ import annotations

from collections.abc import Callable

from visaudio_bench.registry import Registry
from visaudio_bench.suites.clip import Suite

SuiteFactory = Callable[[str | None], Suite]

SUITES: Registry[SuiteFactory] = Registry(
    "suite",
    "visaudio_bench.suites",
    {
        "simroom-mini": "visaudio_bench.suites.simulated:simroom_mini",
        "simroom": "visaudio_bench.suites.simulated:simroom",
        "simroom-full": "visaudio_bench.suites.simulated:simroom_full",
        "simroom-train": "visaudio_bench.suites.training_scenes:simroom_train",
        "simroom-validation": "visaudio_bench.suites.training_scenes:simroom_validation",
        "folder": "visaudio_bench.suites.folder:open_folder",
        "biaudio": "visaudio_bench.suites.prepared_suite:biaudio",
        "music": "visaudio_bench.suites.prepared_suite:music",
        "fairplay": "visaudio_bench.suites.prepared_suite:fairplay",
        "youtube-binaural": "visaudio_bench.suites.prepared_suite:youtube_binaural",
        "oap": "visaudio_bench.suites.prepared_suite:oap",
        "simbinaural": "visaudio_bench.suites.prepared_suite:simbinaural",
        "binaural-vggsound": "visaudio_bench.suites.prepared_suite:binaural_vggsound",
    },
)


def open_suite(request: str) -> Suite:
    """The suite behind `name` or `name:argument`.

    Raises:
        UsageError: unknown name, a missing or needless argument, or a folder that is not there.
    """
    name, _, argument = request.partition(":")
    return SUITES.get(name)(argument or None)
