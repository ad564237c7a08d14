"""Work in processes that may die or hang."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import active_children
from pathlib import Path

from visaudio_bench.errors import ClipError
from visaudio_bench.isolation import map_isolated
from visaudio_bench.pool import elsewhere

from ..bench.cluster.doubles import InProcess


def work(item: str) -> str:
    if item == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item.startswith("once"):  # what ends the process comes from outside: the next one meets it no more
        mark = Path(item.removeprefix("once "))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(600)
    if item == "refuse":
        raise ClipError("mono", "one channel")
    if item == "hoard":
        return str(len(bytearray(64 * 1024**3)))
    return f"{item} {os.getpid()}"


def test_a_process_that_dies_or_hangs_costs_its_own_item_alone() -> None:
    # A new worker imports for longer than this on any machine: that time is not its item's.
    items = ["a", "die", "b", "refuse", "hang", "hoard", "c"]
    outcomes = {outcome.item: outcome for outcome in map_isolated(work, items, 2, timeout=2)}
    assert set(outcomes) == set(items)
    for name in "abc":
        assert outcomes[name].result().startswith(name)
    reasons = {name: getattr(outcomes[name].error, "reason", None) for name in ("die", "refuse", "hang")}
    assert reasons == {"die": "crashed", "refuse": "mono", "hang": "timeout"}
    assert isinstance(outcomes["hoard"].error, MemoryError)


def test_workers_are_kept_and_stopping_early_leaves_none_behind() -> None:
    first = {outcome.result().split()[1] for outcome in map_isolated(work, ["a", "b"], 1, timeout=600)}
    second = {outcome.result().split()[1] for outcome in map_isolated(work, ["c"], 1, timeout=600)}
    assert len(first) == 1
    assert first == second
    early = map_isolated(work, ["a", "hang"], 1, timeout=600)
    next(early)
    early.close()  # a hanging worker is ended with the loop, not waited for
    assert next(map_isolated(work, ["d"], 1, timeout=600)).result().startswith("d")


def test_what_ends_a_process_from_outside_costs_no_item(tmp_path: Path) -> None:
    for outcome in map_isolated(work, ["a"], 1, timeout=600):
        assert outcome.error is None
    for child in active_children():  # workers that wait for work
        child.kill()
        child.join()
    items = ["b", f"once {tmp_path / 'mark'}", "die", "c"]
    outcomes = {outcome.item: outcome for outcome in map_isolated(work, items, 1, timeout=600)}
    assert [item for item in items if outcomes[item].error is not None] == ["die"]
    assert "code -11, and another one before it" in str(outcomes["die"].error)


def test_workers_of_another_engine_start_such_processes_themselves() -> None:
    items = ["a", "die", "refuse"]
    with elsewhere(InProcess()):
        outcomes = {outcome.item: outcome for outcome in map_isolated(work, items, 2, timeout=600)}
    assert outcomes["a"].result().startswith("a") and not outcomes["a"].result().endswith(f" {os.getpid()}")
    assert {name: getattr(outcomes[name].error, "reason", None) for name in items[1:]} == {
        "die": "crashed",
        "refuse": "mono",
    }
