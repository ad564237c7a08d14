"""Responses collected with other tools, as our tidy table.

A tool that knows nothing of clips and systems names its samples: a sample called `CLIP__SYSTEM` is taken apart at the
last double underscore, any other needs a key (`--codes`, columns code, clip_id, system). A trial called
`CLIP__DIMENSION` is taken apart likewise; otherwise every vote belongs to the dimension given with `--dimension`.

tool        what is read                                                            rater
webmushra   CSV of service/write.php: pages mushra, likert multi/single stimulus    session_uuid or participant fields
pymushra    TinyDB JSON                                                             questionaire uuid
beaqlejs    one JSON a rater, or a folder of them; also mushraJS                    UserName, else the file's name
waet        ratings/PAGE-AXIS-ratings.csv of its score parser, 0 to 1               file_keys
golisten    wide CSV: a row of tags, a header, one row a rater                      Name
p808        votes_per_worker.csv, votes_per_clip.csv of the P.808 toolkit           workerid; unknown in votes_per_clip
reseval     its table of responses as CSV                                           Participant
sureal      dataset as JSON                                                         key or position in `os`

Formats are those of the tools' own files at the versions named in docs/listening-tests.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from visaudio_bench.bench.mos.responses import Responses
from visaudio_bench.cells import number
from visaudio_bench.errors import UsageError
from visaudio_bench.files import parse_json
from visaudio_bench.sheets import read_sheet, read_text

SEPARATOR = "__"
HALF = re.compile("[\ud800-\udfff]")  # of a character; what JSON may spell, and no file can hold
HIDDEN = {"reference": "hidden_reference", "anchor35": "low_anchor", "anchor70": "low_anchor"}
Vote = tuple[str, str, str, str, str, int]  # rater, clip, system, dimension, rating, line


class Context:
    """What an importer must be told: the dimension of trials that name none, the known dimensions, the scale."""

    def __init__(self, dimension: str, dimensions: tuple[str, ...], scale: tuple[int, int]):
        self.dimension = dimension
        self.dimensions = dimensions
        self.scale = scale

    def trial(self, name: str) -> tuple[str, str]:
        """Clip and dimension of a trial."""
        clip, _, last = name.rpartition(SEPARATOR)
        return (clip, last) if clip and last in self.dimensions else (name, self.dimension)


def sample(name: str) -> tuple[str, str]:
    """Clip and system of a sample called `CLIP__SYSTEM` (a path and a suffix are left out); else its name for both."""
    stem = Path(name).stem if "." in Path(name).name else name.rsplit("/", 1)[-1]
    clip, _, system = stem.rpartition(SEPARATOR)
    return (clip, system) if clip else (stem, stem)


def _responses(
    path: Path, form: str, votes: Iterable[Vote], notes: tuple[str, ...] = (), known: bool = True
) -> Responses:
    try:
        rows = list(votes)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        lacks = f"there is no {error}" if isinstance(error, KeyError) else "its parts are of other kinds"
        raise UsageError(f"{path} is not built as a file of {form} is: {lacks}.") from error
    if not rows:
        raise UsageError(f"{path}: no votes found; is it a file of {form}?")
    names = ("rater_id", "clip_id", "system", "dimension", "rating")
    columns = {name: [str(row[index]) for row in rows] for index, name in enumerate(names)}
    half = next((text for texts in columns.values() for text in texts if HALF.search(text)), None)
    if half is not None:
        raise UsageError(f"{path}: the text {half!a} holds half a character (a lone surrogate).")
    columns["role"] = [HIDDEN.get(system, "") for system in columns["system"]]
    return Responses(path, form, columns, [row[5] for row in rows], notes, known)


def _need(path: Path, header: Iterable[str], *names: str) -> None:
    for name in names:
        if name not in header:
            raise UsageError(f'{path}:1: no column "{name}"; the columns are {", ".join(header)}.')


def webmushra(path: Path, context: Context) -> Responses:
    """Read webMUSHRA's results: pages `mushra` and Likert pages.

    The former have rating_stimulus and rating_score, the latter stimuli and stimuli_rating.

    The rater is `session_uuid` where there is one, else all participant fields together: older versions write no
    session id, so a study needs a participant field that tells raters apart.

    Args:
        path: of `mushra.csv`, `lss.csv` or the like.
        context: which dimensions there are, and that of trials whose names do not say.

    Returns:
        A vote a row; `rating` is text as written.

    Raises:
        UsageError: columns are missing, or nothing tells raters apart.
    """
    sheet = read_sheet(path)
    mushra = "rating_score" in sheet.header
    stimulus, score = ("rating_stimulus", "rating_score") if mushra else ("stimuli", "stimuli_rating")
    _need(path, sheet.header, "trial_id", stimulus, score)
    person = (
        ["session_uuid"] if "session_uuid" in sheet.header else list(sheet.header[1 : sheet.header.index("trial_id")])
    )
    if not person:
        raise UsageError(
            f"{path}:1: nothing tells the raters apart, neither session_uuid nor a participant field. "
            "Add a column rater before trial_id."
        )
    raters = zip(*(sheet.column(name) for name in person), strict=True)

    def votes() -> Iterable[Vote]:
        columns = (sheet.column("trial_id"), sheet.column(stimulus), sheet.column(score), sheet.lines)
        for rater, trial, system, rating, line in zip(raters, *columns, strict=True):
            clip, dimension = context.trial(trial)
            yield "/".join(rater), clip, system, dimension, rating, line

    return _responses(path, "webmushra", votes(), sheet.notes)


def pymushra(path: Path, context: Context) -> Responses:
    """Read pymushra's TinyDB: `{collection: {"1": {trial}}}`, each trial with `responses` and `questionaire`.

    Args:
        path: of the JSON file.
        context: which dimensions there are, and that of trials whose names do not say.

    Returns:
        A vote a row; `lines` count trials.

    Raises:
        UsageError: it is no such file.
    """

    def trials(value: Any) -> Iterable[Mapping[str, Any]]:
        if isinstance(value, dict):
            if "responses" in value and "questionaire" in value:
                yield value
            else:
                for inner in value.values():
                    yield from trials(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from trials(inner)

    def votes() -> Iterable[Vote]:
        for place, trial in enumerate(trials(_json(path)), 1):
            clip, dimension = context.trial(str(trial["id"]))
            for response in trial["responses"]:
                system, score = response["stimulus"], response.get("score", response.get("stimulusRating"))
                yield str(trial["questionaire"]["uuid"]), clip, str(system), dimension, str(score).strip(), place

    return _responses(path, "pymushra", votes(), ("line numbers are those of trials",))


def beaqlejs(path: Path, context: Context) -> Responses:
    """Read BeaqleJS's results, or mushraJS's.

    The former are a list of tests with `TestID` and `rating`, the latter `{"ratings": {test: {item: score}}}`.

    Args:
        path: of one rater's file, or of a folder of them (.txt, .json).
        context: which dimensions there are, and that of trials whose names do not say.

    Returns:
        A vote a row; items called HiddenRef or Reference are the system `reference`.

    Raises:
        UsageError: a file is no such result.
    """
    files = sorted(p for p in path.iterdir() if p.suffix in (".txt", ".json")) if path.is_dir() else [path]

    def votes() -> Iterable[Vote]:
        for file in files:
            value = _json(file)
            if isinstance(value, dict):
                rater = str(value.get("id") or value.get("UserName") or file.stem)
                tests = [(str(name), ratings) for name, ratings in value.get("ratings", {}).items()]
            else:
                names = [test["UserName"] for test in value if test.get("UserName")]
                rater = str(names[0]) if names else file.stem
                tests = [(str(test["TestID"]), test["rating"]) for test in value if "rating" in test]
            for name, ratings in tests:
                clip, dimension = context.trial(name)
                for item, score in ratings.items():
                    system = {"HiddenRef": "reference", "Reference": "reference"}.get(item, item)
                    yield rater, clip, system, dimension, str(score), 1

    return _responses(path, "beaqlejs", votes())


def waet(path: Path, context: Context) -> Responses:
    """Read a table of the Web Audio Evaluation Tool, `PAGE-AXIS-ratings.csv`: rows are raters, columns are fragments.

    Values from 0 to 1 are spread over the scale. On a scale of up to 10 steps (buttons) a value must lie on a step; on
    a finer one (sliders) it is rounded.

    Args:
        path: of the table, whose name holds page and axis.
        context: the scale, and the dimension where the axis is none that is known.

    Returns:
        A vote for each rater and fragment, in steps of the scale.

    Raises:
        UsageError: the column file_keys is missing.
    """
    sheet = read_sheet(path)
    _need(path, sheet.header, "file_keys")
    page, _, axis = path.stem.removesuffix("-ratings").rpartition("-")
    clip, dimension = context.trial(page)
    dimension = axis if axis in context.dimensions else dimension
    low, high = context.scale

    def value(text: str) -> str:
        try:
            share = number(text)
        except ValueError:
            return text  # refused with the other ratings that are no numbers, or taken for none
        spread = low + share * (high - low)
        if not math.isfinite(spread):
            return text  # refused as outside of the scale
        return str(round(spread)) if high - low > 10 or abs(spread - round(spread)) < 1e-6 else f"{spread:g}"

    def votes() -> Iterable[Vote]:
        for row, line in zip(sheet.rows, sheet.lines, strict=True):
            for fragment, text in zip(sheet.header[1:], row[1:], strict=True):
                yield row[0], clip, fragment, dimension, value(text), line

    return _responses(path, "waet", votes(), (*sheet.notes, f"0 to 1 spread over {low} to {high}"))


def golisten(path: Path, context: Context) -> Responses:
    """Read goListen's export: a row of tags, then `Name, Date, "<sample> rating"` with one row a rater.

    Times and questions are left out.

    Args:
        path: of the table.
        context: which dimensions there are, and that of trials whose names do not say.

    Returns:
        A vote for each rater and sample.

    Raises:
        UsageError: the column Name is missing.
    """
    sheet = read_sheet(path, skip=1)
    _need(path, sheet.header, "Name")
    rated = [
        (index, name.removesuffix(" rating")) for index, name in enumerate(sheet.header) if name.endswith(" rating")
    ]

    def votes() -> Iterable[Vote]:
        for row, line in zip(sheet.rows, sheet.lines, strict=True):
            for index, name in rated:
                title, dimension = context.trial(name)
                clip, system = sample(title)
                yield row[0], clip, system, dimension, row[index], line

    return _responses(path, "golisten", votes(), sheet.notes)


def p808(path: Path, context: Context) -> Responses:
    """Read the P.808 toolkit's `votes_per_worker` (long), or `votes_per_clip` with vote_1 ... vote_k.

    Args:
        path: of the table.
        context: the dimension, which the table does not tell.

    Returns:
        A vote a row; of `votes_per_clip` the raters are unknown (`raters_known` is false).

    Raises:
        UsageError: columns of both are missing.
    """
    sheet = read_sheet(path)
    if "workerid" in sheet.header:
        score = next((name for name in sheet.header if name == "vote" or name.startswith("vote_")), "vote")
        _need(path, sheet.header, score, "file")
        conditions, files = sheet.column("condition"), sheet.column("file")
        named = [_in_condition(file, condition) for file, condition in zip(files, conditions, strict=True)]
        columns = (sheet.column("workerid"), named, sheet.column(score), sheet.lines)
        long = (
            (w, clip, system, context.dimension, vote, line)
            for w, (clip, system), vote, line in zip(*columns, strict=True)
        )
        return _responses(path, "p808", long, sheet.notes)
    _need(path, sheet.header, "file_url", "vote_1")
    places = [index for index, name in enumerate(sheet.header) if name.startswith("vote_") and name[5:].isdigit()]
    url = sheet.header.index("file_url")
    votes = (
        (f"unknown {k}", *sample(row[url]), context.dimension, row[index], line)
        for row, line in zip(sheet.rows, sheet.lines, strict=True)
        for k, index in enumerate(places, 1)
        if row[index]
    )
    return _responses(path, "p808", votes, sheet.notes, known=False)


def _in_condition(file: str, condition: str) -> tuple[str, str]:
    """Clip and system of a file whose condition is known: the condition is taken off either end of its name."""
    if not condition:
        return sample(file)
    stem = Path(file).stem
    for separator in ("__", "_", "-"):
        stem = stem.removeprefix(condition + separator).removesuffix(separator + condition)
    return stem, condition


def reseval(path: Path, context: Context) -> Responses:
    """Read ReSEval's table: `Stem, Participant, OrderAsked, Response` with Response = `<condition>-<score>`.

    Args:
        path: of the table.
        context: which dimensions there are, and that of trials whose names do not say.

    Returns:
        A vote a row.

    Raises:
        UsageError: columns are missing.
    """
    sheet = read_sheet(path)
    _need(path, sheet.header, "Stem", "Participant", "Response")
    columns = (sheet.column("Participant"), sheet.column("Stem"), sheet.column("Response"), sheet.lines)

    def votes() -> Iterable[Vote]:
        for rater, stem, response, line in zip(*columns, strict=True):
            system, _, score = response.rpartition("-")
            clip, dimension = context.trial(stem)
            yield rater, clip, system, dimension, score, line

    return _responses(path, "reseval", votes(), sheet.notes)


def sureal(path: Path, context: Context) -> Responses:
    """Read a data set of sureal: `dis_videos` with `os`, a list by rater or a mapping from rater to score.

    Clips are the content names of `ref_videos`. The system is what the sample's path adds to the content: a path called
    `CLIP__SYSTEM` is taken apart.

    Args:
        path: of the JSON file.
        context: the dimension, which the file does not tell.

    Returns:
        A vote for each rater and sample; `lines` count `dis_videos`.

    Raises:
        UsageError: it is no such file.
    """
    value = _json(path)

    def votes() -> Iterable[Vote]:
        contents = {str(ref["content_id"]): str(ref["content_name"]) for ref in value.get("ref_videos", [])}
        for place, video in enumerate(value.get("dis_videos", []), 1):
            clip, system = sample(str(video["path"]))
            clip = contents.get(str(video["content_id"]), clip)
            scores = video["os"]
            named = scores.items() if isinstance(scores, dict) else ((f"S{k}", s) for k, s in enumerate(scores, 1))
            for rater, score in named:
                yield str(rater), clip, system, context.dimension, str(score), place

    return _responses(path, "sureal", votes(), ("line numbers are those of dis_videos",))


def _json(path: Path) -> Any:
    text, _ = read_text(path)
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is JSON that cannot be read: {error}.") from error


IMPORTERS: dict[str, Callable[[Path, Context], Responses]] = {
    "webmushra": webmushra,
    "pymushra": pymushra,
    "beaqlejs": beaqlejs,
    "waet": waet,
    "golisten": golisten,
    "p808": p808,
    "reseval": reseval,
    "sureal": sureal,
}
