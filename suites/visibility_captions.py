"""Captions that say what is seen and what is not, as BiAudio's: training text with labels, inference text without.

Training text is `Visible sound: A, Invisible sound: B` (ViSAudio, appendix C.1); at inference the labels are removed.
The paper does not say how A and B are then joined: the join is a comma here, and a parameter. Without a B it is A.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from visaudio_bench.cells import nothing

JOIN = ", "
# A may hold commas, as the paper's own example does: it ends at the label of B.
_LABELLED = re.compile(r"\s*visible sound:\s*(?P<a>.*?)\s*(?:,\s*invisible sound:\s*(?P<b>.*?)\s*)?", re.I | re.S)


class SoundCaption(NamedTuple):
    """What is heard and seen, and what is heard and not seen (None where nothing is)."""

    visible: str
    invisible: str | None

    def labelled(self) -> str:
        """The training text."""
        return f"Visible sound: {self.visible}" + (f", Invisible sound: {self.invisible}" if self.invisible else "")

    def plain(self, join: str = JOIN) -> str:
        """The inference text."""
        return join.join(part for part in (self.visible, self.invisible) if part)


def parse_labelled(text: str) -> SoundCaption | None:
    """The parts of a labelled caption; None if the text carries no label.

    Raises:
        ValueError: there is a label and nothing visible after it.
    """
    match = _LABELLED.fullmatch(text)
    if match is None:
        return None
    if nothing(match["a"]):
        raise ValueError(f"nothing is visible in {text!r}")
    return SoundCaption(match["a"], None if nothing(match["b"] or "") else match["b"])
