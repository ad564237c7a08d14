"""What was collected with a questionnaire of ours: its answers and its key, found by the name of its folder.

survey/          the folder that `bench mos page` made
survey.sqlite    the answers that `bench mos serve` keeps
survey.key.csv   which code is which system
"""

from __future__ import annotations

from pathlib import Path

from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.response_export import database_rows, is_database
from visaudio_bench.bench.mos.responses import Responses
from visaudio_bench.bench.mos.services import CODE
from visaudio_bench.errors import UsageError
from visaudio_bench.files import read_json

SHOWN = 3


def answers_of(path: Path) -> Path:
    """The file that holds the answers: `path` itself, or the database of the questionnaire that it is the folder of.

    Raises:
        UsageError: a folder without answers.
    """
    if not (path / "survey.json").is_file():
        return path
    database = beside(path, ".sqlite")
    if not database.is_file():
        raise UsageError(
            f"{path} is a questionnaire without answers: {database} does not exist. Collect them with: bench mos serve "
            f"{path}, or give the files that raters saved: --ratings FILE --codes {beside(path, '.key.csv')}"
        )
    return database


def beside(path: Path, suffix: str) -> Path:
    """Name a file that belongs to a questionnaire and lies beside its folder.

    Args:
        path: of the questionnaire's folder.
        suffix: with its dot, such as `.key.csv`.

    Returns:
        `survey` + suffix, in the folder that holds the questionnaire.
    """
    return path.with_name(path.name + suffix)


def key_of(database: Path) -> Path:
    """The key of the questionnaire that a database belongs to.

    Raises:
        UsageError: it is not there.
    """
    key = beside(database.with_suffix(""), ".key.csv")
    if not key.is_file():
        raise UsageError(
            f"{key} does not exist, and the answers name systems by codes. bench mos page wrote the key beside the "
            "questionnaire's folder: --codes FILE"
        )
    return key


def read_database(path: Path) -> Responses | None:
    """The votes in a database of `bench mos serve`, a line a vote; None for a file of another kind.

    Raises:
        UsageError: it holds no votes.
    """
    if not path.is_file() or not is_database(path):
        return None
    rows, notes = database_rows(path)
    if not rows:
        raise UsageError(f"{path} holds no responses yet.")
    columns = {name: [row.get(name, "") for row in rows] for name in COLUMNS}
    return Responses(path, "long", columns, list(range(1, len(rows) + 1)), notes, per_rater=_per_rater(path))


def _per_rater(database: Path) -> int:
    """How many questions each rater was asked, as the questionnaire beside its database says; 0 for all, or unknown."""
    try:
        return int(read_json(database.with_suffix("") / "survey.json")["per_rater"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0


def need_key(responses: Responses) -> None:
    """Refuse answers whose systems are hidden, instead of a table of codes.

    Raises:
        UsageError: the systems are codes of ours, or places in a form.
    """
    if "system" not in responses.columns and "slot" in responses.columns:
        slots = zip(responses.get("group_id"), responses.get("slot"), strict=True)
        raise UsageError(
            f"{responses.path} has places ({'_V'.join(next(slots))}, ...) and no names of systems; the key says which "
            f"system was where: --codes {_key_for(responses)}"
        )
    systems = sorted(set(responses.get("system")))
    if systems and all(CODE.fullmatch(name) for name in systems):
        raise UsageError(
            f"{responses.path}: the systems are codes ({', '.join(systems[:SHOWN])}, ...). The key that bench mos page "
            f"wrote beside the questionnaire's folder says which they are: --codes {_key_for(responses)}"
        )


def _key_for(responses: Responses) -> str:
    """The key with the study's name beside the answers, if there is one."""
    names = {name for name in responses.get("study_id") if name}
    here = [key for name in sorted(names) if (key := responses.path.with_name(f"{name}.key.csv")).is_file()]
    return str(here[0]) if len(here) == 1 else "KEY.csv"
