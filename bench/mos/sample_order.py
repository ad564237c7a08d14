"""In which order samples are shown: a Williams design, rotated by rater.

Williams (1949), "Experimental designs balanced for the estimation of residual effects of treatments": every system
stands equally often in every slot, and every ordered pair of systems is adjacent equally often. With an odd number of
systems the design has twice as many rows, so five systems have exactly ten: one for each of ten groups.
"""

from __future__ import annotations


def williams(n: int) -> list[list[int]]:
    """Rows of a Williams design for `n` systems: `n` rows if n is even (or 1), `2 n` if it is odd."""
    zigzag = [0]
    for step in range(1, n):
        zigzag.append((zigzag[-1] + (step if step % 2 else -step)) % n)
    rows = [[(value + shift) % n for value in zigzag] for shift in range(n)]
    return rows + [row[::-1] for row in rows] if n % 2 and n > 1 else rows


def slots(n: int, rater: int, group: int) -> list[int]:
    """Say which system stands in each slot.

    The row rotates with the rater, so that over as many raters as the design has rows every clip is seen in every row
    once.

    Args:
        n: how many systems there are.
        rater: number of the rater, from 0 on.
        group: number of the clip, from 0 on.

    Returns:
        A permutation of 0 ... n - 1, by slot.
    """
    rows = williams(n)
    return rows[(rater + group) % len(rows)]
