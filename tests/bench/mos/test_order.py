import csv
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visaudio_bench.bench.mos.sample_order import slots, williams


@given(st.integers(2, 9))
def test_every_system_stands_everywhere_and_follows_every_other_equally_often(n):
    rows = williams(n)
    assert len(rows) == (2 * n if n % 2 else n)
    assert all(sorted(row) == list(range(n)) for row in rows)
    for slot in range(n):
        assert set(Counter(row[slot] for row in rows).values()) == {len(rows) // n}
    pairs = Counter((row[k], row[k + 1]) for row in rows for k in range(n - 1))
    assert set(pairs.values()) == {len(rows) // n}
    assert len(pairs) == n * (n - 1)


def test_five_systems_have_ten_rows_and_each_rater_sees_each_once_in_ten_groups():
    assert len(williams(5)) == 10
    for rater in range(12):
        seen = {tuple(slots(5, rater, group)) for group in range(10)}
        assert seen == {tuple(row) for row in williams(5)}


def test_one_system_needs_one_row():
    assert williams(1) == [[0]]


@pytest.mark.parametrize("rater", [0, 7])
def test_over_ten_raters_a_clip_is_seen_in_every_row(rater):
    assert len({tuple(slots(5, rater + k, 3)) for k in range(10)}) == 10


def test_the_page_uses_the_same_design(survey):
    import json

    data = json.loads((survey.folder / "survey.json").read_text())
    assert data["rows"] == williams(5)
    with survey.key.open() as file:
        key = {row["code"]: row["system"] for row in csv.DictReader(file)}
    by_position = [[key[code] for code in group["samples"]] for group in data["groups"]]
    assert by_position[0] == by_position[1], (
        "the design is balanced only if a position means the same system everywhere"
    )
