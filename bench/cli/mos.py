"""`bench mos`: listening tests, from the questionnaire to the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visaudio_bench.bench.cli.common import Number, print_tables
from visaudio_bench.bench.cli.mos_options import FORMS, NameList, read_files, reading, rules_of, several
from visaudio_bench.bench.cli.mos_plan import plan
from visaudio_bench.bench.mos.questions import DESIGNS
from visaudio_bench.bench.mos.service_forms import FORM_SERVICES, WRITERS
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.leaderboards.opinion_tables import METHODS, TESTS
from visaudio_bench.leaderboards.tables import FORMATS

if TYPE_CHECKING:
    from visaudio_bench.bench.mos.study_material import StudyMaterial

CI_METHODS = tuple(METHODS)
TABLES = ("mos", "pairs", "agreement", "raters", "clips", "votes")
EXAMPLES = """\b
Examples:
  bench mos page --suite simroom --run runs/simroom --systems a,b,c,d,e --clips 10 --out survey
  bench mos serve survey
  bench mos --ratings survey
  bench mos --ratings responses.csv --ci crossed,paper --show mos,pairs --format md
  bench mos --ratings responses.csv --screen incomplete,headphones,orientation
"""


_computing = several(
    click.option("--ci", type=NameList(CI_METHODS), default=("crossed",), help=f"Intervals: {', '.join(CI_METHODS)}."),
    click.option("--confidence", type=Number(0.5, 0.999), default=0.95, show_default=True),
    click.option("--screen", type=NameList(), default=(), help="Rules that leave raters out, such as incomplete,trap."),
    click.option(
        "--test",
        type=click.Choice(tuple(TESTS)),
        default="crossed",
        show_default=True,
        help="What marks stand for: other raters and clips, or other raters and these very clips.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap."),
    click.option(
        "--show", type=NameList((*TABLES, "all")), default=("mos",), help=f"Tables: {', '.join(TABLES)}, all."
    ),
    click.option("--against", type=click.Path(path_type=Path), help="A run: do its metrics agree with listeners?"),
    click.option("--digits", type=click.IntRange(1, 3), default=2, show_default=True, help="Decimals of the tables."),
    click.option("--format", "form_out", type=click.Choice(FORMATS), default="text"),
    click.option("--out", type=click.Path(path_type=Path), default=Path("runs/mos"), show_default=True),
)


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@reading
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
    from visaudio_bench.bench.mos.matching import matches, matching_studies
    from visaudio_bench.bench.mos.pointing import localisation_studies, points
    from visaudio_bench.bench.mos.preference import compares, preference_studies
    from visaudio_bench.bench.mos.responses import rules_for
    from visaudio_bench.bench.mos.study import studies
    from visaudio_bench.bench.mos.study_files import save, shown
    from visaudio_bench.lock import hold

    screen = options["screen"]
    rules = rules_of(options, screen)
    files = read_files(options, rules)
    settings = AnalysisSettings(options["ci"], options["confidence"], screen, options["seed"], options["test"])
    order = rules.systems or tuple(dict.fromkeys(name for responses in files for name in responses.order))
    compared = [responses for responses in files if compares(responses)]
    pointed = [responses for responses in files if points(responses)]
    matched = [responses for responses in files if matches(responses)]
    rated = [each for each in files if not (compares(each) or points(each) or matches(each))]
    analysed = []
    for own in dict.fromkeys(rules_for(responses, rules) for responses in rated):
        alike = [responses for responses in rated if rules_for(responses, rules) == own]
        analysed += [analyse(study, settings, order) for study in studies(alike, own)]
    if options["against"]:
        from visaudio_bench.bench.mos.against import agreement_with

        for study in analysed:
            study["against"] = agreement_with(study, options["against"], settings.confidence, settings.seed)
    analysed += preference_studies(compared, rules.systems, settings.confidence, settings.seed)
    analysed += localisation_studies(pointed, rules, settings.confidence, order)
    analysed += matching_studies(matched, rules, settings.confidence, order)
    names = TABLES if "all" in options["show"] else options["show"]
    with hold(options["out"], "bench mos"):
        save(options["out"], analysed, names, options["digits"])
    click.echo(f"saved in {options['out']}: mos.json, mos.csv, mos.md, mos.tex, mos.txt", err=True)
    print_tables(shown(analysed, names, options["digits"]), options["form_out"])


mos.add_command(plan)


@mos.command()
@click.option("--suite", help="Suite that the clips come from.")
@click.option("--run", type=click.Path(path_type=Path), help="Run folder with audio/<suite>/<system>/<clip>.wav.")
@click.option("--systems", type=NameList(), help="Systems of the run to compare.")
@click.option("--system", "folders", multiple=True, metavar="NAME=DIR", help="A folder of sound files as a system.")
@click.option("--videos", type=click.Path(path_type=Path), help="Folder of videos named as the sound files.")
@click.option("--clips", default="10", show_default=True, help="How many clips, or their ids separated by commas.")
@click.option("--training", help="Id of the clip to practise on; the first clip not in the test if not given, or none.")
@click.option("--hidden-reference", is_flag=True, help="Add the reference sound as a control.")
@click.option("--low-anchor", is_flag=True, help="Add the reference with one channel on both ears as a control.")
@click.option("--loudness", type=Number(), default=-26.0, show_default=True, help="Loudness of every sample in LUFS.")
@click.option("--title", default="Listening test: sound for videos", show_default=True)
@click.option("--contact", default="", help="Whom raters can ask, shown with the consent text.")
@click.option("--consent", type=click.Path(path_type=Path), help="Text file with the consent text of your institution.")
@click.option("--post", default="", help="Address that responses are sent to when a rater has finished.")
@click.option("--design", type=click.Choice(tuple(DESIGNS)), default="rating", show_default=True)
@click.option("--directions", type=click.Path(path_type=Path), help="Of the design localisation: clip, azimuth_deg.")
@click.option(
    "--per-rater", type=click.IntRange(1), help="How many of the questions each rater is asked; all if not given."
)
@click.option("--for", "service", type=click.Choice(tuple(WRITERS)), help="Also write what to paste into this service.")
@click.option("--address", default="", help="With --for: where the folder will be, such as https://example.org/survey.")
@click.option("--study-id", help="Name of the study; the folder's name if not given.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of clips and of codes.")
@click.option("--allow-missing", type=click.IntRange(0), default=0, help="How many clips may be left out as unusable.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make; it must not exist.")
def page(allow_missing: int, **options: Any) -> None:
    """Make a questionnaire: one static folder that works from a disk, a USB stick or any web server.

    Beside it lies OUT.key.csv, which says which code is which system. Keep it away from raters.
    """
    from visaudio_bench.bench.mos.page_data import Design, Wording
    from visaudio_bench.bench.mos.pointing import read_directions, with_truth
    from visaudio_bench.bench.mos.questionnaire import build
    from visaudio_bench.lock import hold
    from visaudio_bench.sheets import read_text

    service, address = options["service"] or "", options["address"]
    if bool(service) != bool(address):
        raise UsageError(
            "--for SERVICE and --address URL go together: the service's participants open the videos at that address."
        )
    _check_design(options, service in FORM_SERVICES)
    consent = read_text(options["consent"])[0].strip() if options["consent"] else ""
    if (service or options["post"]) and not consent:
        raise UsageError(f"people of {service or 'a crowd'} are asked for their consent in your words: --consent FILE")
    wording = Wording(options["title"], options["contact"], options["post"], service, address, consent)
    material = _material(options)
    truth = options["directions"]
    azimuths = with_truth(read_directions(truth), [clip.id for clip in material.clips], truth) if truth else {}
    design = Design(options["design"], options["per_rater"] or 0, azimuths)
    out = options["out"]
    with hold(out.parent, "bench mos page", name=f".{out.name}.in-use"):
        made = build(
            material,
            out,
            wording=wording,
            study_id=options["study_id"] or out.name,
            design=design,
            loudness=options["loudness"],
            seed=options["seed"],
            progress=lambda line: click.echo(line, err=True),
        )
    click.echo(
        f"{made.folder}/index.html: {made.groups} groups of {made.samples} samples, {made.megabytes:.1f} MB", err=True
    )
    click.echo(f"{made.key}: the key; keep it, and do not publish it with the folder", err=True)
    if made.paste:
        click.echo(f"{made.paste}: for {service}; put the folder at {address}", err=True)
    click.echo(f"collect on this machine: bench mos serve {made.folder}", err=True)
    for failure in made.failures:
        click.echo(f"left out: {failure.clip}: {failure.message}", err=True)
    if len(made.failures) > allow_missing:
        raise BenchError(
            f"{len(made.failures)} of the clips cannot be shown, {allow_missing} allowed; the questionnaire is made of "
            f"the others. Mend them and make it anew, or accept it: it is whole without them."
        )


def _check_design(options: dict[str, Any], in_a_form: bool) -> None:
    """Refuse options that do not belong to the design, and set those that do."""
    name = options["design"]
    if name == "mushra":  # it is none without them
        options["hidden_reference"] = options["low_anchor"] = True
    if in_a_form and options["per_rater"]:
        raise UsageError(f"--per-rater: a form of {options['service']} asks everybody everything.")
    if name != "rating" and in_a_form:
        raise UsageError(f"--for {options['service']} writes questions of --design rating only.")
    if (name == "localisation") != bool(options["directions"]):
        raise UsageError(
            "--design localisation and --directions FILE go together: a list with the columns clip and azimuth_deg "
            "(positive left) says where the sounds are."
        )


def _material(options: dict[str, Any]) -> StudyMaterial:
    from visaudio_bench.bench.mos.study_material import from_folders, from_run

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
@click.option(
    "--allow-origin", "origins", multiple=True, help="Another page that may post, such as https://example.org."
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="File with a password: who has it takes the answers from /responses.csv. Without it nobody can.",
)
def serve(
    survey: Path, port: int, host: str, database: Path | None, origins: tuple[str, ...], password_file: Path | None
) -> None:
    """Show a questionnaire to raters and collect their responses in a database that is only ever added to."""
    from visaudio_bench.bench.mos.server import serve_survey
    from visaudio_bench.sheets import read_text

    password = read_text(password_file)[0].strip() if password_file else ""
    if password_file and not password:
        raise UsageError(f"{password_file} is empty; a password was expected there.")
    serve_survey(survey, host, port, database or survey.with_name(survey.name + ".sqlite"), origins, password)


@mos.command()
@click.argument("database", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="CSV file to write; standard output if not given.")
@click.option("--to", "target", type=click.Choice(("long", "sureal", "p808")), default="long", show_default=True)
@click.option("--dimension", help="For sureal and p808, which hold one number a sample.")
def export(database: Path, out: Path | None, target: str, dimension: str | None) -> None:
    """Write the responses in a server's database, or a long responses.csv, as CSV or for another tool."""
    from visaudio_bench.bench.mos.response_export import export_text
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
@click.option("--design", type=click.Choice(tuple(DESIGNS)), default="rating", show_default=True)
@click.option("--raters", type=click.IntRange(1), default=12, show_default=True)
@click.option("--clips", type=click.IntRange(1), default=10, show_default=True)
@click.option("--systems", type=NameList(), default=("A", "B", "C", "D", "E"), help="Names, worst first.")
@click.option("--rater-spread", type=Number(0), default=0.45, show_default=True, help="SD of raters' biases.")
@click.option("--clip-spread", type=Number(0), default=0.45, show_default=True, help="SD of clips' effects.")
@click.option("--noise", type=Number(0), default=0.8, show_default=True, help="SD of everything else.")
@click.option(
    "--careless", type=click.IntRange(0), default=0, help="Raters that vote the same everywhere, or anything."
)
@click.option("--miswired", type=click.IntRange(0), default=0, help="Raters that hear left and right exchanged.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--form", type=click.Choice(FORMS[1:]), default="long", show_default=True)
@click.option("--study-id", default="simulated", show_default=True)
@click.option("--truth", type=click.Path(path_type=Path), help="JSON file for biases and expected votes.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV file; wide-rater adds .key.csv.")
def simulate(**options: Any) -> None:
    """Write responses of raters that do not exist, with known biases.

    Spreads are steps of the scale of five; what they are in the other designs, docs/listening-tests.md says.
    """
    from visaudio_bench.bench.mos.simulate import Panel, long_rows, to_csv, truth_document
    from visaudio_bench.bench.mos.simulate import simulate as draw
    from visaudio_bench.bench.mos.simulated_designs import design_rows
    from visaudio_bench.files import write_json, write_text

    panel = Panel(**{name: options[name] for name in Panel._fields})
    systems, seed, out = options["systems"], options["seed"], options["out"]
    if options["design"] == "rating":
        drawn = draw(panel, systems, seed)
        rows = long_rows(drawn, systems, panel, options["study_id"])
        if options["truth"]:
            write_json(options["truth"], truth_document(drawn, systems, panel, seed))
    elif options["truth"] or options["form"] != "long":
        raise UsageError(
            f"--truth and --form are for --design rating; {options['design']} is written in the form long."
        )
    else:
        rows = design_rows(options["design"], panel, systems, options["study_id"], seed)
    text, key = to_csv(rows, options["form"])
    write_text(out, text)
    if key:
        write_text(out.with_suffix(".key.csv"), key)
    click.echo(f"{out}: {len(rows)} simulated votes", err=True)
