"""Bring your own outputs: a folder with one sound or video file per clip is a system.

`outputs:DIR` takes the folder's name as the system's name, `outputs:NAME=DIR` gives one; the name of a published system
also says which metrics that was trained on. A file belongs to the clip
whose id is its name without the suffix; in sub-folders the path parts are joined by `__`, as the ids of a `folder`
suite are. Of a sound file and a video of one name the sound file counts. The files are read where they lie and never
changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from visaudio_bench.baselines.system import Generation, Input, System, SystemCard
from visaudio_bench.errors import ClipError, MissingArgumentError, UsageError
from visaudio_bench.files import is_there
from visaudio_bench.registry import did_you_mean
from visaudio_bench.suites.clip import Clip
from visaudio_bench.suites.containers import refuse_absent
from visaudio_bench.suites.folder import look_into


class Outputs(System):
    """The files of a folder, matched to clips by id."""

    def __init__(self, name: str, folder: Path, *, binauralised: bool = False):
        self.folder = folder
        self.contents = look_into(folder)
        self.files = self.contents.heard
        self.contents.require("sound or video file, one per clip named by its id", self.files)
        inputs: tuple[Input, ...] = ("reference_mono", "video") if binauralised else ("video",)
        self.card = SystemCard(
            name=name,
            title=name,
            summary=f"sound files of the folder {folder.name}",
            inputs=inputs,
            revision="files",
            code_licence="unknown",
            weights_licence="unknown",
            optimised=_trained_on(name),
        )

    def unmatched(self, ids: Collection[str]) -> list[str]:
        """Names in the folder that belong to no clip of the suite, whose ids are given."""
        return sorted(self.files.keys() - set(ids))

    def generate(
        self, clips: Sequence[Clip], out: Path, *, only: Collection[str], device: str = "cpu", seed: int = 0
    ) -> Iterator[Generation]:
        """The path of each clip's file; nothing is written to `out`."""
        del out, device, seed
        unmatched: list[str] | None = None  # found out once, and only where a file is missing
        for clip in clips:
            if clip.id not in only:
                continue
            if clip.id in self.files:
                yield self._found(clip.id, self.files[clip.id])
            else:
                if unmatched is None:
                    unmatched = self.unmatched([other.id for other in clips])
                hint = self.contents.told_of(clip.id) or did_you_mean(clip.id, unmatched)
                yield Generation(
                    clip.id, None, 0.0, "missing", f'{self.folder} has no sound file for clip "{clip.id}".{hint}'
                )

    def sources(self, clip: Clip, clips: Sequence[Clip]) -> tuple[Path, ...]:
        """The clip's file."""
        del clips
        return (self.files[clip.id],) if clip.id in self.files else ()

    def _found(self, clip: str, path: Path) -> Generation:
        try:
            refuse_absent(path)  # a link may lead nowhere
        except ClipError as error:
            return Generation(clip, None, 0.0, error.reason, error.message)
        return Generation(clip, path, 0.0)


def _trained_on(name: str) -> tuple[str, ...]:
    """What the published system of that name was trained on, whose sounds these then are."""
    from visaudio_bench.baselines.published.card import read_card
    from visaudio_bench.baselines.published.installed import published_names

    folder, _ = published_names().get(name, (None, ""))
    return read_card(folder).optimised if folder else ()


def open_outputs(argument: str | None, *, binauralised: bool = False) -> Outputs:
    """Open the system behind `outputs:DIR` or `outputs:NAME=DIR`.

    Args:
        argument: what stands behind `outputs:`, None where nothing does.
        binauralised: whether it was given the reference's own sound, so that waveforms are compared.

    Returns:
        The system; its files are not read yet.

    Raises:
        UsageError: no folder given, or it is not there or empty.
    """
    if argument is None:
        raise MissingArgumentError(
            'system "outputs" needs a folder. Write: --system outputs:DIR or --system outputs:NAME=DIR',
            summary="the sound files of a folder, one for each clip",
            needs="outputs:DIR or outputs:NAME=DIR",
        )
    # A folder may have "=" in its own name, as those of sweeps do: `lr=0.1`.
    whole = is_there(argument) and Path(argument).is_dir()
    name, separator, folder = ("", "", "") if whole else argument.partition("=")
    path = Path(folder if separator else argument)
    if not (is_there(str(path)) and path.is_dir()):
        raise UsageError(f"{path} is not a folder; one with a sound file for each clip was expected.")
    return Outputs(name if separator else path.resolve().name, path, binauralised=binauralised)
