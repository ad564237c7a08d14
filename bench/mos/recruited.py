"""Who a recruiting service says has taken part: Prolific's export of submissions, or MTurk's results of a batch.

Prolific is known by `Participant id` and `Status`; raters are those whose rater_id is the participant's. MTurk is known
by `WorkerId`, `AssignmentStatus` and an answer `Answer.surveycode`; raters are those whose session_id is the code that
the page showed at its end, so that no worker's id is among the responses. A rater passes the check `completion` who is
listed with a code, and was neither rejected nor given up (returned, timed out).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from visaudio_bench.bench.mos.responses import Responses
from visaudio_bench.cells import nothing
from visaudio_bench.errors import UsageError
from visaudio_bench.sheets import read_sheet
from visaudio_bench.spelling import alike

PROLIFIC = ("Participant id", "Status", "Completion code")
MTURK = ("Answer.surveycode", "AssignmentStatus")
GIVEN_UP = {"rejected", "returned", "timed-out", "timed out", "screened out", "active"}
COLUMN = "completion_check"


def with_completion(responses: Responses, path: Path) -> Responses:
    """Tell of each vote whether its rater has finished, by a recruiting service's list.

    Args:
        responses: of raters whose names or codes the list has.
        path: of the list.

    Returns:
        The responses with the column completion_check, `pass` or `fail`, and a note on raters who are not listed.

    Raises:
        UsageError: the list is of neither service, or names none of the raters.
    """
    listed, by = _listed(path)
    known = {alike(name): done for name, done in listed.items()}
    finished = [known.get(alike(name)) for name in responses.get(by)]
    if not any(done is not None for done in finished):
        raise UsageError(
            f"{path} lists {len(listed)} participants, and none of them is a {by} of {responses.path}. "
            "Is it the list of this study?"
        )
    columns = responses.columns | {COLUMN: ["pass" if done else "fail" for done in finished]}
    absent = len({name for name, done in zip(responses.get("rater_id"), finished, strict=True) if done is None})
    note = f"{len(listed)} participants in {path.name}" + (f", {absent} rater(s) not among them" if absent else "")
    return replace(responses, columns=columns, notes=(*responses.notes, note))


def _listed(path: Path) -> tuple[dict[str, bool], str]:
    """Who is listed and whether they have completed, and the column of responses that names them."""
    sheet = read_sheet(path, known=(*PROLIFIC, *MTURK))
    if set(PROLIFIC[:2]) <= set(sheet.header):
        codes = sheet.column(PROLIFIC[2]) if PROLIFIC[2] in sheet.header else ["there"] * len(sheet.rows)
        statuses = zip(sheet.column(PROLIFIC[0]), sheet.column(PROLIFIC[1]), codes, strict=True)
        done = {who: _done(status) and not nothing(code) and code != "NOCODE" for who, status, code in statuses}
        return done, "rater_id"
    if set(MTURK) <= set(sheet.header):
        return {code: _done(status) for code, status in zip(*map(sheet.column, MTURK), strict=True)}, "session_id"
    raise UsageError(
        f"{path}:1: a list of participants of Prolific ({', '.join(PROLIFIC)}) or of MTurk ({', '.join(MTURK)}) was "
        f"expected; the columns are {', '.join(sheet.header[:8])}."
    )


def _done(status: str) -> bool:
    return status.strip().lower() not in GIVEN_UP
