"""Which rows are anchors is said by their cards; names, tables and the manual follow."""

from __future__ import annotations

import re
from pathlib import Path

from visaudio_bench.baselines import ANCHORS, DEFAULT_SYSTEMS, STANDING_ANCHORS, open_system

ROOT = Path(__file__).resolve().parents[2]
CARDS = [open_system(name).card for name in DEFAULT_SYSTEMS]


def test_anchors_are_the_systems_whose_cards_say_so() -> None:
    assert tuple(card.name for card in CARDS if card.anchor) == ANCHORS
    assert tuple(card.name for card in CARDS if "reference" in card.inputs) == STANDING_ANCHORS


def test_the_manual_names_them_all_and_nothing_else() -> None:
    page = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
    section = page[page.index("## Read it from the anchors") : page.index("## Where the sound is")]
    rows = re.findall(r"^\| ([^|†]+?)†? \|", section, re.MULTILINE)[1:]
    assert rows == [card.title for card in CARDS]
    assert "first five rows are anchors" in section and len(ANCHORS) == 5
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    told = front[front.index("Read the table from its anchors") :].partition("\n\n")[0]
    assert re.findall(r"\*([A-Z][^*]+)\*", told) == [card.title for card in CARDS]
