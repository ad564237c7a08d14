"""`bench mos`: listening tests, from the questionnaire to the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from visaudio_bench.bench.mos.sources import Sources

CI_METHODS = ("crossed", "raters-t", "clips-t", "bootstrap", "normal", "paper", "paper-clips")
TABLES = ("mos", "pairs", "agreement", "raters", "clips", "votes")
FORMS = ("auto", "long", "wide-sample", "wide-rater")
TOOLS = ("webmushra", "pymushra", "beaqlejs", "waet", "golisten", "p808", "reseval", "sureal")
EXAMPLES = """\b
Examples:
  bench mos page --suite simroom --run runs/simroom --systems a,b,c,d,e --clips 10 --out survey
  bench mos serve survey
  bench mos --ratings survey
  bench mos --ratings responses.csv --ci crossed,paper --show mos,pairs --format md
  bench mos --ratings responses.csv --screen incomplete,headphones,orientation
"""


class _List(click.ParamType):  # type: ignore[type-arg]
    """Names separated by commas, each one of `known` if there are any."""

    name = "a,b,..."

    def __init__(self, known: tuple[str, ...] = ()):
        self.known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
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


class _Scale(click.ParamType):  # type: ignore[type-arg]
    """LOW-HIGH, two integers."""

    name = "low-high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        low, _, high = value.partition("-")
        if not (low.isdigit() and high.isdigit() and int(low) < int(high)):
            self.fail(f'"{value}"; two integers such as 1-5 or 0-100 were expected', param, ctx)
        return int(low), int(high)


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_reading = _options(
    click.option(
        "--ratings",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Responses: a questionnaire's folder, its database, or a file; may be given again.",
    ),
    click.option("--form", type=click.Choice((*FORMS, *TOOLS)), default="auto", help="Whose form the responses have."),
    click.option("--codes", type=click.Path(path_type=Path), help="Key file that says which code is which system."),
    click.option("--study-id", help="Name of the study, where the responses do not say."),
    click.option("--dimension", default="AR", show_default=True, help="For other tools: what was rated."),
    click.option("--dimensions", type=_List(), help="Dimensions that may occur, if not SI,SC,TA,SA,AR."),
    click.option("--systems", type=_List(), help="Systems that may occur, in the order of the table."),
    click.option("--scale", type=_Scale(), default=(1, 5), help="Lowest and highest rating.  [default: 1-5]"),
    click.option("--allow-missing", type=click.IntRange(0), default=0, help="How many votes may be missing."),
    click.option("--duplicates", type=click.Choice(("refuse", "first", "last")), default="refuse", show_default=True),
)
_computing = _options(
    click.option("--ci", type=_List(CI_METHODS), default=("crossed",), help=f"Intervals: {', '.join(CI_METHODS)}."),
    click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True),
    click.option("--screen", type=_List(), default=(), help="Rules that leave raters out, such as incomplete,trap."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap."),
    click.option("--show", type=_List((*TABLES, "all")), default=("mos",), help=f"Tables: {', '.join(TABLES)}, all."),
    click.option("--digits", type=click.IntRange(1, 3), default=2, show_default=True, help="Decimals of the tables."),
    click.option("--format", "form_out", type=click.Choice(("text", "md", "tex", "csv", "json")), default="text"),
    click.option("--out", type=click.Path(path_type=Path), default=Path("runs/mos"), show_default=True),
)


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@_reading
@_computing
@click.pass_context
def mos(ctx: click.Context, /, **options: Any) -> None:
    """Table of mean opinion scores from the responses of a listening test.

    Prints the table, and saves it with mos.json and mos.csv in the folder --out.
    """
    if ctx.invoked_subcommand is not None:
        return
    if not options["ratings"]:
        raise UsageError(
            "bench mos needs responses: bench mos --ratings survey, or: bench mos --ratings responses.csv. "
            "To make a questionnaire: bench mos page --help; to try without raters: bench mos simulate --help"
        )
    _table(options)


def _table(options: dict[str, Any]) -> None:
    from visaudio_bench.bench.mos.analysis import AnalysisSettings, analyse
    from visaudio_bench.bench.mos.questions import KEYS
    from visaudio_bench.bench.mos.reading import read_responses
    from visaudio_bench.bench.mos.responses import ResponseRules
    from visaudio_bench.bench.mos.study import studies
    from visaudio_bench.bench.mos.study_files import save, shown
    from visaudio_bench.leaderboards.tables import render
    from visaudio_bench.lock import hold

    screen = options["screen"]
    rules = ResponseRules(
        scale=options["scale"],
        dimensions=options["dimensions"] or KEYS,
        systems=options["systems"] or (),
        allow_missing=float("inf") if "incomplete" in screen else options["allow_missing"],
        duplicates=options["duplicates"],
    )
    files = []
    for path in options["ratings"]:
        responses = read_responses(path, options["form"], rules, options["dimension"], options["codes"])
        if options["study_id"] and not any(responses.get("study_id")):
            responses.columns["study_id"] = [options["study_id"]] * len(responses)
        note = "; ".join((f"{len(responses)} votes", *responses.notes))
        click.echo(f"{responses.path}: form {responses.form}, {note}", err=True)
        files.append(responses)
    plan = AnalysisSettings(options["ci"], options["confidence"], screen, options["seed"])
    order = rules.systems or tuple(dict.fromkeys(name for responses in files for name in responses.order))
    found = [analyse(study, plan, order) for study in studies(files, rules)]
    names = TABLES if "all" in options["show"] else options["show"]
    with hold(options["out"], "bench mos"):
        save(options["out"], found, names, options["digits"])
    click.echo(f"saved in {options['out']}: mos.json, mos.csv, mos.md, mos.tex, mos.txt", err=True)
    click.echo(render(shown(found, names, options["digits"]), options["form_out"]), nl=False)


@mos.command()
@click.option("--suite", help="Suite that the clips come from.")
@click.option("--run", type=click.Path(path_type=Path), help="Run folder with audio/<suite>/<system>/<clip>.wav.")
@click.option("--systems", type=_List(), help="Systems of the run to compare.")
@click.option("--system", "folders", multiple=True, metavar="NAME=DIR", help="A folder of sound files as a system.")
@click.option("--videos", type=click.Path(path_type=Path), help="Folder of videos named as the sound files.")
@click.option("--clips", default="10", show_default=True, help="How many clips, or their ids separated by commas.")
@click.option("--training", help="Id of the clip to practise on; the first clip not in the test if not given, or none.")
@click.option("--hidden-reference", is_flag=True, help="Add the reference sound as a control.")
@click.option("--low-anchor", is_flag=True, help="Add the reference with one channel on both ears as a control.")
@click.option("--loudness", type=float, default=-26.0, show_default=True, help="Loudness of every sample in LUFS.")
@click.option("--title", default="Listening test: sound for videos", show_default=True)
@click.option("--contact", default="", help="Whom raters can ask, shown with the consent text.")
@click.option("--post", default="", help="Address that responses are sent to when a rater has finished.")
@click.option("--study-id", help="Name of the study; the folder's name if not given.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of clips and of codes.")
@click.option("--allow-missing", type=click.IntRange(0), default=0, help="How many clips may be left out as unusable.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make; it must not exist.")
def page(allow_missing: int, **options: Any) -> None:
    """Make a questionnaire: one static folder that works from a disk, a USB stick or any web server.

    Beside it lies OUT.key.csv, which says which code is which system. Keep it away from raters.
    """
    from visaudio_bench.bench.mos.questionnaire import Wording, build
    from visaudio_bench.lock import hold

    wording = Wording(options["title"], options["contact"], options["post"])
    sources = _sources(options)
    out = options["out"]
    with hold(out.parent, "bench mos page", name=f".{out.name}.in-use"):
        made = build(
            sources,
            out,
            wording=wording,
            study_id=options["study_id"] or out.name,
            loudness=options["loudness"],
            seed=options["seed"],
            progress=lambda line: click.echo(line, err=True),
        )
    click.echo(
        f"{made.folder}/index.html: {made.groups} groups of {made.samples} samples, {made.megabytes:.1f} MB", err=True
    )
    click.echo(f"{made.key}: the key; keep it, and do not publish it with the folder", err=True)
    click.echo(f"collect on this machine: bench mos serve {made.folder}", err=True)
    for failure in made.failures:
        click.echo(f"left out: {failure.clip}: {failure.message}", err=True)
    if len(made.failures) > allow_missing:
        raise BenchError(
            f"{len(made.failures)} of the clips cannot be shown, {allow_missing} allowed; the questionnaire is made of "
            f"the others. Mend them and make it anew, or accept it: it is whole without them."
        )


def _sources(options: dict[str, Any]) -> Sources:
    from visaudio_bench.bench.mos.sources import from_folders, from_run

    chosen = {key: options[key] for key in ("clips", "training", "hidden_reference", "low_anchor", "seed")}
    if options["folders"]:
        if options["suite"] or options["run"] or options["systems"]:
            raise UsageError(
                "give either --system NAME=DIR with --videos, or --suite with --run and --systems, not both."
            )
        return from_folders(options["folders"], options["videos"], **chosen)
    if not (options["suite"] and options["run"] and options["systems"]):
        raise UsageError(
            "a questionnaire needs clips and sounds: --suite S --run RUN --systems a,b,... "
            "or: --system NAME=DIR --system NAME=DIR --videos DIR"
        )
    return from_run(options["suite"], options["run"], options["systems"], **chosen)


@mos.command()
@click.argument("survey", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Other machines reach 0.0.0.0, not 127.0.0.1.")
@click.option("--database", type=click.Path(path_type=Path), help="SQLite file; SURVEY.sqlite if not given.")
def serve(survey: Path, port: int, host: str, database: Path | None) -> None:
    """Show a questionnaire to raters and collect their responses in a database that is only ever added to."""
    from visaudio_bench.bench.mos.server import serve_survey

    serve_survey(survey, host, port, database or survey.with_name(survey.name + ".sqlite"))


@mos.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="CSV file to write; standard output if not given.")
@click.option("--to", "target", type=click.Choice(("long", "sureal", "p808")), default="long", show_default=True)
@click.option("--dimension", help="For sureal and p808, which hold one number a sample.")
def export(database: Path, out: Path | None, target: str, dimension: str | None) -> None:
    """Write the responses in a server's database, or a long responses.csv, as CSV or for another tool."""
    from visaudio_bench.bench.mos.export import export_text
    from visaudio_bench.files import write_text

    exported = export_text(database, target, dimension)
    if out is None:
        click.echo(exported.text, nl=False)
    else:
        write_text(out, exported.text)
    for note in exported.notes:
        click.echo(f"{database}: {note}", err=True)
    click.echo(f"{exported.votes} votes exported", err=True)


@mos.command()
@click.option("--raters", type=click.IntRange(1), default=12, show_default=True)
@click.option("--clips", type=click.IntRange(1), default=10, show_default=True)
@click.option("--systems", type=_List(), default=("A", "B", "C", "D", "E"), help="Names, worst first.")
@click.option("--rater-spread", type=click.FloatRange(0), default=0.45, show_default=True, help="SD of raters' biases.")
@click.option("--clip-spread", type=click.FloatRange(0), default=0.45, show_default=True, help="SD of clips' effects.")
@click.option("--noise", type=click.FloatRange(0), default=0.8, show_default=True, help="SD of everything else.")
@click.option("--careless", type=click.IntRange(0), default=0, help="Raters that vote the same everywhere.")
@click.option("--miswired", type=click.IntRange(0), default=0, help="Raters that hear left and right exchanged.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--form", type=click.Choice(FORMS[1:]), default="long", show_default=True)
@click.option("--study-id", default="simulated", show_default=True)
@click.option("--truth", type=click.Path(path_type=Path), help="JSON file for biases and expected votes.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV file; wide-rater adds .key.csv.")
def simulate(**options: Any) -> None:
    """Write responses of raters that do not exist, with known biases."""
    from visaudio_bench.bench.mos.simulate import Panel, long_rows, to_csv, truth_document
    from visaudio_bench.bench.mos.simulate import simulate as draw
    from visaudio_bench.files import write_json, write_text

    panel = Panel(**{name: options[name] for name in Panel._fields})
    systems, seed, out = options["systems"], options["seed"], options["out"]
    drawn = draw(panel, systems, seed)
    text, key = to_csv(long_rows(drawn, systems, panel, options["study_id"]), options["form"])
    write_text(out, text)
    if key:
        write_text(out.with_suffix(".key.csv"), key)
    if options["truth"]:
        write_json(options["truth"], truth_document(drawn, systems, panel, seed))
    click.echo(f"{out}: {drawn.votes.size} simulated votes", err=True)
