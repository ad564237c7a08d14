"""What the manual says can be done: its links lead somewhere, its commands exist, the files it names are there."""

from __future__ import annotations

import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from visaudio_bench.bench.cli.commands import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").glob("*.md")])
ROOMS = "baselines|bench|benchmarks|docs|leaderboards|metrics|models|scripts|suites|tests|visaudio_bench"

ENTRY_POINTS = {f"visaudio_bench.{group}" for group in ("systems", "suites", "metrics", "datasets")}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if link.startswith(("https:", "http:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def commands(page: Path) -> Iterator[list[str]]:
    """Arguments of every `bench ...` in the page's blocks of code."""
    for block in re.findall(
        r"^```[^\n]*\n(.*?)^```|^((?:    [^\n]*\n)+)", page.read_text(encoding="utf-8"), re.S | re.M
    ):
        for line in "".join(block).replace("\\\n", " ").splitlines():
            called = re.search(r"(?:^\s*|bin/|&& |-m )(?:bench|visaudio_bench) (.*)", line)
            if called:
                for part in called[1].split(" && "):
                    yield shlex.split(re.sub(r"^\S*bench ", "", part), comments=True)


@pages
def test_every_command_is_one_that_bench_understands(page: Path) -> None:
    for arguments in commands(page):
        command: click.Command = cli
        context = click.Context(cli)
        left = list(arguments)
        while isinstance(command, click.Group) and left and not left[0].startswith("-"):
            found = command.get_command(context, left.pop(0))
            assert found is not None, f"{page.name}: bench {shlex.join(arguments)}"
            command, context = found, click.Context(found, parent=context)
        try:
            command.make_parser(context).parse_args(left)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: bench {shlex.join(arguments)}: {error.message}")


@pages
def test_every_file_of_the_repository_that_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(rf"`((?:{ROOMS})/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), f"{page.name}: {name}"
    for name in set(re.findall(r"`(visaudio_bench(?:\.\w+)+)`", text)) - ENTRY_POINTS:
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_fetch_nothing(picture: Path) -> None:
    assert not re.search(r"""(href|src)=["']http|url\(["']?http|<script""", picture.read_text(encoding="utf-8"))


def test_the_repository_has_one_address() -> None:
    """A fork, or the first public home, changes it everywhere or nowhere."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    home = urls["Repository"]
    assert all(url.startswith(home) for url in urls.values())
    mentions = 0
    for path in (*PAGES, ROOT / "CITATION.cff", *(ROOT / ".github").rglob("*.yml")):
        for address in re.findall(r"https://[\w.]+/[\w-]+/visaudio-bench\b", path.read_text(encoding="utf-8")):
            mentions += 1
            assert address == home, f"{path.name}: {address}"
    assert mentions >= 4
