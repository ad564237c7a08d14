"""From rows to results: values, refusals, ranks; and the schema of what is written."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visaudio_bench.errors import UsageError
from visaudio_bench.leaderboards.results import Basis
from visaudio_bench.leaderboards.results import judge as judge_table
from visaudio_bench.leaderboards.schema import (
    ClipRow,
    ClipTable,
    Result,
    SuiteInfo,
    SystemInfo,
    read_clip_rows,
    read_results,
    write_clip_rows,
    write_results,
)
from visaudio_bench.leaderboards.suite_tables import leaderboard
from visaudio_bench.leaderboards.tables import render
from visaudio_bench.metrics.catalogue import METRICS, Metric

SUITE = SuiteInfo("s", "a suite", 30, synthetic=False)
REFERENCE = SystemInfo("reference", "Reference", anchor=True, binauralises=True)
GOOD, TWIN, BAD = (SystemInfo(name, name, anchor=False, binauralises=False) for name in ("good", "twin", "bad"))
LR, ILD, CCC = METRICS["lr_acc"], METRICS["delta_ild"], METRICS["lat_ccc"]


def rows(system: str, metric: str, values: list[float | None], status: str = "measured") -> list[ClipRow]:
    return [
        ClipRow(
            "s",
            system,
            f"c{index:02d}",
            metric,
            "binaural",
            value,
            status if value is not None else "failed",
            "" if value is not None else "silent",
        )  # type: ignore[arg-type]
        for index, value in enumerate(values)
    ]


def judge(
    table: list[ClipRow], suite: SuiteInfo, systems: list[SystemInfo], metrics: list[Metric], basis: Basis
) -> list[Result]:
    return judge_table(ClipTable.of(table), suite, systems, metrics, basis).results


def three_systems() -> list[ClipRow]:
    rng = np.random.default_rng(1)
    base = rng.uniform(1, 4, 30)
    good = (base + rng.normal(0, 0.1, 30)).tolist()
    twin = (base + rng.normal(0, 0.1, 30)).tolist()
    return [
        *rows("good", "delta_ild", good),
        *rows("twin", "delta_ild", twin),
        *rows("bad", "delta_ild", (base + 2).tolist()),
    ]


def test_value_is_the_mean_and_systems_that_cannot_be_told_apart_share_a_rank() -> None:
    results = {r.system: r for r in judge(three_systems(), SUITE, [GOOD, TWIN, BAD], [ILD], Basis())}
    own = [row.value for row in three_systems() if row.system == "good"]
    assert results["good"].value == pytest.approx(np.mean([v for v in own if v is not None]))
    assert results["good"].low < results["good"].value < results["good"].high  # type: ignore[operator]
    assert (results["good"].rank, results["twin"].rank, results["bad"].rank) == (1, 1, 3)
    assert results["good"].n == 30


def test_the_order_of_rows_changes_nothing() -> None:
    shuffled = three_systems()
    np.random.default_rng(0).shuffle(shuffled)  # type: ignore[arg-type]
    shuffled = [ClipRow(*row) for row in shuffled]
    systems = [GOOD, TWIN, BAD]
    assert judge(shuffled, SUITE, systems, [ILD], Basis()) == judge(three_systems(), SUITE, systems, [ILD], Basis())


def test_a_missing_clip_is_counted_and_a_missing_system_has_a_reason() -> None:
    table = [*rows("good", "lr_acc", [100.0, 50.0, None]), *rows("bad", "lr_acc", [None, None, None])]
    good, bad = judge(table, SUITE, [GOOD, BAD], [LR], Basis())
    assert (good.value, good.n) == (75.0, 2)
    assert (bad.value, bad.status, bad.reason, bad.n) == (None, "failed", "silent", 0)


def test_pooled_concordance_comes_from_the_sums() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1, 1, (30, 28)), rng.uniform(-1, 1, (30, 28))
    sums = {
        "n": np.full(30, 28.0), "sum_x": x.sum(1), "sum_y": y.sum(1),
        "sum_xx": (x * x).sum(1), "sum_yy": (y * y).sum(1), "sum_xy": (x * y).sum(1),
    }  # fmt: skip
    table = [row for name, values in sums.items() for row in rows("good", f"lat_ccc.{name}", values.tolist())]
    (result,) = judge(table, SUITE, [GOOD], [CCC], Basis())
    a, b = x.ravel(), y.ravel()
    expected = 2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert result.value == pytest.approx(expected, abs=1e-12)


def cue_rows(system: str, clips: int, shift: float = 0.0) -> list[ClipRow]:
    rng = np.random.default_rng(5)
    vectors = rng.normal(0, 1, (9, 40)) + shift
    return [row for k in range(9) for row in rows(system, f"cue_vector[{k}]", vectors[k, :clips].tolist())]


def test_a_set_distance_refuses_other_clips_and_prints_its_floor() -> None:
    fcd = METRICS["fcd"]
    same = judge([*cue_rows("reference", 40), *cue_rows("good", 40, 1.0)], SUITE, [REFERENCE, GOOD], [fcd], Basis())
    by = {(r.system, r.metric): r for r in same}
    assert by["reference", "fcd"].value == pytest.approx(0, abs=1e-9)
    assert by["good", "fcd"].value == pytest.approx(9, rel=0.5)
    assert by["good", "fcd"].low is not None
    assert 0 < (by["reference", "fcd_floor"].value or 0) < (by["good", "fcd"].value or 0)
    fewer = judge([*cue_rows("reference", 40), *cue_rows("good", 39)], SUITE, [REFERENCE, GOOD], [fcd], Basis())
    refused = next(r for r in fewer if r.system == "good")
    assert refused.value is None
    assert refused.reason == "scored on 39 of 40 clips: distances between sets need the same clips"


def test_waveform_distances_are_for_systems_that_heard_the_reference() -> None:
    table = [*rows("reference", "stft", [0.0] * 30), *rows("good", "stft", [1.0] * 30)]
    results = judge(table, SUITE, [REFERENCE, GOOD], [METRICS["stft"]], Basis())
    assert [r.system for r in results] == ["reference"]


def test_the_two_tracks_never_share_a_table() -> None:
    heard = SystemInfo("heard", "Heard", anchor=False, binauralises=True)
    table = [row for name in ("heard", "good") for row in rows(name, "delta_ild", [1.0] * 30)] + rows(
        "heard", "stft", [1.0] * 30
    )
    metrics = [ILD, METRICS["stft"]]
    systems = [heard, GOOD]
    results = judge(table, SUITE, systems, metrics, Basis())
    first, second = leaderboard(results, [SUITE], {"s": systems}, metrics)
    assert [c.key for c in first.columns] == ["delta_ild"]
    assert [c.key for c in second.columns] == ["stft"]
    assert [row.label for row in second.rows] == ["Heard†"]


def test_marks_go_to_competing_systems_and_ties_share_them() -> None:
    anchor = rows("reference", "delta_ild", [0.0] * 30)
    systems = [REFERENCE, GOOD, TWIN, BAD]
    results = judge([*anchor, *three_systems()], SUITE, systems, [ILD], Basis())
    (table,) = leaderboard(results, [SUITE], {"s": systems}, [ILD])
    marks = {row.label: row.cells[0].mark for row in table.rows}
    assert marks == {"Reference": "", "good": "best", "twin": "best", "bad": "second"}


def test_what_a_system_was_trained_on_is_signed_and_is_no_mark_of_a_test() -> None:
    trained = dataclasses.replace(BAD, optimised=("delta_ild",))
    table = [*three_systems(), *(row for s in ("good", "twin", "bad") for row in rows(s, "lr_acc", [50.0] * 30))]
    boards = [
        leaderboard(judge(table, SUITE, several, [LR, ILD], Basis()), [SUITE], {"s": several}, [LR, ILD])[0]
        for several in ([GOOD, TWIN, BAD], [GOOD, TWIN, trained])
    ]
    plain, signed = ({row.label: row.cells for row in board.rows} for board in boards)
    assert signed["bad"][1].text == plain["bad"][1].text + "‡"
    assert [cell.optimised for cell in signed["bad"]] == [False, True]
    assert "‡" not in "".join(cell.text for name in ("good", "twin") for cell in signed[name])
    assert [[cell.mark for cell in cells] for cells in signed.values()] == [
        [cell.mark for cell in cells] for cells in plain.values()
    ], "bold and underlined are the tests' alone"
    (note,) = [note for note in boards[1].notes if "‡" in note]
    assert note.startswith("‡ bad was trained to do well in ΔILD:") and "no result of a test" in note
    assert not [note for note in boards[0].notes if "‡" in note]
    for form, sign in (("text", "‡"), ("md", "‡"), ("csv", "‡"), ("tex", r"$^\ddagger$")):
        text = render([boards[1]], form)
        assert sign in text and "was trained to do well in" in text
    assert json.loads(render([boards[1]], "json"))[0]["rows"][-1]["cells"]["delta_ild"]["optimised"]


def test_who_heard_the_reference_is_ranked_apart_and_stands_below() -> None:
    heard = [SystemInfo(name, name, anchor=False, binauralises=True) for name in ("easy", "easier")]
    noise = SystemInfo("noise", "Noise", anchor=True, binauralises=False)
    anchors = [*rows("reference", "delta_ild", [0.0] * 30), *rows("noise", "delta_ild", [3.0] * 30)]
    heard_rows = [*rows("easy", "delta_ild", [0.5] * 30), *rows("easier", "delta_ild", [0.1] * 30)]
    systems = [REFERENCE, noise, heard[0], GOOD, heard[1], BAD]
    results = judge([*anchors, *three_systems(), *heard_rows], SUITE, systems, [ILD], Basis())
    ranks = {r.system: r.rank for r in results if r.rank is not None}
    assert ranks == {"good": 1, "bad": 2, "easier": 1, "easy": 2}
    (board,) = leaderboard(results, [SUITE], {"s": systems}, [ILD])
    assert [(row.label, row.group) for row in board.rows] == [
        ("Reference", "anchors"), ("Noise", "anchors"), ("good", "systems"), ("bad", "systems"),
        ("easier†", "binauralising"), ("easy†", "binauralising"),
    ]  # fmt: skip
    assert [row.cells[0].mark for row in board.rows] == ["", "", "best", "second", "best", "second"]


def test_the_rows_of_another_suite_are_left_out() -> None:
    others = [row._replace(suite="t", value=7.0) for row in three_systems()]
    systems = [GOOD, TWIN, BAD]
    mixed = [row for pair in zip(others, three_systems(), strict=True) for row in pair]
    assert judge(mixed, SUITE, systems, [ILD], Basis()) == judge(three_systems(), SUITE, systems, [ILD], Basis())


def test_a_suite_without_any_row_has_no_values() -> None:
    results = judge([], SUITE, [REFERENCE, GOOD], [LR, CCC, METRICS["fcd"], METRICS["w1_ild"]], Basis())
    assert {(r.value, r.n, r.status, r.reason) for r in results} == {(None, 0, "missing", "undefined on these clips")}


@settings(max_examples=30)
@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=8))
def test_clip_rows_survive_writing_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    table = rows("good", "lr_acc", values)
    write_clip_rows(folder, table)
    read = read_clip_rows(folder / "clips.csv")
    columns = {name: read.column(name).tolist() for name in ClipRow._fields if name != "value"}
    columns["value"] = [None if math.isnan(value) else value for value in read.value.tolist()]
    assert list(zip(*(columns[name] for name in ClipRow._fields), strict=True)) == table
    stored = pq.read_table(folder / "clips.parquet").to_pylist()
    assert [ClipRow(**row) for row in stored] == table


def result(**changes: object) -> Result:
    base = Result("s", "good", "lr_acc", "binaural", 75.0, 60.0, 90.0, 30, "measured", unit="%", better="higher")
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_results_have_the_promised_columns_and_survive_writing(tmp_path: Path) -> None:
    told = {"seed": 0, "protocol": {"name": "visaudio-bench"}}
    info = {"name": "s", "title": "S", "clips": 30, "synthetic": False}
    systems = [{"name": "good", "title": "Good", "anchor": False, "binauralises": False}]
    suite = {"info": info, "manifest": "0" * 64, "systems": systems, "metrics": ["lr_acc"], "cards": []}
    write_results(tmp_path, [result()], told, {"suites": [suite], "metrics": {"lr_acc": 1}, "unavailable": {}})
    with (tmp_path / "results.csv").open() as file:
        header, line = csv.reader(file)
    assert ",".join(header) == "suite,system,metric,view,value,low,high,n,status,reason"
    assert line == ["s", "good", "lr_acc", "binaural", "75.0", "60.0", "90.0", "30", "measured", ""]
    run = read_results(tmp_path)
    assert (run.results, run.provenance) == ([result()], told)


@pytest.mark.parametrize("wrong", [{"value": math.nan}, {"status": "guessed"}, {"value": None}, {"high": math.inf}])
def test_a_result_that_breaks_the_schema_is_not_written(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="good"):
        write_results(tmp_path, [result(**wrong)], {}, {"suites": []})
    assert not list(tmp_path.glob("results.*"))


def test_files_that_are_not_ours_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of a finished run"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"schema_version": 99}')
    with pytest.raises(UsageError, match="schema version 99"):
        read_results(tmp_path)
    (tmp_path / "clips.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="does not start with the columns"):
        read_clip_rows(tmp_path / "clips.csv")
    (tmp_path / "clips.csv").write_text("suite,system,clip,metric,view,value,status,reason\ns,x,c,m,v,much,measured,\n")
    with pytest.raises(UsageError, match="line 2"):
        read_clip_rows(tmp_path / "clips.csv")


HEADER = "suite,system,clip,metric,view,value,status,reason\n"
GOOD_LINE = "s,x,c,m,v,1.5,measured,\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "s,x,c,m,v,much,measured,\n",
            "line 902, is not a row of this schema: value 'much' is no number",
        ),
        ("s,x,c,m,v,1.5,guessed,\n", "line 902, is not a row of this schema: status 'guessed' is none of"),
        ("s,x,c,m,v,1.5,measured\n", "line 902, is not a row of this schema: 7 fields instead of 8"),
        ("s,x,c,m,v,1.5,measured,,\n", "line 902, is not a row of this schema: 9 fields instead of 8"),
        ("s,../x,c,m,v,1.5,measured,\n", "line 902, is not a row of this schema: system '../x' cannot name a file"),
        ("s,x,c,m,v,1.5,failed,\n", "line 902, is not a row of this schema: value '1.5' with status failed"),
        ("s,x,c,m[],v,1.5,measured,\n", "line 902, is not a row of this schema: metric 'm[]' is no name"),
        ("s,x,c,m[9999999],v,1.5,measured,\n", "line 902, is not a row of this schema: metric 'm[9999999]' is no"),
        ("s,x,c,m,v,,measured,\n", "line 902, is not a row of this schema: value '' with status measured"),
        ("s,x,c0,m,v,1.5,measured,\n", "line 902, says again what line 2 says: m (v) of clip"),
        ("\n", "line 902, is not a row of this schema: 0 fields instead of 8"),
    ],
)
def test_the_row_that_breaks_the_schema_is_named_among_many(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "clips.csv"
    good = [GOOD_LINE.replace(",c,", f",c{number},") for number in range(1800)]
    path.write_text(HEADER + "".join(good[:900]) + line + "".join(good[900:]))
    with pytest.raises(UsageError) as refused:
        read_clip_rows(path)
    assert f"{path}, {told}" in str(refused.value)


@pytest.mark.parametrize("metrics", [1, 300], ids=["few places", "many more places than rows"])
def test_a_row_that_is_there_twice_is_seen_however_rows_are_spread(tmp_path: Path, metrics: int) -> None:
    path = tmp_path / "clips.csv"
    rows = [f"s,x,c{number},m{number % metrics},v,1.5,measured,\n" for number in range(300)]
    path.write_text(HEADER + "".join(rows))
    assert len(read_clip_rows(path)) == 300
    path.write_text(HEADER + "".join([*rows, rows[7]]))
    with pytest.raises(UsageError, match="line 302, says again what line 9 says"):
        read_clip_rows(path)


def test_rows_are_read_as_a_csv_reader_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    lines = ['s,"a, b","say ""c""",m,v,-0.0,measured,\r\n', 's,é,d,m,v,"",missing,"why,\nthen"\r\n',
             "s,NA,null,m,v, 1_0 ,measured,\r\n"]  # fmt: skip
    path.write_bytes((HEADER + "".join(lines)).encode("utf-8-sig"))
    for several in (lines[:2], lines):  # the last value is a number to Python alone
        path.write_bytes((HEADER + "".join(several)).encode("utf-8-sig"))
        read = read_clip_rows(path)
        assert read.column("system").tolist() == ["a, b", "é", "NA"][: len(several)]
        assert read.column("clip").tolist() == ['say "c"', "d", "null"][: len(several)]
        assert read.column("reason").tolist() == ["", "why,\nthen", ""][: len(several)]
        assert read.value[:2].tolist() == pytest.approx([0, math.nan], nan_ok=True)
    assert read.value[2] == 10
    path.write_text(HEADER)
    assert len(read_clip_rows(path)) == 0


def test_reading_rows_does_not_wait_for_pandas(tmp_path: Path) -> None:
    write_clip_rows(tmp_path, three_systems())
    code = (
        "import sys; from pathlib import Path; from visaudio_bench.leaderboards.schema import read_clip_rows as r; "
        f"assert len(r(Path({str(tmp_path / 'clips.csv')!r}))) == 90; sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_no_two_systems_can_be_separated_it_is_said() -> None:
    few = [*rows("good", "lat_err", [1.0, 2.0] * 3 + [None] * 24), *rows("bad", "lat_err", [3.0, 5.0] * 15)]
    metrics = [ILD, METRICS["lat_err"]]
    results = judge([*three_systems(), *few], SUITE, [GOOD, TWIN, BAD], metrics, Basis())
    (table,) = leaderboard(results, [SUITE], {"s": [GOOD, TWIN, BAD]}, metrics)
    told = [note for note in table.notes if note.startswith("No two systems")]
    assert told == ["No two systems can be separated in LatErr (6): tests begin at 10 clips."]
    small = SuiteInfo("s", "a suite", 9, synthetic=False)
    (table,) = leaderboard(results, [small], {"s": [GOOD, TWIN, BAD]}, [ILD])
    assert "no two systems can be separated" in " ".join(table.notes)


@pytest.mark.parametrize(("count", "separable"), [(22, True), (23, False)])
def test_so_many_systems_that_holm_leaves_no_pair_are_told_of(count: int, separable: bool) -> None:
    systems = [SystemInfo(f"s{number:02d}", f"S{number:02d}", anchor=False, binauralises=False)
               for number in range(count)]  # fmt: skip
    rng = np.random.default_rng(0)
    values = {system.name: (10 * place + rng.uniform(1, 2, 30)).tolist() for place, system in enumerate(systems)}
    table = [row for name, each in values.items() for row in rows(name, "delta_ild", each)]
    results = judge(table, SUITE, systems, [ILD], Basis())
    assert any(result.rank for result in results) == separable
    (shown,) = leaderboard(results, [SUITE], {"s": systems}, [ILD])
    told = [note for note in shown.notes if "Holm multiplies" in note]
    assert bool(told) != separable
    assert separable or (told[0].startswith("No two of 23 systems") and "253 pairs" in told[0])


@pytest.mark.parametrize(("clips", "given"), [(19, False), (20, True)])
def test_a_pooled_correlation_has_no_interval_below_twenty_clips(clips: int, given: bool) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (clips, 8))
    y = x + rng.normal(0, 0.3, x.shape)
    moments = np.full(clips, 8.0), x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)
    sums = zip(CCC.quantities, moments, strict=True)
    table = [row for name, values in sums for row in rows("good", name, values.tolist())]
    (result,) = judge(table, SUITE, [GOOD], [CCC], Basis())
    assert (result.low is not None) == given and result.value is not None
    assert result.reason == ("" if given else "no interval below 20 clips")
