"""What the commands of `bench mos` share: kinds of parameters, and how responses are named and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from visaudio_bench.bench.mos.responses import ResponseRules, Responses

FORMS = ("auto", "long", "wide-sample", "wide-rater")
TOOLS = ("webmushra", "pymushra", "beaqlejs", "waet", "golisten", "p808", "reseval", "sureal")


class NameList(click.ParamType):  # type: ignore[type-arg]
    """Names separated by commas, each one of `known` if there are any."""

    name = "a,b,..."

    def __init__(self, known: tuple[str, ...] = ()):
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names, each once."""
        from visaudio_bench.registry import did_you_mean

        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        for name in names:
            if self.known and name not in self.known:
                self.fail(f'"{name}".{did_you_mean(name, self.known)} Known: {", ".join(self.known)}', param, ctx)
        if not names:
            self.fail("an empty list; at least one name was expected", param, ctx)
        return tuple(dict.fromkeys(names))


class Scale(click.ParamType):  # type: ignore[type-arg]
    """LOW-HIGH, two integers."""

    name = "low-high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two ends."""
        if isinstance(value, tuple):
            return value
        low, _, high = value.partition("-")
        if not (low.isdigit() and high.isdigit() and int(low) < int(high)):
            self.fail(f'"{value}"; two integers such as 1-5 or 0-100 were expected', param, ctx)
        return int(low), int(high)


def several(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator of several options, in the order of the help."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


reading = several(
    click.option(
        "--ratings",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Responses: a questionnaire's folder, its database, or a file; may be given again.",
    ),
    click.option("--form", type=click.Choice((*FORMS, *TOOLS)), default="auto", help="Whose form the responses have."),
    click.option("--codes", type=click.Path(path_type=Path), help="Key file that says which code is which system."),
    click.option("--recruited", type=click.Path(path_type=Path), help="Participants as Prolific or MTurk lists them."),
    click.option(
        "--per-rater", type=click.IntRange(1), help="How many clips each rater was asked about, if files do not say."
    ),
    click.option("--study-id", help="Name of the study, where the responses do not say."),
    click.option("--dimension", default="AR", show_default=True, help="For other tools: what was rated."),
    click.option("--dimensions", type=NameList(), help="Dimensions that may occur, if not SI,SC,TA,SA,AR."),
    click.option("--systems", type=NameList(), help="Systems that may occur, in the order of the table."),
    click.option("--scale", type=Scale(), default=(1, 5), help="Lowest and highest rating.  [default: 1-5]"),
    click.option("--allow-missing", type=click.IntRange(0), default=0, help="How many votes may be missing."),
    click.option("--duplicates", type=click.Choice(("refuse", "first", "last")), default="refuse", show_default=True),
)


def rules_of(options: dict[str, Any], screen: Sequence[str] = ()) -> ResponseRules:
    """What counts as a valid response by the options of `reading`; the rule `incomplete` allows missing votes.

    Args:
        options: of the command line.
        screen: rules of screening; `incomplete` allows missing votes.

    Returns:
        The rules.
    """
    from visaudio_bench.bench.mos.questions import KEYS
    from visaudio_bench.bench.mos.responses import ResponseRules

    return ResponseRules(
        scale=options["scale"],
        dimensions=options["dimensions"] or KEYS,
        systems=options["systems"] or (),
        allow_missing=float("inf") if "incomplete" in screen else options["allow_missing"],
        duplicates=options["duplicates"],
    )


def read_files(options: dict[str, Any], rules: ResponseRules) -> list[Responses]:
    """The responses that the options of `reading` name; what was understood is said on the error stream.

    Args:
        options: of the command line.
        rules: what counts as a valid response.

    Returns:
        The responses of each file.
    """
    from visaudio_bench.bench.mos.reading import read_responses

    files = []
    for path in options["ratings"]:
        told = (options["form"], rules, options["dimension"], options["codes"], options["recruited"])
        responses = read_responses(path, *told)
        if options["study_id"] and not any(responses.get("study_id")):
            responses.columns["study_id"] = [options["study_id"]] * len(responses)
        responses.per_rater = responses.per_rater or options["per_rater"] or 0
        note = "; ".join((f"{len(responses)} votes", *responses.notes))
        click.echo(f"{responses.path}: form {responses.form}, {note}", err=True)
        files.append(responses)
    return files
