"""Options that a text names, against those that the commands have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

import click

from visaudio_bench.bench.cli.commands import COMMANDS, cli

# `bench data build`, an option, a program that is not ours, or the end of what is said of either.
_PARTS = re.compile(
    r"\bbench(?P<command>(?: [a-z][a-z-]*)+)|(?P<option>(?<![\w-])--[a-z][a-z-]*(?!\w))"
    r"|(?P<stranger>\b(?:pip|git|uv|apt-get|conda|torchrun|ffmpeg|python|tmpreaper)\b)|(?P<end>[.;:,)](?=[\s,]|$)|\n)"
)


@cache
def command_of(words: tuple[str, ...]) -> click.Command | None:
    """The command that some words begin with, None where the first is none."""
    if not words or words[0] not in COMMANDS:
        return None
    command = cli.get_command(click.Context(cli), words[0])
    for word in words[1:]:
        if word not in parts_of(command):
            break
        command = parts_of(command)[word]
    return command


@cache
def parts_of(command: click.Command | None) -> dict[str, click.Command]:
    """The commands of a group by name."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    parts = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: part for name, part in parts.items() if part is not None}


@cache
def options_of(command: click.Command) -> set[str]:
    """Every option of a command, `--help` among them; of a group, those of its commands too."""
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {"--help"}.union(own, *(options_of(part) for part in parts_of(command).values()))


def named(text: str, own: Sequence[str] = ()) -> Iterator[tuple[click.Command | None, str]]:
    """The options that a text names, each with the command that it is said of.

    Args:
        text: of a message.
        own: words of the command that says it; options that stand behind no other command are its own.

    Yields:
        The command, None where it cannot be known, and the option.
    """
    said_of = mine = command_of(tuple(own))
    for part in _PARTS.finditer(text):
        if part["command"]:
            said_of = command_of(tuple(part["command"].split())) or mine
        elif part["stranger"]:
            said_of = None
            continue
        elif part["end"]:
            said_of = mine
        else:
            yield said_of, part["option"]


def strange_options(text: str, own: Sequence[str]) -> list[str]:
    """Options that a message names and that the command they are said of does not have."""
    return [
        f"{option} (of bench {command.name})"
        for command, option in named(text, own)
        if command is not None and option not in options_of(command)
    ]
