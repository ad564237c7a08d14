"""Options and endings that several commands share."""

from __future__ import annotations

import math
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # the command line starts without these
    from visaudio_bench.bench.cluster.opening import Machines
    from visaudio_bench.bench.evaluation.plan import Plan, SuiteJob
    from visaudio_bench.bench.evaluation.run_checks import Check
    from visaudio_bench.leaderboards.schema import Run
    from visaudio_bench.leaderboards.tables import Table
    from visaudio_bench.suites.datasets import Reject

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("text", "md", "tex", "csv", "json")

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="Format of the table on stdout.",
)

verbose_option = click.option("-v", "--verbose", is_flag=True, help="All that there is to say of each.")


class Number(click.FloatRange):
    """A number in a range; `nan` and `inf`, which compare with no end of a range, are none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As `click.FloatRange.convert`."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Where networks run: cpu, cuda, cuda:1; auto takes a CUDA device if there is one.",
)

_CLUSTER = (
    click.option(
        "--ray", metavar="ADDRESS",
        help="Let a Ray cluster do the work: HOST:PORT, auto, or local for this machine as one.",
    ),
    click.option(
        "--slurm", is_flag=False, flag_value="submit", type=click.Choice(["submit", "local"]),
        help="Let jobs of Slurm do the work, submitted from here; local tries it with processes of this machine.",
    ),
)  # fmt: skip


def cluster_options(command: Command) -> Command:
    """Options of the commands that many machines can work for."""
    for option in reversed(_CLUSTER):
        command = option(command)
    return command


def find_machines(ray: str | None, slurm: str | None, workers: int | None) -> Machines:
    """The machines that `--ray`, `--slurm` and `--workers` name.

    Args:
        ray: address of a cluster, if one is to work.
        slurm: how Slurm is to work, if it is.
        workers: units at once; None for what the machines can do.

    Returns:
        The choice; nothing has been connected to.

    Raises:
        UsageError: both kinds are asked for.
    """
    from visaudio_bench.bench.cluster.opening import Machines

    machines = Machines(ray, slurm, workers)
    machines.require_one_kind()
    return machines


mos_option = click.option(
    "--mos",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Put the mean opinion scores of a mos.json beside the results.",
)


def split_names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Take `--suite a,b --suite c` for a, b and c; a comma in the name of a file that is there divides nothing.

    Args:
        context: of the command.
        parameter: the option.
        values: what was written behind each of its occurrences.

    Returns:
        The names, in the order in which they were written.
    """
    del context, parameter
    return tuple(name.strip() for value in values for name in _divided(value) if name.strip())


def _divided(value: str) -> list[str]:
    from visaudio_bench.files import is_there

    first, _, file = value.partition(":")
    if "," in first:  # several names, of which the last may have a file
        before, _, last = value.partition(",")
        return [before, *_divided(last)]
    name, named, path = file.partition("=")
    exists = is_there(file) if file else False
    return [value] if exists or (named and "," not in name and is_there(path)) else value.split(",")


own_suite_option = click.option(
    "--suite",
    "suites",
    multiple=True,
    callback=split_names,
    metavar="NAME,...",
    help="Suites of this machine that the run was made on, where their names do not say it: folder:DIR.",
)


def run_options(command: Command) -> Command:
    """Options of the commands that score: metrics, output, limits."""
    options = (
        click.option(
            "--metric", "metrics", multiple=True, callback=split_names, metavar="NAME,...",
            help="Metrics to compute: keys or titles, `default`, or `all`. See: bench list metrics",
        ),
        click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/<suites>]"),
        click.option("--replace", is_flag=True, help="Give up the run in that folder; else this one adds to it."),
        click.option("--workers", type=click.IntRange(1), help="Processes for the work.  [default: every core]"),
        *_CLUSTER,
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random."),
        click.option(
            "--allow-missing", type=click.IntRange(0), default=0, show_default=True, metavar="N",
            help="Let up to N clips have sounds that are left out or degenerate without failing the run.",
        ),
        device_option,
        click.option(
            "--dtype", type=click.Choice(["float32", "tf32", "bfloat16"]), default="float32", show_default=True,
            help="Numbers that networks compute with: bfloat16, and tf32 on a card, are faster and change the scores a "
            "little; recorded.",
        ),
        click.option(
            "--backbone", "backbones", multiple=True, metavar="hear:MODULE#WEIGHTS",
            help="Add FD and KAD of a module with the HEAR API, in its own precision. May be given several times.",
        ),
        click.option(
            "--compat", type=click.Choice(["av-benchmark"]),
            help="Make the choices of the reference implementation where they differ from ours; recorded.",
        ),
        click.option(
            "--companions", type=click.Path(path_type=Path), metavar="DIR",
            help="What other programs say of the clips, for av_align and foa_angular: events/, boxes/, foa/.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Print the plan and what it will take in time, memory and disk, and stop."
        ),
        click.option(
            "--plan-for", metavar="cores=N,speed=X,cards=N",
            help="Let --dry-run predict for a machine with so many cores at work, each X times as fast as the one that "
            "rates were measured on, and graphics cards.  [default: this one, speed=1]",
        ),
        format_option,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def make_plan(jobs: tuple[SuiteJob, ...], default_out: str, options: dict[str, Any]) -> Plan:
    """Make the plan that the shared options ask for.

    Args:
        jobs: what is to be scored.
        default_out: run folder where `--out` names none.
        options: values of the shared options by name.

    Returns:
        The plan; nothing has been computed.

    Raises:
        UsageError: an option is of no use, or its value none.
    """
    from visaudio_bench.bench.evaluation.companions import refuse_stranger
    from visaudio_bench.bench.evaluation.metric_choice import find_metrics
    from visaudio_bench.bench.evaluation.plan import Plan, open_backbones
    from visaudio_bench.bench.evaluation.rates import machine_of
    from visaudio_bench.errors import UsageError
    from visaudio_bench.metrics.protocol import OURS, PROTOCOLS
    from visaudio_bench.pool import available_cores

    machines = find_machines(options.get("ray"), options.get("slurm"), options["workers"])
    device = find_device(options["device"], machines)
    workers = options["workers"] or available_cores()
    planned_for = options.get("plan_for")
    if planned_for is not None and not options["dry_run"]:
        raise UsageError("--plan-for is for --dry-run: a run is on this machine.")
    if machines.many and options["dry_run"]:
        raise UsageError(
            "--dry-run predicts for one machine, which --plan-for may describe. Leave --ray or --slurm out."
        )
    companions = options.get("companions")
    if companions is not None:
        refuse_stranger(Path(companions))
    return Plan(
        jobs=jobs,
        metrics=find_metrics(options["metrics"]),
        out=options["out"] or Path("runs") / default_out,
        seed=options["seed"],
        device=device,
        workers=workers,
        allow_missing=options["allow_missing"],
        protocol=PROTOCOLS[options["compat"]] if options["compat"] else OURS,
        dtype=options["dtype"],
        backbones=open_backbones(options["backbones"], jobs, device),
        replace=options.get("replace", False),
        companions=None if companions is None else Path(companions),
        machine=machine_of(planned_for, workers) if planned_for is not None else None,
        machines=machines,
    )


def find_device(name: str, machines: Machines | None = None) -> str:
    """The torch device of `--device`, checked before any work is done; torch itself only where it can answer otherwise.

    Args:
        name: as it was given.
        machines: who will compute. The machines of a cluster may have cards where this one has none.

    Returns:
        Its name; of a cluster `cuda` stands for the card that a worker is given.

    Raises:
        UsageError: it is not there, or torch does not know it.
    """
    if machines is not None and machines.many and name.startswith("cuda"):
        from visaudio_bench.errors import UsageError

        if name != "cuda":
            raise UsageError(
                f"--device {name} is a card of one machine; a cluster gives each worker one: --device cuda"
            )
        return name
    if name == "cpu" or (name == "auto" and not _has_driver()):
        return "cpu"
    import torch

    from visaudio_bench.errors import UsageError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name} cannot be used: {reason}. See what there is: bench doctor") from error
    return name


def _has_driver() -> bool:
    """Whether there is a driver by which torch could reach a device: NVIDIA's library, or the device file of AMD's."""
    import ctypes
    import os

    if any(Path(file).exists() for file in ("/dev/kfd", "/dev/dxg")):
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def print_tables(tables: Sequence[Table], form: str) -> None:
    """Print tables on stdout, and nothing else there.

    Args:
        tables: in their order.
        form: `text`, `md`, `tex`, `csv` or `json`.
    """
    from visaudio_bench.leaderboards.tables import render

    terminal = sys.stdout.isatty()
    width = max(shutil.get_terminal_size().columns, 80) if terminal else None
    click.echo(render(tables, form, colour=terminal, width=width), nl=False)  # type: ignore[arg-type]


def print_list(table: Table, form: str, *, verbose: bool, long: Collection[str], command: str) -> None:
    """Print a list; as text, without what only those want to read who ask for more.

    Args:
        table: the list.
        form: as `print_tables` takes it.
        verbose: more was asked for.
        long: keys of the columns that are left to `-v`.
        command: that printed the list.
    """
    from dataclasses import replace

    if form == "text" and not verbose:
        kept = [number for number, column in enumerate(table.columns) if column.key not in long]
        table = replace(
            table,
            columns=tuple(table.columns[number] for number in kept),
            rows=tuple(replace(row, cells=tuple(row.cells[number] for number in kept)) for row in table.rows),
            notes=(*table.notes, f"More of each: {command} -v"),
        )
    print_tables([table], form)


def with_mos(tables: Sequence[Table], mos: Path | None, run: Run) -> list[Table]:
    """Put the opinions of a `mos.json`, where one is given, to the right of a run's tables.

    Args:
        tables: of the run.
        mos: the file, None for none.
        run: what its `results.json` says.

    Returns:
        The tables, in the same order.
    """
    if mos is None:
        return list(tables)
    from visaudio_bench.leaderboards.opinion_tables import read_opinions, with_opinions
    from visaudio_bench.leaderboards.results import info_from
    from visaudio_bench.leaderboards.suite_tables import row_label

    _, systems = info_from(run.body)
    titles = {system.name: row_label(system) for several in systems.values() for system in several}
    studies = read_opinions(mos)
    return [with_opinions(table, studies, titles) for table in tables]


def print_checks(title: str, checks: Sequence[Check], form: str) -> None:
    """Print the outcome of checks, and fail the command if anything is wrong.

    Args:
        title: of the table.
        checks: of one run folder.
        form: of the table on stdout.

    Raises:
        BenchError: something is wrong; the table is printed by then.
    """
    from visaudio_bench.bench.evaluation.run_checks import check_table, wrong
    from visaudio_bench.errors import BenchError

    print_tables([check_table(title, checks)], form)
    count = wrong(checks)
    if count:
        raise BenchError(f"{count:,} {'thing is' if count == 1 else 'things are'} wrong, as told above.")


def finish(
    plan: Plan,
    form: str,
    *,
    dry_run: bool,
    allow_missing_suite: bool = False,
    beside: Callable[[Path], Sequence[Table]] | None = None,
) -> None:
    """Carry out a plan, print its tables, and say what could not be used.

    Args:
        plan: what is to be done.
        form: of the tables on stdout.
        dry_run: only say what would be done.
        allow_missing_suite: a suite that is not here does not fail the run.
        beside: further tables, made from the run folder.

    Raises:
        BenchError: more clips count against the run than allowed, or a suite is not here; everything is written and
            printed by then.
    """
    from visaudio_bench.bench.console import note
    from visaudio_bench.bench.evaluation.execution import execute
    from visaudio_bench.bench.evaluation.run_writing import counted, fate_of, unusable
    from visaudio_bench.errors import BenchError

    finished = execute(plan, dry_run=dry_run)
    if finished is None:
        return
    print_tables([*finished.tables, *(beside(plan.out) if beside else ())], form)
    if plan.left_out:
        note(f"left out: {plan.left_out}")
    bad = unusable(finished.failures)
    for clip, failures in list(bad.items())[:10]:
        for failure in failures[:3]:
            who = f" {failure.system}" if failure.system else ""
            note(f"{fate_of(failure)}: {clip}{who}: {failure.message}")
    if len(bad) > 10:
        note(f"... and {len(bad) - 10} more clips")
    pages = plan.out / "pages"
    look = _look_at(plan.out, pages, finished.tables)
    note(f"saved in {plan.out}; {look}")
    note(f"to listen too: {shlex.join(['bench', 'report', str(plan.out), '--html', str(pages)])}")
    if plan.absent_suites and not allow_missing_suite:
        names = ", ".join(plan.absent_suites)
        raise BenchError(f"not evaluated: {names}; the others are. To accept that: --allow-missing-suite")
    if len(bad) > plan.allow_missing:
        raise BenchError(
            f"{counted(bad, plan.allow_missing)}. Every one is listed in {plan.out / 'failures.jsonl'}. "
            f"Mend them, or accept the table as it is: --allow-missing {len(bad)}"
        )


def _look_at(run: Path, pages: Path, tables: Sequence[Table]) -> str:
    """Write the pages of a run without sounds and pictures, which is cheap; which to open, or why there are none."""
    from visaudio_bench.bench.report_pages.report_folder import write_report
    from visaudio_bench.errors import UsageError

    try:
        return f"to look at it: {write_report([run], pages, tables, workers=0).page}"
    except UsageError as error:  # no library of charts, somebody else's folder: the run is complete without its pages
        return f"no pages: {error}"


def refuse_unexpected(rejects: Iterable[Reject], folder: Path) -> None:
    """Fail a command whose result is written, because some clips met errors that nobody expected; name each.

    Args:
        rejects: clips that were left out.
        folder: where their tracebacks lie.

    Raises:
        BenchError: there are such clips.
    """
    from visaudio_bench.bench.console import note
    from visaudio_bench.errors import BenchError
    from visaudio_bench.guard import TRACES, UNEXPECTED, report

    unexpected = [reject for reject in rejects if reject.reason in UNEXPECTED]
    for reject in unexpected:
        note(report(f'clip "{reject.clip_id}"', reject.message, folder / TRACES))
    if unexpected:
        raise BenchError(
            f"{len(unexpected)} {'clip' if len(unexpected) == 1 else 'clips'} met an unexpected error; the others are "
            "as told above. The same command tries them again."
        )
