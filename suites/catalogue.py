"""The suites by name. An argument comes after a colon: `folder:DIR`, `fairplay:split1:test`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from visaudio_bench.registry import Registry
from visaudio_bench.suites.clip import Suite

SuiteFactory = Callable[[str | None], Suite]


class SuiteRegistry(Registry[SuiteFactory]):
    """The suites that are entered below, and every data set of `suites.datasets` as the suite of its prepared clips."""

    def names(self) -> tuple[str, ...]:
        """Every known name: the suites as they are entered, those of plug-ins, then the data sets."""
        from visaudio_bench.suites.datasets import DATASETS

        return tuple(dict.fromkeys((*super().names(), *DATASETS.names())))

    def origin(self, name: str) -> str:
        """Where a name comes from: `built in`, or the plug-in's `module:object`."""
        from visaudio_bench.suites.datasets import DATASETS

        return DATASETS.origin(name) if name in DATASETS.names() else super().origin(name)

    def get(self, name: str) -> SuiteFactory:
        """The function that opens the suite, given the argument after the colon or None.

        Raises:
            UsageError: the name is unknown (with the closest known one), or its plug-in does not import.
        """
        from visaudio_bench.suites.datasets import DATASETS
        from visaudio_bench.suites.prepared_suite import open_prepared

        return partial(open_prepared, name=name) if name in DATASETS.names() else super().get(name)


SUITES = SuiteRegistry(
    "suite",
    "visaudio_bench.suites",
    {
        "simroom-mini": "visaudio_bench.suites.simulated:simroom_mini",
        "simroom": "visaudio_bench.suites.simulated:simroom",
        "simroom-full": "visaudio_bench.suites.simulated:simroom_full",
        "simroom-train": "visaudio_bench.suites.training_scenes:simroom_train",
        "simroom-filmed": "visaudio_bench.suites.filmed_scenes:simroom_filmed",
        "simroom-crowded": "visaudio_bench.suites.filmed_scenes:simroom_crowded",
        "simroom-validation": "visaudio_bench.suites.training_scenes:simroom_validation",
        "folder": "visaudio_bench.suites.folder:open_folder",
    },
)


def open_suite(request: str) -> Suite:
    """Open the suite that a user asks for.

    Args:
        request: `name` or `name:argument`.

    Returns:
        The suite; its files may still have to be made (`pending`).

    Raises:
        UsageError: unknown name, a missing or needless argument, or a folder that is not there.
    """
    name, _, argument = request.partition(":")
    return SUITES.get(name)(argument or None)
