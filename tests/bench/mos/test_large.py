import csv
import time

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.mos import CI_METHODS, mos


@pytest.mark.slow
def test_250000_votes_with_all_intervals_take_less_than_ten_seconds(tmp_path):
    file = tmp_path / "big.csv"
    CliRunner().invoke(mos, ["simulate", "--raters", "1000", "--out", str(file)])
    began = time.process_time()
    result = CliRunner().invoke(mos, ["--ratings", str(file), "--ci", ",".join(CI_METHODS), "--out", str(tmp_path)])
    spent = time.process_time() - began
    assert result.exit_code == 0, result.exception
    assert spent < 10
    with (tmp_path / "mos.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 5 * 5 * len(CI_METHODS)
    assert {row["n_votes"] for row in rows} == {"10000"}
    assert all(row["half"] for row in rows)
