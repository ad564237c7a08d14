"""What a checkpoint of a flow network says of itself, read without its weights and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from visaudio_bench.errors import BenchError
from visaudio_bench.files import parse_json
from visaudio_bench.models.formats import STATE_FORMAT, header_notes
from visaudio_bench.models.visaudio.config import Config
from visaudio_bench.shapes import require

OURS = "visaudio-bench "  # how formats of this project begin
FORMAT = OURS + "flow network 1"
# What is read of the notes, beside the configuration.
_READ = {
    "conditioners?": {"conditioners?": str},
    "codec?": {str: object},
    "guidance?": float,
    "sampling_steps?": int,
    "duration?": float,
}
_LEAST = {"guidance": 0, "sampling_steps": 1, "duration": 0.1}  # as commands take them; windows of less have no end


def notes_of(path: Path) -> Mapping[str, str]:
    """What was kept beside the weights of a checkpoint of ours, with `format` and `config`; nothing of another file.

    Whether the file is ours is seen in its header, whatever it is called.

    Raises:
        BenchError: the file is missing, damaged or no weight file, the state of a training, or another network of ours.
    """
    notes = header_notes(path)
    if notes.get("format") == STATE_FORMAT:
        raise BenchError(
            f"{path} is all that a training goes on from, not a network: take last.safetensors or best.safetensors "
            "beside it"
        )
    if notes.get("format") != FORMAT:
        if notes.get("format", "").startswith(OURS):
            raise BenchError(f'{path} is no checkpoint of a flow network: its format is "{notes["format"]}"')
        return {}
    try:
        require(notes, {"config": str}, "its header")
        kept = {name: parse_json(notes[name]) for key in _READ if (name := key.removesuffix("?")) in notes}
        require(kept, _READ)
        for name, least in _LEAST.items():
            if name in kept and kept[name] < least:
                raise ValueError(f"{name} is {kept[name]}, at least {least} was expected")
        config_in(notes)
    except ValueError as error:
        raise BenchError(f"{path} does not say what network it holds: {error}. Get it again") from error
    return notes


def config_in(notes: Mapping[str, str]) -> Config:
    """The network that notes are of.

    Raises:
        ValueError: a value is missing, unknown or impossible; not of notes as `notes_of` returns them.
    """
    return Config.from_dict(parse_json(notes["config"]))


def read_notes(path: Path) -> Mapping[str, str]:
    """`notes_of` a checkpoint that must be ours.

    Raises:
        BenchError: as `notes_of`, or it is another file.
    """
    notes = notes_of(path)
    if not notes:
        raise BenchError(
            f"{path} is no checkpoint of a flow network of this project: its format is "
            f'"{header_notes(path).get("format", "not stated")}", expected "{FORMAT}"'
        )
    return notes
