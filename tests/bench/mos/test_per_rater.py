"""A part of the clips for each rater: what the server takes, which votes count as missing, and who is incomplete."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from visaudio_bench.bench.mos.questions import COLUMNS
from visaudio_bench.bench.mos.server import connect, store
from visaudio_bench.bench.mos.session import RefusedError, check_session

from .command import refused, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory, material) -> Path:
    """A questionnaire of three groups of two systems, of which each rater has two."""
    root = tmp_path_factory.mktemp("part")
    folders, videos = material(root, 3)
    systems = [argument for one in folders[:2] for argument in ("--system", one)]
    command = ["page", *systems, "--videos", videos, "--clips", 3, "--training", "none", "--per-rater", 2]
    result = run(*command, "--out", root / "survey")
    assert result.exit_code == 0, result.exception
    return root / "survey"


def sessions(folder: Path, session, raters: int = 3) -> list[dict]:
    """What raters post whom the page gives groups in turn: the first has 0 and 1, the second 2 and 0, and so on."""
    data = json.loads((folder / "survey.json").read_text())
    posts = []
    for number in range(raters):
        turned = data["groups"][2 * number % 3 :] + data["groups"][: 2 * number % 3]
        (folder.parent / f"turned{number}").mkdir(exist_ok=True)
        (folder.parent / f"turned{number}" / "survey.json").write_text(json.dumps({**data, "groups": turned}))
        posts.append(session(folder.parent / f"turned{number}", f"R0{number + 1}"))
    return posts


def test_whole_groups_and_as_many_as_asked_are_taken(folder, session):
    data = json.loads((folder / "survey.json").read_text())
    posts = sessions(folder, session)
    for post in posts:
        assert len(check_session(json.dumps(post).encode(), data)) == 2 * 2 * 5
    place = COLUMNS.index("group_id")
    asked = Counter(group for post in posts for group in {row[place] for row in post["rows"]})
    assert set(asked.values()) == {2}, "every group is asked equally often"
    for rows, said in (
        (posts[0]["rows"][:10], "1 different groups, the questionnaire asks 2"),
        (posts[0]["rows"][:-1], "19 different votes, the questionnaire has 20"),
        (posts[0]["rows"] + posts[1]["rows"], "3 different groups, the questionnaire asks 2"),
    ):
        with pytest.raises(RefusedError, match=said):
            check_session(json.dumps({**posts[0], "rows": rows}).encode(), data)


def test_votes_are_missing_only_of_what_was_asked(folder, session, tmp_path):
    data = json.loads((folder / "survey.json").read_text())
    database = folder.with_name("survey.sqlite")
    connection = connect(database)
    for post in sessions(folder, session):
        store(connection, check_session(json.dumps(post).encode(), data))
    connection.close()
    out = ("--out", tmp_path / "out")
    result = run("--ratings", folder, "--screen", "incomplete", *out)
    assert result.exit_code == 0, result.exception
    assert "each rater was asked about 2 of the clips" in result.stdout
    assert "screened by incomplete (0): 0 raters left out" in result.stdout
    assert "3 raters, 3 clips, 6 votes a cell, 60 in all" in re.sub(r"\s+", " ", result.stdout)

    file = tmp_path / "answers.csv"
    assert run("export", database, "--out", file).exit_code == 0
    named = ("--codes", f"{folder}.key.csv")
    assert "30 of 90 votes are missing" in refused("--ratings", file, *named, *out)
    assert run("--ratings", file, *named, *out, "--per-rater", 2).exit_code == 0
    lines = file.read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:-1]) + "\n")
    part = ("--ratings", short, *named, *out, "--per-rater", 2)
    assert "1 of 60 votes are missing. Of 20 votes each, these raters gave fewer: R03 19" in refused(*part)
    assert "screened by incomplete (1): 1 rater left out" in run(*part, "--screen", "incomplete").stdout
    gone = tmp_path / "gone.csv"
    gone.write_text("\n".join(lines[:-10]) + "\n")  # the whole of a group
    part = ("--ratings", gone, *named, *out, "--per-rater", 2)
    assert "10 of 60 votes are missing" in refused(*part)
    assert "screened by incomplete (1): 1 rater left out" in run(*part, "--screen", "incomplete").stdout
