"""`bench weights` and `bench hear`: what they print, and how they end."""

import dataclasses
import hashlib
import json

import pytest
from click.testing import CliRunner

from visaudio_bench.bench.cli.commands import cli
from visaudio_bench.errors import BenchError, UsageError
from visaudio_bench.models import hear_modules
from visaudio_bench.models.weights import WEIGHTS, WEIGHTS_VARIABLE, WeightFile

CONTENT = b"weights" * 1000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    monkeypatch.setenv("VISAUDIO_BENCH_CACHE", str(tmp_path / "cache"))
    toy = WeightFile(
        "toy", "toy.pth", "nothing", len(CONTENT), "CC0-1.0", "http://127.0.0.1:9/toy.pth", size_is_exact=True,
        sha256=hashlib.sha256(CONTENT).hexdigest(), checksum_from="this test",
    )  # fmt: skip
    monkeypatch.setitem(WEIGHTS, "toy", toy)
    (tmp_path / "toy.pth").write_bytes(CONTENT)
    return tmp_path


def bench(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def state(name):
    (table,) = json.loads(bench("weights", "list", "--format", "json").stdout)
    (row,) = [row for row in table["rows"] if row["name"] == name]
    return row["cells"]


def test_list_says_what_is_here_and_what_it_is_for(folder):
    cells = state("imagebind")
    assert cells["state"]["text"] == "missing"
    assert cells["licence"]["text"] == "CC-BY-NC-SA-4.0"
    assert cells["size"] == {"text": "4.8 GB", "value": 4803584173} | {
        key: cells["size"][key] for key in ("low", "high", "mark", "reason", "optimised")
    }
    assert "IB-Score" in bench("weights", "list", "--format", "md").stdout


@pytest.mark.parametrize("source", ["", "toy.pth"])
def test_fetch_from_a_folder_or_a_file_then_verify(folder, source):
    result = bench("weights", "fetch", "toy", "--from", folder / source)
    assert result.exit_code == 0 and result.stdout == ""
    assert "licence CC0-1.0" in result.stderr
    assert state("toy")["state"]["text"] == "here"
    verified = bench("weights", "verify")
    assert verified.exit_code == 0 and "checked: size, sha256" in verified.stdout


def test_verify_fails_when_a_file_is_wrong(folder):
    bench("weights", "fetch", "toy", "--from", folder)
    (folder / "weights" / "toy.pth").write_bytes(CONTENT[::-1])
    result = bench("weights", "verify", "toy")
    assert isinstance(result.exception, BenchError) and "toy" in str(result.exception)
    assert "wrong" in result.stdout and "sha256" in result.stdout


def test_where(folder):
    assert bench("weights", "where").stdout == f"{folder / 'weights'}\n"
    assert bench("weights", "where", "toy").stdout == f"{folder / 'weights' / 'toy.pth'}\n"


def test_errors_name_the_way_out(folder):
    unknown = bench("weights", "fetch", "vgish")
    assert isinstance(unknown.exception, UsageError) and 'Did you mean "vggish"' in str(unknown.exception)
    one_file = bench("weights", "fetch", "toy", "vggish", "--from", folder / "toy.pth")
    assert isinstance(one_file.exception, UsageError) and "give a folder instead" in str(one_file.exception)


def test_an_inexact_size_has_no_value(folder, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "toy", dataclasses.replace(WEIGHTS["toy"], size_is_exact=False))
    assert state("toy")["size"]["value"] is None


def test_hear_validate(monkeypatch):
    monkeypatch.setattr(hear_modules, "_LENGTHS", (1.07,))  # all of them: tests/models/test_hear.py
    result = bench("hear", "validate", "visaudio_bench.models.hear_api.vggish", "--weights", "random")
    assert result.exit_code == 0 and "follows the HEAR API" in result.stdout
    assert isinstance(bench("hear", "validate", "json").exception, UsageError)
