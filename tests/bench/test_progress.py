"""What is said of the time that is left: nothing before the work has warmed up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from visaudio_bench.bench import console


class Clock:
    """Stands for the module `time`; time passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[float]]:
    """Items that each take some seconds of a clock that is not the machine's."""
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)

    def items(*seconds: float) -> Iterator[float]:
        for each in seconds:
            clock.now += each
            yield each

    return items


def test_a_slow_first_item_foretells_nothing(
    passing: Callable[..., Iterator[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = (60.0, *(10.0,) * 9)
    assert list(console.track(passing(*seconds), 10, "scoring")) == list(seconds)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:6] == [f"scoring: {done}/10" for done in range(1, 7)]  # 50 s since the first, which took 60
    assert lines[6:] == [
        "scoring: 7/10, about 30 s left",
        "scoring: 8/10, about 20 s left",
        "scoring: 9/10, about 10 s left",
        "scoring: 10/10 in 2 min 30 s",
    ]


def test_items_that_many_workers_finish_together_are_no_pace(
    passing: Callable[..., Iterator[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    four_at_a_time = (40.0, 0.1, 0.1, 0.1) * 3  # 4 workers, 40 s each
    list(console.track(passing(*four_at_a_time), 12, "scoring"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["scoring: 1/12", "scoring: 5/12, about 1 min 11 s left"]


def test_a_bar_says_as_much(
    passing: Callable[..., Iterator[float]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    for _ in console.track(passing(60.0, *(10.0,) * 5), 30, "scoring"):
        pass
    assert "left" not in capsys.readouterr().err
    for _ in console.track(passing(5.0, 5.0, 5.0), 6, "scoring"):
        pass
    assert "3/6" in (told := capsys.readouterr().err) and "about 15 s left" in told


def test_a_long_line_goes_on_at_a_word_in_a_terminal_and_a_command_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(["metric"] * 20)
    command = f"           Get them: bench weights fetch {words}"
    long = f"  missing  {words}: bench data prepare biaudio --from DIR"
    text = f"  metrics  {words}\n{long}\n{command}"
    assert console.folded(text, 11) == text, "a log"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    first, second, *missing, prepare, last = console.folded(text, 11).splitlines()
    assert max(len(first), len(second)) <= 80 and second.startswith(" " * 11 + "metric")
    assert f"{first.strip()} {second.strip()}" == text.splitlines()[0].strip()
    assert max(map(len, missing)) <= 80 and prepare == " " * 11 + "bench data prepare biaudio --from DIR"
    assert last == command
