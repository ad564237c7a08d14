"""What to paste into a form service so that its answers can be read again: questions whose headings hold a tag.

    google-forms      a script for script.google.com that makes the form
    microsoft-forms   the list of questions, for a service that imports none
    qualtrics         a survey in Qualtrics' Advanced Format TXT: Survey, Tools, Import
    limesurvey        a survey structure as tab-separated values: Create survey, Import
    prolific, mturk   what to enter there; the questionnaire itself is the page, which ends with a completion code

Every sample is a link to its video at the address where the questionnaire's folder is published. A form service has
no headphone checks and does not see whether a video was played; one attention check is among the questions.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from visaudio_bench.escapes import one_line

Survey = Mapping[str, Any]
FORM_SERVICES = ("google-forms", "microsoft-forms", "qualtrics", "limesurvey")
CROWD_SERVICES = ("prolific", "mturk")
NUMBER = "Participant number (rater_id), as it was given to you"
HEADPHONES = "Please wear headphones on both ears."


class Item(NamedTuple):
    """One sample to rate, or an attention check: heading, address of its video, and its statements by dimension."""

    code: str
    heading: str
    video: str
    statements: tuple[tuple[str, str], ...]


def items(survey: Survey, address: str) -> Iterator[tuple[str, list[Item]]]:
    """List what is to be pasted into a form service, group by group.

    Args:
        survey: data of the page.
        address: where the media lie on the web, without a slash at its end.

    Returns:
        The title of each group with its samples in a balanced order, and the attention check where it is asked.
    """
    statements = tuple((d["key"], f"{d['key']}: {d['title']}. {d['question']}") for d in survey["dimensions"])
    check = survey["attention"]
    for number, group in enumerate(survey["groups"]):
        order = survey["rows"][number % len(survey["rows"])]
        title = f"Group {number + 1} of {len(survey['groups'])}"
        shown = [
            Item(code, f"{title}, video {slot} ({code})", f"{address}/media/{code}.mp4", statements)
            for slot, code in enumerate((group["samples"][place] for place in order), 1)
        ]
        if check["group"] == group["id"]:
            told = f"{check['dimension']}: to show that you read the questions, choose {check['expected']} here."
            shown.append(Item(check["code"], f"Attention check ({check['code']})", "", ((check["dimension"], told),)))
        yield title, shown


def _welcome(survey: Survey) -> str:
    """What stands before the questions: the study's words on taking part."""
    return f"{survey['consent']} {HEADPHONES}"


def _scale(survey: Survey) -> list[str]:
    low, high = survey["scale"]
    return [str(value) for value in range(low, high + 1)]


def _google(survey: Survey, address: str) -> str:
    lines = [
        "// Paste into a new project at script.google.com and run makeForm; the log shows the form's address.",
        "function makeForm() {",
        f"  var form = FormApp.create({json.dumps(survey['title'])});",
        f"  form.setDescription({json.dumps(_welcome(survey))});",
        f"  form.addTextItem().setTitle({json.dumps(NUMBER)}).setRequired(true);",
    ]
    for title, samples in items(survey, address):
        lines.append(f"  form.addPageBreakItem().setTitle({json.dumps(title)});")
        for item in samples:
            rows = json.dumps([text for _, text in item.statements])
            watch = json.dumps(f"Watch with headphones: {item.video}" if item.video else "")
            lines.append(
                f"  form.addGridItem().setTitle({json.dumps(item.heading)}).setHelpText({watch})"
                f".setRows({rows}).setColumns({json.dumps(_scale(survey))}).setRequired(true);"
            )
    return "\n".join([*lines, "  Logger.log(form.getPublishedUrl());", "}", ""])


def _microsoft(survey: Survey, address: str) -> str:
    scale = ", ".join(_scale(survey))
    lines = [
        one_line(survey["title"]), "", one_line(_welcome(survey)), "",
        f"Text question: {NUMBER}",
        f"Then Likert questions with the options {scale}. Keep the letters in front of every statement: they are how",
        "bench mos finds the answers. Download the answers as a workbook and save it as CSV in UTF-8.", "",
    ]  # fmt: skip
    for title, samples in items(survey, address):
        lines += [f"Section: {title}", ""]
        for item in samples:
            lines += [item.heading + (f": {item.video}" if item.video else ""), f"  options: {scale}"]
            # Microsoft Forms names the column of a statement by the statement alone.
            lines += [f"  statement: {item.code} {text}" for _, text in item.statements]
            lines.append("")
    return "\n".join(lines)


def _qualtrics(survey: Survey, address: str) -> str:
    lines = ["[[AdvancedFormat]]", "", "[[Question:DB]]", html.escape(one_line(_welcome(survey))), ""]
    lines += ["[[Question:TE:SingleLine]]", "[[ID:rater_id]]", html.escape(NUMBER), ""]
    for title, samples in items(survey, address):
        lines += [f"[[Block:{title}]]", ""]
        for item in samples:
            lines += ["[[Question:DB]]", f"{html.escape(item.heading)}{_player(item)}", ""]
            for key, text in item.statements:
                lines += ["[[Question:MC:SingleAnswer:Horizontal]]", f"[[ID:{item.code}_{key}]]"]
                lines += [html.escape(f"{item.heading}. {text}"), "[[Choices]]", *_scale(survey), ""]
            lines += ["[[PageBreak]]", ""]
    return "\n".join(lines)


def _player(item: Item) -> str:
    return f'<br><video controls width="640" src="{html.escape(item.video)}"></video>' if item.video else ""


TSV = ("id", "class", "type/scale", "name", "relevance", "text", "help", "language", "mandatory")


def _limesurvey(survey: Survey, address: str) -> str:
    rows: list[Sequence[str]] = [
        ("", "S", "", "language", "", "en", "", "", ""),
        ("", "SL", "", "surveyls_title", "1", html.escape(survey["title"]), "", "en", ""),
        ("", "SL", "", "surveyls_welcometext", "1", html.escape(_welcome(survey)), "", "en", ""),
        ("1", "G", "", "Participant", "1", "", "", "en", ""),
        ("1", "Q", "S", "raterid", "1", NUMBER, "", "en", "Y"),
    ]
    question = 1
    for number, (title, samples) in enumerate(items(survey, address), 2):
        rows.append((str(number), "G", "", title, "1", "", "", "en", ""))
        for item in samples:
            question += 1
            heading = html.escape(item.heading) + _player(item)
            rows.append((str(question), "Q", "A", item.code, "1", heading, "", "en", "Y"))
            for key, text in item.statements:
                rows.append(("", "SQ", "0", key, "1", html.escape(text), "", "en", ""))
    return "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in (TSV, *rows)) + "\n"


def _prolific(survey: Survey, address: str) -> str:
    return "\n".join(
        [
            "Study link:",
            f"  {address}/index.html?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&STUDY_ID={{{{%STUDY_ID%}}}}"
            "&SESSION_ID={{%SESSION_ID%}}",
            "Record participant ids: with URL parameters.",
            f"Completion code: {survey['crowd']['code']}",
            f"Redirect at the end: {survey['crowd']['link']}",
            "Afterwards: Submissions, Download demographic data, and",
            "  bench mos --ratings ... --recruited prolific_export.csv --screen completion",
            "",
        ]
    )


def _mturk(survey: Survey, address: str) -> str:
    del survey
    return "\n".join(
        [
            "Project: Survey Link. Its link:",
            f"  {address}/index.html",
            "Keep the input named surveycode: workers enter there the code that the page shows at its end.",
            "Afterwards: Manage, Results, Download CSV, and",
            "  bench mos --ratings ... --recruited Batch_results.csv --screen completion",
            "",
        ]
    )


# service -> suffix of the file to paste, and what writes it
WRITERS: dict[str, tuple[str, Callable[[Survey, str], str]]] = {
    "google-forms": (".gs", _google),
    "microsoft-forms": (".txt", _microsoft),
    "qualtrics": (".txt", _qualtrics),
    "limesurvey": (".txt", _limesurvey),
    "prolific": (".txt", _prolific),
    "mturk": (".txt", _mturk),
}
