"""What is said to a system that reads text, by the paper's rules."""

from __future__ import annotations

from typing import NamedTuple

from baselines.published.card import Card
from baselines.published.contract import Options
from suites.clip import Clip


class Texts(NamedTuple):
    """The caption and the reasoning text that a clip's job carries; None for a system that reads none."""

    caption: str | None
    cot: str | None


def texts(card: Card, clip: Clip, options: Options) -> Texts:
    """The texts of one clip: its caption, where the card asks for one, and the caption again as reasoning."""
    del options
    return Texts(
        clip.caption if "caption" in card.given else None,
        clip.caption if "cot" in card.given else None,
    )
