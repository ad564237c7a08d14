"""Runs a program in this process and writes down every file that it opens to read; standard library only.

`python open_recorder.py LIST PROGRAM ARGUMENT...` appends to LIST one line a file, in JSON: the path as the program
gave it, the folder that was current, and whether it was there. It is copied beside a runner, as `worker_kit` is. What
libraries in C open by themselves is not seen.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the program of the command line with the recorder in place."""
    listed, program = sys.argv[1:3]
    sys.argv = sys.argv[2:]
    stream = os.open(listed, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    known = set()

    def hear(event: str, given: Any) -> None:
        if event != "open" or not isinstance(given[0], (str, bytes)) or given[2] & (os.O_WRONLY | os.O_RDWR):
            return
        path, folder = os.fsdecode(given[0]), str(Path.cwd())
        if (path, folder) not in known:
            known.add((path, folder))
            os.write(stream, (json.dumps([path, folder, Path(path).exists()]) + "\n").encode())

    sys.addaudithook(hear)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
