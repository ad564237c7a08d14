import csv
import time

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import CI_METHODS, mos


@pytest.mark.slow
def test_all_intervals_of_250000_votes_cost_no_more_than_ten_times_those_of_25000(tmp_path):
    """Both in the same process: seconds say more of the machine. Once read, votes cost next to nothing each."""
    spent = {}
    for raters in (10, 100, 1000):  # the first imports modules
        file = tmp_path / f"{raters}.csv"
        CliRunner().invoke(mos, ["simulate", "--raters", str(raters), "--out", str(file)])
        began = time.process_time()
        result = CliRunner().invoke(mos, ["--ratings", str(file), "--ci", ",".join(CI_METHODS), "--out", str(tmp_path)])
        spent[raters] = time.process_time() - began
        assert result.exit_code == 0, result.exception
    assert spent[1000] < 15 * spent[100]  # a half more for noise; what grows with the square takes a hundred times
    with (tmp_path / "mos.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 5 * 5 * len(CI_METHODS)
    assert {row["n_votes"] for row in rows} == {"10000"}
    assert all(row["half"] for row in rows)
