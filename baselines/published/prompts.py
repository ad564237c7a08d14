"""What is said to a system that reads text, by the paper's rules (ViSAudio, Sec. 5.2 and App. C.1).

| suite     | what a system that reads text is given                       |
|-----------|--------------------------------------------------------------|
| BiAudio   | both descriptions, without the labels of training            |
| MUSIC     | the names of the instruments                                 |
| FAIR-Play | nothing: every system sees the video only                    |

The first two are the clip's caption, as the suite has it; a clip of FAIR-Play has none. The options of a card say how
its system differs:

* `text = "none"`: it can read text and is not given any (See2Sound, whose condition the paper calls video only);
* `prompt_without_caption`: what it is told where a clip has no caption, because its authors always tell it something;
* `cot`: what a system that also reads a chain of thought gets. The paper does not say. `caption`, the default, is the
  caption again; `given` is the clip's own, which its suite carries as `meta["cot"]`.
"""

from __future__ import annotations

from typing import NamedTuple

from visaudio_bench.baselines.published.card import Card
from visaudio_bench.baselines.published.contract import Options
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.clip import Clip


class Texts(NamedTuple):
    """The caption and the reasoning text that a clip's job carries; None where the system is told nothing."""

    caption: str | None
    cot: str | None


def texts(card: Card, clip: Clip, options: Options) -> Texts:
    """Choose the texts that one system is given for one clip.

    Args:
        card: the system's; it says which texts it takes.
        clip: with its caption.
        options: the system's choices: `text` none, and prompts that stand in for a caption.

    Returns:
        Caption and chain of thought, None where the system takes none.

    Raises:
        ClipError: `no_cot`: the clip's own chain of thought was asked for, and it has none.
    """
    told = None if options.get("text") == "none" else (clip.caption or "").strip()
    caption = told or options.get("prompt_without_caption")
    return Texts(
        caption if "caption" in card.given else None,
        _chain_of_thought(clip, caption, options) if "cot" in card.given else None,
    )


def _chain_of_thought(clip: Clip, caption: str | None, options: Options) -> str | None:
    if options.get("cot", "caption") == "caption":
        return caption
    given = str(clip.meta.get("cot") or "").strip()
    if not given:
        raise ClipError(
            "no_cot",
            f'clip {clip.id} has no chain of thought: its suite has no "cot" for it. '
            "Leave the variant away, which takes the caption instead.",
        )
    return given
