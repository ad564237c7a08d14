"""Between a native sound and the sound that is scored: the interface that post-processing keeps.

`baselines.published.postprocess` exports `POSTPROCESSES: dict[str, Postprocess]`; the name of one stands in a card.
Every one is a pure function: native samples `(C, N)` float64 in, the rate they have, and the card's options with
`seconds`, the clip's length, among them; `(2, round(seconds * 44100))` float32 out, left first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Options = Mapping[str, Any]


@dataclass(frozen=True)
class ScoredSound:
    """The sound that is scored, and everything that was done to it.

    Attributes:
        samples: `(2, round(seconds * 44100))` float32, within full scale.
        gain: the one factor on both channels, 1.0 unless the sound would have clipped.
        record: JSON-able: the steps with their parameters, padded or dropped samples; goes into the clip's record.
    """

    samples: NDArray[np.float32]
    gain: float = 1.0
    record: Mapping[str, Any] = field(default_factory=dict)


Postprocess = Callable[[NDArray[np.float64], int, Options], ScoredSound]
