"""How exact a computed number can be, measured instead of guessed.

Another processor, another BLAS or FFT, other instructions of the same one: all of them round the last bit of a step
differently, and all are right. What may come out in the end depends on the computation; near a log's floor a bit
becomes a digit. So a golden comparison asks the computation itself: it is run again on inputs, and through operations,
that are wrong by one unit in the last place (ulp) at random, and what is stored has to lie within a few times the
spread of the answers.

`nudged` moves values by a relative ulp. `other_rounding` does so to everything torch computes inside a block, as
another library would. `close_to_rounding` compares with what both of them did. `pytest --other-rounding` runs the tests
marked `golden` inside that block: a tolerance that is written down as a number has to hold there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

DRAWS = 3
FACTOR = 6.0  # times the spread: the largest of three draws against one more, and the rounding of whole sums
# Sums over many terms are wrong by ulps of their terms, not of themselves, which cancellation makes smaller.
SUMS = re.compile("mm|matmul|conv|fft|stft|sum|mean|linear|attention|norm|einsum")
# They choose or move values, or make them of nothing, or are rounded alike everywhere, as IEEE 754 demands.
EXACT = re.compile(
    "^_*[ir]?(add|sub|mul|div|true_?div|sqrt|square|to|float|double|type)_*$|"
    "cat|stack|pad|clone|contiguous|gather|where|index|^(arg|a)?(max|min)|clamp|relu|rand|neg|abs|flip|roll|repeat|"
    "interpolate|embedding|load|from_numpy|tensor"
)


def nudged(x: torch.Tensor, seed: int) -> torch.Tensor:
    """Each value moved by one relative ulp, up or down at random."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, x.shape, generator=generator, dtype=torch.int8) * 2 - 1
    return x + x * (signs * torch.finfo(x.dtype).eps).to(x.dtype)


class other_rounding(TorchFunctionMode):  # noqa: N801 (it is used as a function is)
    """Within this block, whatever torch computes in single or double precision is wrong by about one ulp at random."""

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.__name__
        in_place = name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))
        if in_place or EXACT.search(name):
            return result
        given = {_place(x) for x in (*args, *(kwargs or {}).values()) if isinstance(x, torch.Tensor)}
        total = SUMS.search(name) is not None
        if type(result) is tuple:
            return tuple(self._moved(one, total, given) for one in result)
        return self._moved(result, total, given)

    def _moved(self, x: Any, total: bool, given: set[int]) -> Any:
        if not isinstance(x, torch.Tensor) or x.dtype not in FLOATS or not x.numel() or x.is_meta or _place(x) in given:
            return x
        if not x.is_complex() and bool((x == x.round()).all()):
            return x  # counts, signs and ones come out of every library alike
        size = x.detach().abs()
        if total and x.ndim and (x.is_complex() or bool((x < 0).any())):  # of energies no term cancels another
            size = size + torch.linalg.vector_norm(x.detach(), dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        draw = torch.rand(x.shape, generator=self.generator) * 2 - 1
        return x + (size * draw * (torch.finfo(x.dtype).eps / 2)).to(x.dtype)


FLOATS = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def _place(x: torch.Tensor) -> int:
    """Where a tensor's values are: that of a view is its source's."""
    return 0 if x.is_meta else x.untyped_storage().data_ptr()


def spread(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
    """How far each value of `function(*inputs)` moves, at most in some draws, when everything is wrong by an ulp."""
    made = function(*inputs)
    moved = torch.zeros_like(made, dtype=torch.float64)
    for seed in range(DRAWS):
        with other_rounding(seed):
            again = function(*(nudged(x, seed) for x in inputs))
        moved = torch.maximum(moved, (again.double() - made.double()).abs())
    return moved


def close_to_rounding(
    function: Callable[..., torch.Tensor],
    *inputs: torch.Tensor,
    expected: Any,
    stored: Callable[[torch.Tensor], torch.Tensor] = lambda made: made,
) -> None:
    """`function(*inputs)` is what is expected, as far as its own sensitivity to rounding lets that be asked.

    Two numbers are held to it: the largest deviation, which the most sensitive value may have, and the root of the mean
    square, so that no more values deviate than rounding explains.

    Args:
        function: of tensors.
        inputs: what it is given.
        expected: the golden values.
        stored: which part of the result they are.
    """
    found = stored(function(*inputs)).double().numpy()
    allowed = stored(spread(function, *inputs)).numpy()
    expected = np.asarray(expected, dtype=np.float64)
    assert found.shape == expected.shape
    away = np.abs(found - expected)
    grain = 4 * float(torch.finfo(torch.float32).eps) * float(np.abs(expected).max())
    for name, of in (("largest", np.max), ("root mean square", lambda x: np.sqrt(np.mean(x**2)))):
        limit = FACTOR * of(allowed) + grain
        assert of(away) <= limit, f"{name} deviation {of(away):.3g}; rounding explains {limit:.3g}"
