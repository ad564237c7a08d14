"""Which files of its checkout a system's own program opens, and how it names them.

A double of a system is made from this: a program that opens `configs/model.yaml` relative to its own folder works in
its authors' hands and fails in a worker's, and a double that opens nothing would never tell.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from visaudio_bench.baselines.published import open_recorder
from visaudio_bench.baselines.published.job_folders import JobFolder

Named = Literal["relative", "whole"]


class OpenedFile(NamedTuple):
    """One file: `relative` to the current folder, or by its `whole` path; its place in the checkout; if it was there.

    Code is only listed where it is named relative to the current folder: imports do not depend on it.
    """

    named: Named
    path: str
    is_there: bool = True


def recording(job: JobFolder, command: Sequence[str], listed: Path) -> list[str]:
    """Let a worker write down what it opens.

    Args:
        job: the worker's folder, which the recorder is put into.
        command: interpreter, its options, program, and arguments.
        listed: grows by one line a file.

    Returns:
        The command that runs the program inside the recorder.
    """
    recorder = job.path / "code" / "open_recorder.py"
    shutil.copyfile(str(open_recorder.__file__), recorder)
    program = next(index for index, part in enumerate(command) if part.endswith(".py"))
    return [*command[:program], str(recorder), str(listed), *command[program:]]


def opened_files(listed: Path, source: Path) -> tuple[OpenedFile, ...]:
    """Read what was recorded of the files of a checkout.

    Args:
        listed: the recorder's list; none is as good as an empty one.
        source: the checkout.

    Returns:
        Its files, each once, in order of their names.
    """
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    return tuple(sorted(set(_of_the_checkout(map(json.loads, lines), source.resolve()))))


def _of_the_checkout(recorded: Iterable[tuple[str, str, bool]], source: Path) -> Iterator[OpenedFile]:
    for recorded_name, folder, is_there in recorded:
        name = _code_of(recorded_name)
        whole = (Path(folder) / name).resolve()
        # As it was named: what is made whole from the current folder is relative to it all the same. Libraries name
        # their own files by as many ".." as lead to the root and down again, which names nothing in the folder.
        place = Path(os.path.normpath(Path(folder) / name))
        named = place.relative_to(folder) if place.is_relative_to(folder) else None
        if ".git" in whole.parts:
            continue
        if named is not None and (whole.is_relative_to(source) or (source / named).is_file()):
            yield OpenedFile("relative", str(named), is_there)
        elif whole.is_relative_to(source) and whole.suffix != ".py":
            yield OpenedFile("whole", str(whole.relative_to(source)), is_there)


def _code_of(name: str) -> str:
    """The code of a compiled file: once compiled, it is not opened again."""
    path = Path(name)
    return str(path.parent.parent / (path.name.partition(".")[0] + ".py")) if path.suffix == ".pyc" else name


def write_opened(path: Path, opened: Iterable[OpenedFile]) -> None:
    """Write a list of opened files down: a line a file, `relative configs/model.yaml`.

    Args:
        path: where to.
        opened: the files.
    """
    path.write_text("".join(f"{file.named} {file.path}\n" for file in opened), encoding="utf-8")
