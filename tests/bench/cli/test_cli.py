"""The command line itself: it starts fast, and lists what there is."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from visaudio_bench.bench.cli.commands import COMMANDS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from visaudio_bench.bench.cli import main\n"
        "sys.argv = ['bench', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'av', 'pyarrow', 'rich', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(bench: Callable, command: str) -> None:
    told = bench(command, "--help")
    assert told.code == 0
    assert told.out.startswith(f"Usage: bench {command}")


@pytest.mark.parametrize(("what", "name"), [("suites", "simroom"), ("systems", "motion-pan"), ("metrics", "lat_ccc")])
def test_list_names_what_there_is(bench: Callable, what: str, name: str) -> None:
    told = bench("list", what, "--format", "json")
    assert told.code == 0
    (table,) = json.loads(told.out)
    assert name in [row[what[:-1]] for row in table["rows"]]


@pytest.mark.parametrize(
    ("what", "name", "is_", "needs"),
    [
        ("systems", "visaudio", "ViSAudio (open)", "visaudio:FILE, a checkpoint of bench train visaudio"),
        ("systems", "geometry-aware", "by a geometry-aware network", "a checkpoint of bench train geometry-aware"),
        ("systems", "foleyspace", "along the path of what moves", "a checkpoint of bench train foleyspace"),
        ("systems", "outputs", "the sound files of a folder", "outputs:DIR or outputs:NAME=DIR"),
        ("suites", "folder", "the videos and sound files of a folder", "folder:DIR"),
    ],
)
def test_list_says_what_a_thing_is_before_what_it_needs(
    bench: Callable, what: str, name: str, is_: str, needs: str
) -> None:
    rows = csv.DictReader(io.StringIO(bench("list", what, "--format", "csv").out))
    (told,) = [row["text"] for row in rows if (row["row"], row["column"]) == (name, "what")]
    assert is_ in told.partition("; needs ")[0]
    assert needs in told.partition("; needs ")[2]


def test_doctor_looks_at_this_machine(bench: Callable) -> None:
    told = bench("doctor")
    assert told.code == 0, told.out
    assert "python" in told.out
    assert "PROBLEM" not in told.out
