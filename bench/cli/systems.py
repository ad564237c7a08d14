"""`bench systems`: published systems, which run their authors' own code in environments of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from visaudio_bench.bench.cli.common import device_option, find_device, format_option, print_tables

if TYPE_CHECKING:
    from visaudio_bench.baselines.published.card import Card
    from visaudio_bench.baselines.published.install import Wishes

EPILOG = """\b
Examples
  bench systems list
  bench systems install mmaudio --accept-licence
  bench systems install mmaudio --source ~/MMAudio --python ~/MMAudio/.venv/bin/python --weights ~/MMAudio/weights
  bench systems fetch thinksound
  bench systems check mmaudio
"""


@click.group("systems", epilog=EPILOG)
def systems() -> None:
    """List, install, check and remove published systems."""


@systems.command("list")
@format_option
def list_systems(form: str) -> None:
    """Every published system: what it is, its licences, whether it is here."""
    from visaudio_bench.baselines.published.card import read_card
    from visaudio_bench.baselines.published.installed import card_folders, why_unavailable
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    rows = []
    for name, folder in card_folders().items():
        card = read_card(folder)
        reason = why_unavailable(card)
        state = "installed" if not reason else "outputs only" if card.status == "outputs_only" else "not installed"
        code = card.source.licence if card.source else "no code"
        texts = (card.title, state, code, card.weights_licence, card.paper)
        rows.append(TableRow(name, tuple(Cell(text, reason=reason if text == state else "") for text in texts)))
    headings = ("title", "state", "licence of code", "licence of weights", "paper")
    columns = tuple(Column(heading, heading, left=True) for heading in headings)
    notes = ("more of one: bench systems show NAME", "put one here: bench systems install NAME")
    print_tables([Table("published systems", columns, tuple(rows), corner="name", notes=notes)], form)


@systems.command()
@click.argument("name")
@format_option
def show(name: str, form: str) -> None:
    """Everything that is known of a system: source, licences, weights, environment, options."""
    from visaudio_bench.baselines.published.card_text import facts
    from visaudio_bench.baselines.published.installed import find_card
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    card = find_card(name)
    rows = tuple(TableRow(label, (Cell(text),)) for label, text in facts(card))
    print_tables([Table(card.title, (Column("value", "", left=True),), rows, corner="")], form)


@systems.command()
@click.argument("name")
@click.option("--source", type=click.Path(path_type=Path), metavar="DIR", help="Use this checkout of the code.")
@click.option("--python", type=click.Path(path_type=Path), metavar="PATH", help="Use this environment's interpreter.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="DIR", help="Use the weights in this folder.")
@click.option("--random-weights", is_flag=True, help="Without weights: to try that it runs. Its rows say so.")
@click.option("--dry-run", is_flag=True, help="Say what would be cloned, built and downloaded; do nothing.")
@click.option("--accept-licence", is_flag=True, help="Accept the licences of code and weights, which are shown.")
def install(
    name: str,
    source: Path | None,
    python: Path | None,
    weights: Path | None,
    random_weights: bool,
    dry_run: bool,
    accept_licence: bool,
) -> None:
    """Put a system on this machine: code at the pinned commit, an environment, weights. Goes on where it stopped."""
    from visaudio_bench.baselines.published import install as installer
    from visaudio_bench.baselines.published.installed import find_card
    from visaudio_bench.bench.console import note

    card = find_card(name)
    wishes = installer.Wishes(source, python, weights, random_weights)
    if dry_run:
        _show_plan(card, wishes)
        return
    installer.refuse_impossible(card, wishes)
    _agree(card, accept_licence)
    for line in installer.install(card, wishes):
        note(line)
    note(f"check it: bench systems check {name}")


def _show_plan(card: Card, wishes: Wishes) -> None:
    from visaudio_bench.baselines.published.card_text import licences
    from visaudio_bench.baselines.published.install import refuse_outputs_only, refuse_wishes
    from visaudio_bench.baselines.published.install_plan import planned
    from visaudio_bench.bench.console import note

    refuse_outputs_only(card)
    refuse_wishes(card, wishes)
    for line in licences(card):
        note(line)
    for label, text in planned(card, wishes):
        note(f"{label}: {text}")


def _agree(card: Card, accepted: bool) -> None:
    """Show the licences, and go on only with a yes.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    import sys

    from visaudio_bench.baselines.published.card_text import licences
    from visaudio_bench.bench.console import note
    from visaudio_bench.errors import UsageError

    for line in licences(card):
        note(line)
    if accepted:
        return
    if not (sys.stdin.isatty() and click.confirm("Do you accept these terms?", err=True)):
        raise UsageError(f"{card.title} was not installed: its licences must be accepted. Add --accept-licence")


@systems.command()
@click.argument("name")
@click.option(
    "--source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Try this checkout of the code instead of the installed one.",
)  # fmt: skip
@click.option(
    "--opened", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write down which files of its checkout its program opens.",
)  # fmt: skip
@device_option
@format_option
def check(name: str, source: Path | None, opened: Path | None, device: str, form: str) -> None:
    """Make one second of sound and judge whether a system keeps the contract. Exit code 1 if it does not."""
    from visaudio_bench.baselines.published.contract_check import checks
    from visaudio_bench.baselines.published.installed import find_card
    from visaudio_bench.errors import BenchError
    from visaudio_bench.leaderboards.tables import Cell, Column, Table, TableRow

    checked = list(checks(find_card(name), find_device(device), source, opened))
    columns = (Column("state", "state", left=True), Column("detail", "detail", left=True))
    rows = tuple(
        TableRow(check.what, (Cell("ok" if check.fine else "PROBLEM"), Cell(check.detail))) for check in checked
    )
    print_tables([Table(name, columns, rows, corner="check")], form)
    wrong = [check.what for check in checked if not check.fine]
    if wrong and set(wrong) <= {"machine", "installed"}:
        told = " ".join(check.detail for check in checked if not check.fine)
        raise BenchError(f"{name} cannot be tried here, and its folder is as it should be. {told}")
    if wrong:
        raise BenchError(f"{name} does not keep the contract yet: {', '.join(wrong)}. See docs/add-a-system.md")


@systems.command()
@click.argument("name")
@click.option(
    "--from", "source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Take the files from this folder, by the card's names, instead of downloading them.",
)  # fmt: skip
def fetch(name: str, source: Path | None) -> None:
    """Fetch the weights of a system: sizes and checksums are checked, interrupted downloads go on."""
    from visaudio_bench.baselines.published.fetching import fetch_weights
    from visaudio_bench.baselines.published.install import refuse_outputs_only
    from visaudio_bench.baselines.published.installed import find_card
    from visaudio_bench.bench.cli.weights import progress_line
    from visaudio_bench.bench.console import note

    card = find_card(name)
    refuse_outputs_only(card, "fetched")
    note(f"{card.title}: licence of the weights: {card.weights_licence}")
    for line in fetch_weights(card, source, progress_line(name)):
        note(line)


@systems.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove everything that was put here for a system; what you brought yourself stays."""
    from visaudio_bench.baselines.published import install as installer
    from visaudio_bench.baselines.published.installed import find_card
    from visaudio_bench.bench.console import note

    gone = installer.remove(find_card(name))
    note(f"{name}: removed" if gone else f"{name}: nothing was installed")
