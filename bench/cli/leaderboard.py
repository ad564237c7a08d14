"""`bench leaderboard`: measured results beside the numbers of papers."""

from __future__ import annotations

from pathlib import Path

import click

from visaudio_bench.bench.cli.common import format_option, mos_option, print_tables, with_mos


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@mos_option
@format_option
def leaderboard(runs: tuple[Path, ...], mos: Path | None, form: str) -> None:
    """Print the results of RUNs in one table beside published ones, or the published tables alone.

    Runs of different systems, suites and metrics are merged where their numbers compare, and refused where they do not.
    Suites named biaudio, music and fairplay stand beside the test sets of the ViSAudio paper; systems named visaudio,
    thinksound, audiox, visage and see2sound beside its methods. Example: bench run --suite folder:data/biaudio
    --system outputs:visaudio=DIR.
    """
    from visaudio_bench.bench.evaluation.joint_runs import join_runs, joint_tables
    from visaudio_bench.errors import UsageError
    from visaudio_bench.leaderboards.beside_published import comparison_tables, published_tables
    from visaudio_bench.leaderboards.published_tables import read_published
    from visaudio_bench.leaderboards.schema import read_results

    if mos and len(runs) != 1:
        raise UsageError(f"--mos stands beside the results of one RUN, {len(runs)} were given; name the RUN it is of.")
    published = read_published()
    if not runs:
        print_tables(published_tables(published), form)
        return
    contents = [(str(run), read_results(run)) for run in dict.fromkeys(runs)]
    joint = join_runs([(Path(name), run) for name, run in contents])
    tables = [*joint_tables(joint), *comparison_tables(contents, published)]
    print_tables(with_mos(tables, mos, contents[0][1]), form)
