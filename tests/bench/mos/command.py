"""`bench mos` as tests call it."""

from pathlib import Path

from click.testing import CliRunner, Result

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.errors import UsageError


def run(*arguments: object) -> Result:
    """What `bench mos` with these arguments answers; an error of ours is its `exception`."""
    return CliRunner().invoke(mos, [str(argument) for argument in arguments])


def write_responses(path: Path, rows: list[str], header: str) -> Path:
    """A file of responses."""
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def refused(*arguments: object) -> str:
    """What a user is told whose arguments or files are wrong."""
    result = run(*arguments)
    assert isinstance(result.exception, UsageError), (result.output, result.exception)
    return str(result.exception)
