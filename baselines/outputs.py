"""Bring your own outputs: a folder with one sound or video file per clip is a system.

`outputs:DIR` takes the folder's name as the system's name, `outputs:NAME=DIR` gives one. A file belongs to the clip
whose id is its name without the suffix; in sub-folders the path parts are joined by `__`, as the ids of a `folder`
suite are. The files are read where they lie and never changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from visaudio_bench.baselines.system import Generation, Input, System, SystemCard
from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.folder import media_files


class Outputs(System):
    """The files of a folder, matched to clips by id."""

    def __init__(self, name: str, folder: Path, *, binauralised: bool = False):
        self.folder = folder
        self.files = media_files(folder)
        if not self.files:
            raise UsageError(
                f"{folder} holds no sound or video file; one per clip is expected, named by the clip's id."
            )
        inputs: tuple[Input, ...] = ("reference_mono", "video") if binauralised else ("video",)
        self.card = SystemCard(
            name=name,
            title=name,
            summary=f"sound files of the folder {folder.name}",
            inputs=inputs,
            revision="files",
            code_licence="unknown",
            weights_licence="unknown",
        )

    def unmatched(self, clips: Sequence[Clip]) -> list[str]:
        """Names in the folder that belong to no clip of the suite."""
        known = {clip.id for clip in clips}
        return sorted(name for name in self.files if name not in known)

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """The path of each clip's file; nothing is written to `out`."""
        del out, device, seed
        for clip in clips:
            if clip.id not in only:
                continue
            if clip.id in self.files:
                yield Generation(clip.id, self.files[clip.id], 0.0)
            else:
                hint = did_you_mean(clip.id, self.unmatched(clips))
                yield Generation(
                    clip.id, None, 0.0, "missing", f'{self.folder} has no sound file for clip "{clip.id}".{hint}'
                )


def open_outputs(argument: str | None, *, binauralised: bool = False) -> Outputs:
    """The system behind `outputs:DIR` or `outputs:NAME=DIR`.

    Raises:
        UsageError: no folder given, or it is not there or empty.
    """
    if argument is None:
        raise UsageError('system "outputs" needs a folder. Write: --system outputs:DIR or --system outputs:NAME=DIR')
    name, separator, folder = argument.partition("=")
    path = Path(folder if separator else argument)
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder; --system outputs:DIR expects one with a sound file per clip.")
    return Outputs(name if separator else path.resolve().name, path, binauralised=binauralised)
