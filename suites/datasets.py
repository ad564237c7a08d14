"""What the benchmark knows of each real data set: where it comes from, its licence, its layouts, its published size.

A `Dataset` finds the clips of a user's folder (`find`, which lists files and reads lists, and decodes nothing); how
they are judged and written down is the same for all, `suites.preparation`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_data_path

from visaudio_bench.errors import UsageError
from visaudio_bench.registry import Registry
from visaudio_bench.suites.admission import AdmissionRules
from visaudio_bench.suites.manifest import Entry

DATA_VARIABLE = "VISAUDIO_BENCH_DATA"


@dataclass(frozen=True)
class Candidate:
    """A clip as the user's folder promises it, not yet looked into.

    With `hops` the entry stands for a whole file, to be cut into windows of its duration that follow one another from
    its start; each gets the entry's id and its own start.
    """

    entry: Entry
    hops: bool = False


class Reject(NamedTuple):
    """Why a clip is not in the suite."""

    clip_id: str
    reason: str
    message: str


@dataclass(frozen=True)
class FoundData:
    """What a folder holds, before anything is decoded; `notes` are for the summary."""

    root: Path
    candidates: tuple[Candidate, ...]
    rejects: tuple[Reject, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """What a user may choose when preparing: the window's start (s), the join of captions, a pair of microphones."""

    start: float = 0.0
    caption_join: str = ", "
    pair: tuple[int, int] = (1, 6)


@dataclass(frozen=True)
class Dataset:
    """One row of what there is.

    Attributes:
        name: of the suite.
        title: what a table's heading says.
        find: the candidates of a folder.
        licence: of the data.
        home: where it comes from, and how large it is.
        layouts: the forms of a folder that are accepted, in words.
        published: clips by split, as the paper counts them.
        split: the part that is the suite when none is asked for.
        duration: seconds a clip.
        captioned: whether clips carry captions.
        rules: of admission.
        options: names of the `Options` that mean anything for it.
        unavailable: why nobody can get it now; empty where it can be had.
    """

    name: str
    title: str
    find: Callable[[Path, Options], FoundData]
    licence: str
    home: str
    layouts: tuple[str, ...]
    published: Mapping[str, int] = field(default_factory=dict)
    split: str = "test"
    duration: float = 8.0
    captioned: bool = False
    rules: AdmissionRules = field(default_factory=AdmissionRules)
    options: tuple[str, ...] = ()
    unavailable: str = ""

    @property
    def obtain(self) -> str:
        """Where to get the data, under which licence, and the next command; ends a sentence about missing data."""
        if self.unavailable:
            return (
                f"{self.unavailable} Licence: {self.licence}. A folder in the generic layout is accepted "
                f"({self.layouts[0]}): bench data prepare {self.name} --from DIR"
            )
        return f"Get it: {self.home}. Licence: {self.licence}. Then: bench data prepare {self.name} --from DIR"

    def refuse(self, folder: Path, what: str) -> UsageError:
        """The error of a folder that is not this data set."""
        return UsageError(f"{folder} {what}. Expected: {'; or '.join(self.layouts)}. {self.obtain}")


DATASETS: Registry[Dataset] = Registry(
    "data set",
    "visaudio_bench.datasets",
    {
        "biaudio": "visaudio_bench.suites.biaudio:BIAUDIO",
        "music": "visaudio_bench.suites.music:MUSIC",
        "fairplay": "visaudio_bench.suites.fairplay:FAIRPLAY",
        "starss23": "visaudio_bench.suites.construction.starss23:STARSS23",
        "dcase2025-stereo": "visaudio_bench.suites.dcase_stereo:DCASE_STEREO",
        "simbinaural": "visaudio_bench.suites.other_datasets:SIMBINAURAL",
        "youtube-binaural": "visaudio_bench.suites.other_datasets:YOUTUBE_BINAURAL",
        "oap": "visaudio_bench.suites.other_datasets:OAP",
        "binaural-vggsound": "visaudio_bench.suites.other_datasets:BINAURAL_VGGSOUND",
    },
)


def data_dir() -> Path:
    """Where prepared manifests lie: `$VISAUDIO_BENCH_DATA`, else the user's data folder. Never media."""
    override = os.environ.get(DATA_VARIABLE)
    return Path(override).expanduser() if override else user_data_path("visaudio-bench", appauthor=False)
