"""What published systems were trained on: metrics that there are, and where a run says it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from visaudio_bench.baselines.published.card import read_card
from visaudio_bench.baselines.published.installed import card_folders
from visaudio_bench.bench.evaluation.family_registry import own_metrics
from visaudio_bench.errors import UsageError

CARDS = {name: read_card(folder) for name, folder in card_folders().items()}


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.optimised])
def test_every_key_is_a_metric_of_ours(name: str) -> None:
    assert set(CARDS[name].optimised) <= own_metrics().keys()


def test_prismaudio_has_the_metrics_of_its_four_rewards() -> None:
    assert {"desync", "delta_itd", "aes_pq"} <= set(CARDS["prismaudio"].optimised)
    assert "MS-CLAP" in CARDS["prismaudio"].optimised_beside


@pytest.mark.parametrize("wrong", ['"desync"', "[1]", '[""]'])
def test_a_card_says_it_as_a_list_of_keys(wrong: str, tmp_path: Path) -> None:
    folder = tmp_path / "foleyspace"
    shutil.copytree(card_folders()["foleyspace-official"], folder)
    with (folder / "card.toml").open("a") as card:
        card.write(f"optimised = {wrong}\n")
    with pytest.raises(UsageError, match="a list of keys of metrics was expected"):
        read_card(folder)


def test_the_card_is_shown_in_words(bench: Callable) -> None:
    told = bench("systems", "show", "prismaudio").out
    assert "trained on" in told and "desync" in told and "StereoCRW" in told


def test_sounds_of_a_published_system_are_signed_where_it_was_trained(
    bench: Callable, clips: Path, tmp_path: Path
) -> None:
    names = ("prismaudio", "other")
    for name in names:
        (tmp_path / name).mkdir()
        for index in range(6):
            shutil.copy(clips / f"clip{(index + 1) % 6}.wav", tmp_path / name / f"clip{index}.wav")
    systems = [part for name in names for part in ("--system", f"outputs:{tmp_path / name}")]
    chosen = ["--metric", "delta_itd", "--metric", "delta_ild"]
    told = bench("run", "--suite", f"folder:{clips}", *systems, *chosen, "--out", tmp_path / "run", "--format", "json")
    assert told.code == 0, told.err
    (table,) = json.loads(told.out)
    signed = {
        (row["system"], key)
        for row in table["rows"]
        for key, cell in row["cells"].items()
        if cell["text"].endswith("‡")
    }
    assert signed == {("prismaudio", "delta_itd")}
    (suite,) = json.loads((tmp_path / "run" / "results.json").read_text())["suites"]
    assert [system["name"] for system in suite["systems"] if "delta_itd" in system["optimised"]] == ["prismaudio"]
    assert {card["name"]: "delta_itd" in card["optimised"] for card in suite["cards"]}["prismaudio"]
    again = json.loads(bench("report", tmp_path / "run", "--format", "json").out)
    assert [row["cells"]["delta_itd"]["optimised"] for row in again[0]["rows"] if row["system"] == "prismaudio"] == [
        True
    ]
