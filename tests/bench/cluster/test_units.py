"""What a worker of a cluster does with what it is sent, and what it refuses."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from visaudio_bench.bench.cluster.units import Errand, carry_out, errand, versions
from visaudio_bench.errors import BenchError, ClipError


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker changes its folder and its variables; here it is this process."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(tmp_path)


def cube(number: int) -> int:
    if number == 2:
        raise ClipError("silent", "nothing is heard")
    return number**3


def where(_: int) -> tuple[str, str]:
    return str(Path.cwd()), os.environ["OMP_NUM_THREADS"]


class Counting:
    """Something that is costly to begin with, such as a network."""

    begun = 0

    def __call__(self, number: int) -> int:
        return number

    def __setstate__(self, state: object) -> None:
        Counting.begun += 1


def sent(work: Errand) -> Errand:
    return pickle.loads(pickle.dumps(work))


def test_values_and_errors_come_back_one_an_item(tmp_path: Path) -> None:
    values = carry_out(sent(errand(cube, [tmp_path])), [1, 2, 3])
    assert [value for value, _ in values] == [1, None, 27]
    assert isinstance(values[1][1], ClipError)
    assert values[1][1].reason == "silent"


def test_a_worker_works_in_the_folder_of_who_conducts_with_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = errand(where, [])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert carry_out(work, [0]) == [((str(tmp_path), "1"), None)]


def test_what_was_loaded_is_kept_from_unit_to_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    counting.state = 1  # type: ignore[attr-defined]
    work = errand(partial(Counting.__call__, counting), [])
    monkeypatch.setattr(Counting, "begun", 0)
    assert [carry_out(sent(work), [number])[0][0] for number in range(3)] == [0, 1, 2]
    assert Counting.begun == 1


def other_numpy(work: Errand) -> Errand:
    return work._replace(versions=tuple((n, "0.1" if n == "numpy" else v) for n, v in work.versions))


def other_code(work: Errand) -> Errand:
    return work._replace(versions=(("visaudio-bench", "0.0.0+aaaaaaaaaaaa"), *work.versions[1:]))


def no_folder(work: Errand) -> Errand:
    return work._replace(tokens=("/nowhere/.shared~1",))


def no_function(work: Errand) -> Errand:
    return work._replace(function=pickle.dumps(cube).replace(b"cube", b"cubX"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_numpy, ["numpy", "0.1", dict(versions())["numpy"]]),
        (other_code, ["visaudio-bench", "0.0.0+aaaaaaaaaaaa", dict(versions())["visaudio-bench"]]),
        (no_folder, ["does not see /nowhere ", "VISAUDIO_BENCH_CACHE=DIR"]),
        (no_function, ["lacks", "cubX"]),
    ],
)
def test_a_worker_refuses_all_where_results_would_be_others_or_lost(
    tmp_path: Path, spoil: Callable[[Errand], Errand], words: list[str]
) -> None:
    answers = carry_out(spoil(errand(cube, [tmp_path])), [1, 3])
    for value, error in answers:
        assert value is None
        assert type(error) is BenchError  # ends the command, and is not of one clip
        assert all(word in str(error) for word in words), error
        assert str(error).count(". ") <= 1
