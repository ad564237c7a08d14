"""What form services add to a table of responses: who answered, when, and headings around the tag of a question.

`bench mos page --for SERVICE` writes questions whose headings hold a tag: the code of a sample and the key of a
dimension, as in `Group 1, video 2 (s4d67f2) [SI: Spatial Impression]`. Whatever a service puts around it, the tag is
found again. The columns of a service by which it is known, and what is read from them:

service          known by                        rater                    time
google-forms     Timestamp                       a row of its own         Timestamp
microsoft-forms  Start time, Completion time     ID                       Completion time
qualtrics        ResponseId                      ResponseId               EndDate
limesurvey       submitdate                      id                       submitdate
mturk            HITId, WorkerId                 WorkerId                 SubmitTime

LimeSurvey writes `submitdate. Date submitted` where it was asked for codes and texts. A quiz of Microsoft Forms has
columns `Points - QUESTION` and `Feedback - QUESTION` too, which are no answers. Where all this is known from stands in
docs/listening-tests.md.

A question that asks for the participant's number (its heading holds `rater_id`), or a column PROLIFIC_PID, says who a
rater is before anything else does. Names and e-mail addresses are not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from visaudio_bench.sheets import Sheet
from visaudio_bench.spelling import plain

CODE = re.compile(r"s[0-9a-f]{6}")  # of a sample
TAG = re.compile(rf"(?<![A-Za-z0-9])(?P<code>{CODE.pattern})(?![0-9a-f])(?P<rest>.*)", re.S)
ABOUT = ("Points - ", "Feedback - ")  # the answer to the question that follows
RATER = re.compile(r"(?<![a-z])rater_?id(?![a-z])|^PROLIFIC_PID$", re.I)
ZONES = {"UTC": 0, "GMT": 0, "PST": -8, "PDT": -7, "EST": -5, "EDT": -4, "CET": 1, "CEST": 2}
WRITTEN = re.compile(
    r"(?P<year>20\d\d)[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)[ T](?P<hour>\d\d?):(?P<minute>\d\d)(:(?P<second>\d\d))?"
    r"(\.\d+)?\s*(?P<half>[AP]M)?\s*(?P<zone>Z|[A-Z]{3,4})?(?P<offset>[+-]\d\d?)?(:?(?P<more>\d\d))?",
    re.I,
)
UNIX = re.compile(r"\w{3} (?P<rest>\w{3} +\d\d? \d\d:\d\d:\d\d) (?P<zone>[A-Z]{3,4}) (?P<year>20\d\d)")


class Service(NamedTuple):
    """Columns by which a service is known, the one that tells raters apart ("" for rows), and the one with the time."""

    name: str
    known_by: tuple[str, ...]
    rater: str
    time: str


SERVICES = (
    Service("google-forms", ("Timestamp",), "", "Timestamp"),
    Service("microsoft-forms", ("Start time", "Completion time"), "ID", "Completion time"),
    Service("qualtrics", ("ResponseId",), "ResponseId", "EndDate"),
    Service("limesurvey", ("submitdate",), "id", "submitdate"),
    Service("mturk", ("HITId", "WorkerId"), "WorkerId", "SubmitTime"),
)


def tagged(heading: str, dimensions: Sequence[str]) -> tuple[str, str] | None:
    """Find the tag in the heading of a question.

    Args:
        heading: of a column, as the service wrote it.
        dimensions: keys that may be asked.

    Returns:
        The code and the dimension; None where there is no tag, or more than one dimension.
    """
    match = TAG.search(heading)
    if match is None or heading.startswith(ABOUT):
        return None
    words = re.findall(r"[A-Za-z0-9]+", match["rest"])
    named = {name for name in dimensions if name in words} or {
        name for name in dimensions if words and words[0].startswith(name)
    }
    return (match["code"], named.pop()) if len(named) == 1 else None


def with_raters_and_times(sheet: Sheet) -> Sheet:
    """Add the columns rater_id and timestamp_utc, where they are missing, as the service of the table tells them."""
    service = next((service for service in SERVICES if all(_column(sheet, name) for name in service.known_by)), None)
    if "rater_id" not in sheet.header:
        sheet = _with_raters(sheet, service)
    if service is not None and "timestamp_utc" not in sheet.header and (column := _column(sheet, service.time)):
        times = [written_time(text) for text in sheet.column(column)]
        unread = sum(not time for time in times)
        note = (f"{unread} time(s) of {service.time} not understood, and left out",) if unread else ()
        sheet = _with_column(sheet, "timestamp_utc", times, *note)
    return sheet


def _column(sheet: Sheet, name: str) -> str:
    """The heading of a service's own column, "" where there is none: `ID` is `Id` too, `id` is `id. Response ID`."""
    wanted = name.casefold()
    return next((own for own in sheet.header if wanted in (own.casefold(), own.partition(". ")[0].casefold())), "")


def _with_raters(sheet: Sheet, service: Service | None) -> Sheet:
    asked = [name for name in sheet.header if RATER.search(name) and plain(name) != "rater_id"]
    if len(asked) == 1:
        return _with_column(sheet, "rater_id", sheet.column(asked[0]), f'raters are those of "{asked[0]}"')
    if service is None:
        return sheet
    if service.rater and (known := _column(sheet, service.rater)):
        return _with_column(sheet, "rater_id", sheet.column(known), f"raters are {service.name}'s {known}")
    rows = [f"row {line}" for line in sheet.lines]
    return _with_column(sheet, "rater_id", rows, f"{service.name} does not tell raters apart: every row is one")


def _with_column(sheet: Sheet, name: str, values: list[str], *notes: str) -> Sheet:
    rows = [[*row, value] for row, value in zip(sheet.rows, values, strict=True)]
    return replace(sheet, header=(*sheet.header, name), rows=rows, notes=(*sheet.notes, *notes))


def written_time(text: str) -> str:
    """A time as services write it, in ISO 8601; in UTC with Z where the zone is known, "" where it is not understood.

    Dates whose order of day and month is not told (1/2/26) are not understood.
    """
    match = UNIX.fullmatch(text)
    try:
        if match is not None:
            moment = datetime.strptime(f"{match['rest']} {match['year']}", "%b %d %H:%M:%S %Y")
            return _in_utc(moment, ZONES.get(match["zone"]))
        match = WRITTEN.fullmatch(text)
        if match is None:
            return ""
        hour = int(match["hour"])
        if match["half"]:
            hour = hour % 12 + 12 * (match["half"].upper() == "PM")
        year, month, day, minute = (int(match[name]) for name in ("year", "month", "day", "minute"))
        moment = datetime(year, month, day, hour, minute, int(match["second"] or 0))
    except ValueError:
        return ""
    zone = match["zone"].upper() if match["zone"] else None
    if zone == "Z":
        zone = "UTC"
    if zone is None and match["offset"] is None:
        return moment.isoformat()
    hours = ZONES.get(zone or "UTC")
    if match["offset"] and hours is not None:
        sign = -1 if match["offset"].startswith("-") else 1
        return _in_utc(moment, hours + int(match["offset"]) + sign * int(match["more"] or 0) / 60)
    return _in_utc(moment, hours)


def _in_utc(moment: datetime, hours: float | None) -> str:
    if hours is None:
        return moment.isoformat()
    return (moment.replace(tzinfo=UTC) - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
