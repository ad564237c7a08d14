"""`bench merge`: parts of a run from several machines as one run."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, print_tables

EPILOG = """\b
Examples
  bench merge runs/machine1 runs/machine2 --out runs/all      other systems, suites or metrics of the same clips
  bench merge runs/ours --out submission                      one run with every sound in it, to hand on
"""


@click.command(epilog=EPILOG)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", required=True, help="A new folder.")
@format_option
def merge(runs: tuple[Path, ...], out: Path, form: str) -> None:
    """Put RUNs of the same clips into one run folder, with their sounds; the RUNs themselves stay as they are.

    Refused where their numbers do not compare, or where two have a system of one name that is not the same.
    """
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.merging import merge as merged

    print_tables(merged(list(dict.fromkeys(runs)), out), form)
    note(f"saved in {out}")
