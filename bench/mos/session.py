"""What a post of the questionnaire may hold: one whole session, every field of it within its bounds.

Nothing gets in that cannot be stored, exported and read again. Each column has a pattern or a range of its own; what
the study knows (clips, codes, dimensions, the scale) is compared with it. Values are kept as they are written in
responses.csv: an integer as ASCII digits without leading zeros.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from visaudio_bench.bench.mos.questions import CHECK_OUTCOMES, COLUMNS, COMPARED, DESIGNS, DEVICES, TOGETHER
from visaudio_bench.shapes import require

Survey = Mapping[str, Any]
Vote = dict[str, str]
LONGEST = 255  # characters of any text; ids of clips are the longest
LARGEST = 10**15
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,9}")
SHOWN = 40  # characters of a refused value that the answer repeats


class RefusedError(Exception):
    """A post that is not kept, with its HTTP status."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


def _pattern(text: str, expected: str) -> Callable[[str], str]:
    """A check of a text: returns what was expected, or nothing where it fits."""
    compiled = re.compile(text)
    return lambda value: "" if compiled.fullmatch(value) else expected


def _between(low: int, high: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        fits = INTEGER.fullmatch(value) and low <= int(value) <= high
        return "" if fits else f"an integer from {low} to {high}"

    return check


def _or_nothing(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: check(value) and f"{check(value)}, or nothing" if value else ""


def _one_of(*names: str) -> Callable[[str], str]:
    listed = " or ".join(json.dumps(name) for name in names[:8])
    return lambda value: "" if value in names else listed


_NAME = _pattern(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name of up to 64 letters, digits, - and _")
# Whatever the study, these columns are so; `_schema` adds what the study says.
FIELDS: dict[str, Callable[[str], str]] = {
    "session_id": _NAME,
    "rater_id": _NAME,
    "played_ratio": _or_nothing(_pattern(r"0(\.[0-9]{1,6})?|1(\.0{1,6})?", "a share from 0 to 1")),
    "n_plays": _or_nothing(_between(0, 100_000)),
    "rating_ms": _or_nothing(_between(0, 10**9)),
    "headphone_check": _one_of("", *CHECK_OUTCOMES),
    "lr_check": _one_of("", *CHECK_OUTCOMES),
    "listening_device": _one_of("", *DEVICES),
    "timestamp_utc": _or_nothing(
        _pattern(
            r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,6})?Z",
            "a time such as 2026-01-31T12:00:00Z",
        )
    ),
    "tool": _pattern(r"[A-Za-z0-9 ._+-]{0,64}", "up to 64 plain characters"),
    "tool_version": _pattern(r"[A-Za-z0-9._+-]{0,32}", "up to 32 letters, digits and dots"),
    "completion_check": _one_of(""),
    "role": _one_of(""),  # roles and right answers stand in the key; whoever votes does not know them
    "expected": _one_of(""),
}


_ASKED = {
    "study_id": str,
    "suite": str,
    "design?": frozenset(DESIGNS),
    "per_rater?": int,
    "columns": [frozenset(COLUMNS)],
    "scale": [int],
    "dimensions": [{"key": str}],
    "groups": [{"id": str, "clip": str, "samples": [str]}],
}


def require_survey(survey: Any) -> None:
    """Refuse what is no questionnaire that answers could be compared with.

    Raises:
        ValueError: the first thing that is wrong, with its place.
    """
    require(survey, _ASKED, "survey.json")
    together = TOGETHER.get(survey.get("design", ""))
    if together and "per_rater" not in survey:
        raise ValueError("survey.json.per_rater is missing")
    if len(survey["scale"]) != 2:
        raise ValueError(f"survey.json.scale is {survey['scale']}, its two ends were expected")
    for name in ("columns", "dimensions", "groups"):
        if not survey[name]:
            raise ValueError(f"survey.json.{name} is empty")
    wanted = together or len(survey["groups"][0]["samples"])
    for number, group in enumerate(survey["groups"]):
        if not group["samples"] or len(group["samples"]) != wanted:
            raise ValueError(
                f"survey.json.groups[{number}].samples are {len(group['samples'])}, {max(wanted, 1)} were expected"
            )


def _schema(survey: Survey) -> dict[str, Callable[[str], str]]:
    groups = survey["groups"]
    codes = [code for group in groups for code in group["samples"]]
    return FIELDS | {
        "study_id": _one_of(survey["study_id"]),
        "suite": _one_of(survey["suite"]),
        "group_id": _one_of(*(group["id"] for group in groups)),
        "clip_id": _one_of(*(group["clip"] for group in groups)),
        "system": _one_of(*codes),
        "compared_with": _one_of(*(codes if survey.get("design") in COMPARED else [""])),
        "dimension": _one_of(*(dimension["key"] for dimension in survey["dimensions"])),
        "rating": _one_of("1", "-1") if survey.get("design") == "matching" else _between(*survey["scale"]),
        "slot": _between(1, len(groups[0]["samples"])),
        "group_order": _between(1, len(groups)),
    }


def check_session(body: bytes, survey: Survey) -> list[Vote]:
    """Take a post apart, if it is exactly one session of this questionnaire.

    Args:
        body: of the post, JSON.
        survey: data of the page.

    Returns:
        The votes, each with a text for every column of the page.

    Raises:
        RefusedError: anything else, with what is wrong.
    """
    columns, rows = _parsed(body)
    if columns != survey["columns"] or not isinstance(rows, list):
        raise RefusedError(400, "not a session: an object with columns and rows was expected")
    known = _schema(survey)
    schema = {name: known[name] for name in survey["columns"]}  # an older page has fewer columns
    votes = [_vote(row, schema) for row in rows]
    if survey.get("design") in TOGETHER:
        _check_items(votes, survey)
    else:
        groups = _shown(votes, survey)
        _check_whole(votes, groups, survey)
        _check_places(votes, groups)
    for name in ("session_id", "rater_id"):
        if len({vote[name] for vote in votes}) != 1:
            raise RefusedError(400, f"{name}: one name for the whole session was expected")
    return votes


def _parsed(body: bytes) -> tuple[Any, Any]:
    try:
        value = json.loads(body, parse_constant=_no_number)
        return value["columns"], value["rows"]
    # ValueError: not JSON, not UTF-8, or a number of more digits than Python reads.
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError(400, "not a session: an object with columns and rows was expected") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _vote(row: Any, schema: Mapping[str, Callable[[str], str]]) -> Vote:
    if not isinstance(row, list) or len(row) != len(schema):
        raise RefusedError(400, f"a row of {len(schema)} values was expected")
    vote = {}
    for (name, check), value in zip(schema.items(), row, strict=True):
        text = _text(value)
        if text is None:
            raise RefusedError(400, f"{name}: a number, or a text of up to {LONGEST} characters was expected")
        expected = check(text)
        if expected:
            raise RefusedError(400, f"{name}: {expected} was expected, got {text[:SHOWN]!a}")
        vote[name] = text
    return vote


def _text(value: Any) -> str | None:
    """A JSON value as responses.csv has it; None for what is neither text nor a number of reasonable length."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str):
        return value if len(value) <= LONGEST else None
    return str(value) if abs(value) < LARGEST else None


def _shown(votes: Sequence[Vote], survey: Survey) -> list[dict[str, Any]]:
    """The groups that a rater was asked about: all, or those that votes are of where each is asked a part."""
    groups: list[dict[str, Any]] = survey["groups"]
    share = survey.get("per_rater") or len(groups)
    given = {vote["group_id"] for vote in votes}
    shown = groups if share >= len(groups) else [group for group in groups if group["id"] in given]
    if len(shown) != share:
        raise RefusedError(400, f"{len(shown)} different groups, the questionnaire asks {share}")
    return shown


def _check_whole(votes: Sequence[Vote], groups: Sequence[dict[str, Any]], survey: Survey) -> None:
    expected = {
        (code, dimension["key"]) for group in groups for code in group["samples"] for dimension in survey["dimensions"]
    }
    given = [(vote["system"], vote["dimension"]) for vote in votes]
    if len(given) != len(set(given)) or set(given) != expected:
        raise RefusedError(400, f"{len(set(given))} different votes, the questionnaire has {len(expected)}")


def _check_places(votes: Sequence[Vote], groups: Sequence[dict[str, Any]]) -> None:
    """Every code is of its own group and clip, and has one slot of its own; groups come one after the other."""
    home = {code: (group["id"], group["clip"]) for group in groups for code in group["samples"]}
    slots: dict[tuple[str, str], str] = {}
    orders: dict[str, str] = {}
    for vote in votes:
        code, group = vote["system"], vote["group_id"]
        if (group, vote["clip_id"]) != home[code]:
            raise RefusedError(400, f"{code} is of group {home[code][0]}, clip {home[code][1]}")
        if slots.setdefault((group, vote["slot"]), code) != code:
            raise RefusedError(400, f"two samples of group {group} are in slot {vote['slot']}")
        if orders.setdefault(vote["group_order"], group) != group:
            raise RefusedError(400, f"two groups are the {vote['group_order']}. in order")
    if len(slots) != len(home) or len(orders) != len(groups):
        raise RefusedError(400, "a sample has two slots, or a group two places in the order")


def _check_items(votes: Sequence[Vote], survey: Survey) -> None:
    """As many different questions as a rater is asked, each with its own samples, one after the other."""
    groups = {group["id"]: group for group in survey["groups"]}
    wanted = survey["per_rater"] or len(groups)
    given = {vote["group_id"] for vote in votes}
    if len(votes) != wanted or len(given) != wanted:
        raise RefusedError(400, f"{len(given)} different questions, the questionnaire asks {wanted}")
    for vote in votes:
        group = groups[vote["group_id"]]
        shown = {vote["system"], vote["compared_with"]} - {""}
        if vote["clip_id"] != group["clip"] or shown != set(group["samples"]):
            raise RefusedError(400, f"these are not the samples of question {group['id']}")
    if len({vote["group_order"] for vote in votes}) != wanted:
        raise RefusedError(400, "two questions have one place in the order")
