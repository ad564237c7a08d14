import json

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import mos
from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.opinion_tables import opinion_table, read_opinions, with_opinions
from visaudio_bench.leaderboards.tables import EMPTY, Cell, Column, Table, TableRow, render


@pytest.fixture
def studies(tmp_path):
    """Two studies of the same systems, by other raters."""
    found = []
    for name, seed in (("spring", 0), ("autumn", 1)):
        file, out = tmp_path / f"{name}.csv", tmp_path / name
        simulate = [
            "simulate",
            "--study-id",
            name,
            "--seed",
            str(seed),
            "--systems",
            "mono,ViSAudio",
            "--out",
            str(file),
        ]
        assert CliRunner().invoke(mos, simulate).exit_code == 0
        assert (
            CliRunner().invoke(mos, ["--ratings", str(file), "--ci", "crossed,paper", "--out", str(out)]).exit_code == 0
        )
        found += read_opinions(out)
    return found


BOARD = Table(
    "Leaderboard",
    (Column("kl", "KL", better="lower"),),
    (TableRow("ViSAudio", (Cell("1.000", 1.0),)), TableRow("AudioX", (Cell("2.000", 2.0),))),
)


def test_opinions_stand_beside_objective_results_study_by_study(studies):
    board = with_opinions(BOARD, studies)
    assert [column.key for column in board.columns] == [
        "kl",
        *(f"MOS_{key}@{study}" for study in ("spring", "autumn") for key in ("SI", "SC", "TA", "SA", "AR")),
    ]
    rated, other = board.rows
    opinions = {(s["study_id"], r["dimension"]): r for s in studies for r in s["opinions"] if r["system"] == "ViSAudio"}
    for column, cell in zip(board.columns[1:], rated.cells[1:], strict=True):
        key, study = column.key.removeprefix("MOS_").split("@")
        assert cell.value == opinions[study, key]["mean"]
        assert cell.low < cell.value < cell.high
        assert column.unit == study
    assert {cell.text for cell in other.cells[1:]} == {EMPTY}
    assert other.cells[1].reason == "not rated in study spring"
    assert any("spring" in note and "not in this table: mono" in note for note in board.notes)
    for form in ("text", "md", "tex", "csv", "json"):
        assert "autumn" in render([board], form)


def test_rows_are_found_by_the_title_of_a_system(studies):
    board = Table("Leaderboard", (), (TableRow("ViSAudio (ours)", ()), TableRow("mono", ())))
    joined = with_opinions(board, studies, {"ViSAudio": "ViSAudio (ours)"})
    assert [[cell.mark for cell in row.cells[:1]] for row in joined.rows] == [["best"], ["second"]]
    assert not any("not in this table" in note for note in joined.notes)


def test_best_and_second_are_marked_and_controls_are_not(studies):
    study = studies[0]
    table = opinion_table(study)
    assert [row.cells[0].mark for row in table.rows] == ["second", "best"]
    control = [{**row, "role": "hidden_reference", "system": "reference", "mean": 5.0} for row in study["opinions"][:5]]
    table = opinion_table({**study, "opinions": [*study["opinions"], *control]})
    assert table.rows[-1].label == "reference (hidden reference)"
    assert [row.cells[0].mark for row in table.rows] == ["second", "best", ""]


def test_several_methods_stand_side_by_side(studies):
    table = opinion_table(studies[0])
    assert [column.key for column in table.columns[:2]] == ["SI:crossed", "SI:paper"]
    first, second = table.rows[0].cells[:2]
    assert first.text.startswith(f"{first.value:.2f} ± ")
    assert second.text.startswith("± ")


def test_an_interval_beyond_the_scale_is_flagged_and_a_missing_one_explained(studies):
    study = json.loads(json.dumps(studies[0]))
    first, second = study["opinions"][0]["intervals"]
    first["beyond_scale"] = True
    second.update(low=None, high=None, half=None, reason="1 rater")
    table = opinion_table(study)
    assert table.rows[0].cells[0].text.endswith("†")
    assert any(note.startswith("†") for note in table.notes)
    assert table.rows[0].cells[1].text == f"± {EMPTY}"
    assert table.rows[0].cells[1].reason == "1 rater"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda study: study.pop("dimensions"), r"studies\[0\].dimensions is missing"),
        (lambda study: study.pop("report"), r"studies\[0\].report is missing"),
        (lambda study: study["report"].update(clips="x"), r"report.clips is 'x', a whole number was expected"),
        (lambda study: study["opinions"][0].update(rank=[1]), r"opinions\[0\].rank is \[1\], a whole number was"),
        (lambda study: study["opinions"][0]["intervals"].pop(), "ci_methods and the intervals of its opinions differ"),
        (
            lambda study: (study.update(ci_methods=[]), [row.update(intervals=[]) for row in study["opinions"]]),
            r"ci_methods is empty",
        ),
    ],
)
def test_a_study_is_checked_before_it_stands_beside_results(tmp_path, change, said):
    interval = {"ci_method": "crossed", "low": 1.0, "high": 3.0, "half": 1.0, "reason": "", "beyond_scale": False}
    opinion = {"system": "ours", "dimension": "SI", "role": "test", "mean": 2.0, "rank": None, "intervals": [interval]}
    study = {
        "study_id": "s",
        "confidence": 0.95,
        "ci_methods": ["crossed"],
        "dimensions": [{"key": "SI"}],
        "report": {"raters": 3, "clips": 2},
        "opinions": [opinion],
    }
    whole = {"schema": "visaudio-bench/mos/1", "studies": [study, {"study_id": "of preferences"}]}
    (tmp_path / "mos.json").write_text(json.dumps(whole))
    assert len(with_opinions(BOARD, read_opinions(tmp_path)).columns) == 2
    change(study)
    (tmp_path / "mos.json").write_text(json.dumps(whole))
    with pytest.raises(UsageError, match=said):
        read_opinions(tmp_path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_opinions(tmp_path)
    (tmp_path / "mos.json").write_text("{}")
    with pytest.raises(UsageError, match="was expected"):
        read_opinions(tmp_path)
    (tmp_path / "mos.json").write_text("no")
    with pytest.raises(UsageError, match="not JSON"):
        read_opinions(tmp_path / "mos.json")
