"""The commands by name. Each lives in a file of its own and is imported only when it is called."""

from __future__ import annotations

import importlib

import click

from visaudio_bench import __version__
from visaudio_bench.registry import did_you_mean

# name of the command -> (where it lives, the line that `bench --help` prints)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("visaudio_bench.bench.cli.run:run", "Generate with every system, score, print and save the leaderboard."),
    "score": ("visaudio_bench.bench.cli.score:score", "Score folders of sound files that you already have."),
    "generate": ("visaudio_bench.bench.cli.generate:generate", "Make binaural sound for videos or for whole suites."),
    "list": ("visaudio_bench.bench.cli.list:list_command", "List suites, systems or metrics."),
    "export": ("visaudio_bench.bench.cli.export:export", "Write the videos, captions and references of a suite."),
    "train": (
        "visaudio_bench.bench.cli.train:train",
        "Train our models; without options a small one, then its leaderboard.",
    ),
    "features": (
        "visaudio_bench.bench.cli.features:features",
        "Feature stores: build, merge and check what training reads.",
    ),
    "report": (
        "visaudio_bench.bench.cli.report:report",
        "Print the tables of a finished run again, recomputed from its clips.",
    ),
    "leaderboard": (
        "visaudio_bench.bench.cli.leaderboard:leaderboard",
        "Print results beside the published tables, or those alone.",
    ),
    "mos": (
        "visaudio_bench.bench.cli.mos:mos",
        "Listening tests: questionnaire, server, table of mean opinion scores.",
    ),
    "compare": (
        "visaudio_bench.bench.cli.compare:compare",
        "Compare two systems: by how much, is it real, on which clips.",
    ),
    "diff": ("visaudio_bench.bench.cli.diff:diff", "Explain why the results of two runs differ."),
    "merge": ("visaudio_bench.bench.cli.merge:merge", "Put runs of several machines into one run folder."),
    "validate": ("visaudio_bench.bench.cli.validate:validate", "Check that a run folder is what it says it is."),
    "verify": (
        "visaudio_bench.bench.cli.verify:verify",
        "Compute a run folder again: aggregates, and random clips from their sounds.",
    ),
    "data": ("visaudio_bench.bench.cli.data:data", "Prepare and check the data of real suites."),
    "systems": ("visaudio_bench.bench.cli.systems:systems", "List, install, check and remove published systems."),
    "weights": ("visaudio_bench.bench.cli.weights:weights", "List, fetch and verify the weight files of networks."),
    "cache": ("visaudio_bench.bench.cli.cache:cache", "What is kept between runs: how much it is, and remove answers."),
    "hear": ("visaudio_bench.bench.cli.hear:hear", "Check modules with the HEAR API."),
    "doctor": ("visaudio_bench.bench.cli.doctor:doctor", "Check this machine: packages, cache, disk, device."),
}


class LazyGroup(click.Group):
    """Commands are imported when called, so that `bench --help` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; an unknown name is answered with the closest known one."""
        if cmd_name not in COMMANDS:
            ctx.fail(f'no command "{cmd_name}".{did_you_mean(cmd_name, COMMANDS)}')
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start here: bench run          Without any option it renders a small simulated suite and scores it.",
)
@click.version_option(__version__, prog_name="bench")
def cli() -> None:
    """Judge and build video-to-binaural-audio generation."""
