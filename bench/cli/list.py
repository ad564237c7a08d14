"""`bench list`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import format_option, print_list, verbose_option

if TYPE_CHECKING:
    from visaudio_bench.leaderboards.tables import Table


# What a text list leaves to -v.
LONG = {"suites": ("licence", "from"), "systems": ("is given", "from"), "metrics": ("what", "from")}


@click.command("list")
@click.argument("what", type=click.Choice(["suites", "systems", "metrics"]))
@verbose_option
@format_option
def list_command(what: str, verbose: bool, form: str) -> None:
    """List suites, systems or metrics, with the plug-ins that are installed."""
    tables = {"suites": _suites, "systems": _systems, "metrics": _metrics}
    print_list(tables[what](), form, verbose=verbose, long=LONG[what], command=f"bench list {what}")


def _table(title: str, corner: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    return Table(
        title=title,
        corner=corner,
        columns=tuple(Column(heading, heading, left=True) for heading in headings),
        rows=tuple(TableRow(row[0], tuple(Cell(text) for text in row[1:])) for row in rows),
    )


def _suites() -> Table:
    from visaudio_bench.suites import SUITES

    rows = [(name, *_suite(name), SUITES.origin(name)) for name in SUITES.names()]
    return _table("suites", "suite", ("what", "clips", "licence", "from"), rows)


def _suite(name: str) -> tuple[str, str, str]:
    """What is in a suite, how many clips, and their licence; else the sentence that says why it does not open."""
    from visaudio_bench.errors import MissingArgumentError, UsageError
    from visaudio_bench.suites import SUITES
    from visaudio_bench.suites.datasets import DATASETS, data_dir
    from visaudio_bench.suites.manifest import find_manifest

    try:
        if name in DATASETS.names():
            dataset = DATASETS.get(name)
            if find_manifest(data_dir() / name) is None:
                return f"{dataset.title}: not prepared here, see bench data list", "", dataset.licence
        suite = SUITES.get(name)(None)
        return suite.title, str(len(suite.clip_ids())), suite.licence
    except MissingArgumentError as error:
        return f"{error.summary}; needs {error.needs}", "", ""
    except UsageError as error:  # its plug-in does not import, say
        return str(error), "", ""


def _systems() -> Table:
    from visaudio_bench.baselines import SYSTEMS
    from visaudio_bench.errors import MissingArgumentError, UsageError

    def given(inputs: Sequence[str]) -> str:
        return ", ".join(inputs) or "nothing"

    rows = []
    for name in SYSTEMS.names():
        try:
            card = SYSTEMS.get(name)(None).card
            rows.append((name, card.summary, given(card.inputs), SYSTEMS.origin(name)))
        except MissingArgumentError as error:
            rows.append((name, f"{error.summary}; needs {error.needs}", given(error.inputs), SYSTEMS.origin(name)))
        except UsageError as error:
            rows.append((name, str(error), "", SYSTEMS.origin(name)))
    return _table("systems", "system", ("what", "is given", "from"), rows)


def _metrics() -> Table:
    from visaudio_bench.bench.evaluation.family_registry import own_metrics, plug_ins, registry
    from visaudio_bench.errors import UsageError

    listed = [(metric, "built in") for metric in own_metrics().values()]
    broken = []
    for name, family in plug_ins():
        if isinstance(family, UsageError):
            broken.append((name, str(family), "", "", "", "", "", registry().origin(name)))
        else:
            listed += [(metric, registry().origin(name)) for metric in family.metrics]
    rows = [
        (metric.key, metric.title, metric.unit, metric.better, metric.track,
         "default" if metric.default else "on request", metric.description, origin)
        for metric, origin in listed
    ]  # fmt: skip
    headings = ("title", "unit", "better", "track", "shown", "what", "from")
    return _table("metrics", "metric", headings, [*rows, *broken])
