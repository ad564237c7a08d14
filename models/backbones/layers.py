"""What the frozen networks share: fast exact linear maps and convolutions, attention, the two-layer perceptron.

On processors whose vendor the default matrix library does not favour, `torch.nn.functional.linear` in float32 runs
at half of what the same processor does through oneDNN (106 against 222 GFLOP/s a core on AMD Zen 5). Both are plain
float32 products; the order of summation is all that differs. `linear` therefore takes oneDNN where no gradient is
asked for, and torch's own path everywhere else (graphics cards, training, autocast, other types).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["none", "gelu"]
Products = Literal["ieee", "tf32"]


def drawn(*shape: int, scale: float) -> Tensor:
    """Draw numbers to train from.

    Nothing is drawn where a network is built without memory ("meta"), to be filled from a file: to calculate with
    nothing, PyTorch would import its compiler first, two seconds of processor time.

    Args:
        shape: of the tensor.
        scale: standard deviation.

    Returns:
        Normal numbers around zero.
    """
    numbers = torch.empty(shape)
    return numbers if numbers.is_meta else scale * numbers.normal_()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, activation: Activation = "none") -> Tensor:
    """Compute `x @ weight.T + bias`, then nothing or the exact (erf) GELU.

    Args:
        x: `(..., in)`.
        weight: `(out, in)`.
        bias: `(out,)`, None for none.
        activation: `none` or `gelu`.

    Returns:
        `(..., out)`.
    """
    if _onednn_applies(x, weight):
        algorithm = "none" if activation == "gelu" else ""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], algorithm)
        return result
    y = functional.linear(x, weight, bias)
    return functional.gelu(y) if activation == "gelu" else y


def _onednn_applies(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


_products: list[Products] = ["ieee"]


def multiply_float32(products: Products) -> None:
    """Let graphics cards multiply float32 numbers in this process in full (`ieee`) or rounded to 10 bits (`tf32`).

    What is said here also holds for convolutions, which torch would round by itself.
    """
    _products[0] = products
    torch.backends.cuda.matmul.fp32_precision = products


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Convolutions in full float32 on graphics cards, unless `multiply_float32` has asked for TF32, torch's default."""
    if device.type != "cuda":
        yield
        return
    settings = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before, settings.fp32_precision = settings.fp32_precision, _products[0]
    try:
        yield
    finally:
        settings.fp32_precision = before


class Linear(nn.Linear):
    """`torch.nn.Linear` through `linear`."""

    def forward(self, input: Tensor, activation: Activation = "none") -> Tensor:  # noqa: A002 (the base class's name)
        """Map `(..., in)` to `(..., out)`."""
        return linear(input, self.weight, self.bias, activation)


class Conv3x3(nn.Conv2d):
    """A 3 x 3 convolution that keeps the size.

    Over the few positions of a deep layer oneDNN spends its time on rearranging the weights, anew at every call;
    there the same sum is done as one matrix product over gathered neighbourhoods (4 times faster in Cnn14's end).
    """

    def __init__(self, before: int, after: int, *, bias: bool = True):
        super().__init__(before, after, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the base class's name)
        """`(B, before, H, W)` to `(B, after, H, W)`."""
        batch, _, height, width = input.shape
        if 3 * batch * height * width > self.out_channels or not _onednn_applies(input, self.weight):
            return super().forward(input)
        neighbourhoods = functional.unfold(input, 3, padding=1).transpose(1, 2)
        y = linear(neighbourhoods, self.weight.flatten(1), self.bias)
        return unflatten(y.transpose(1, 2), 2, (height, width))


class Mlp(nn.Module):
    """Linear, exact GELU, Linear, under the names `fc1` and `fc2`."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., width)` to the same shape."""
        result: Tensor = self.fc2(self.fc1(x, "gelu"))
        return result


def unflatten(x: Tensor, dim: int, sizes: tuple[int, ...]) -> Tensor:
    """Split a dimension: `Tensor.unflatten` with a type.

    Args:
        x: any tensor.
        dim: the dimension that is split.
        sizes: of its parts, -1 for one that follows from the others.

    Returns:
        The same numbers in the new shape.
    """
    result: Tensor = x.unflatten(dim, sizes)  # type: ignore[no-untyped-call]
    return result


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Compute multi-head softmax attention with logits scaled by `head_width ** -0.5`.

    Args:
        q: queries `(B, Q, D)`, the heads side by side in D.
        k: keys `(B, K, D)`, likewise.
        v: values `(B, K, D)`, likewise.
        heads: how many.

    Returns:
        `(B, Q, D)`.
    """
    q, k, v = (unflatten(x, -1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Self-attention under the parameter names of `torch.nn.MultiheadAttention`.

    With `extra_token` a learned key and value (`bias_k`, `bias_v`) stand behind those of the sequence.
    """

    def __init__(self, width: int, heads: int, *, extra_token: bool = False):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.bias_k = nn.Parameter(torch.zeros(1, 1, width)) if extra_token else None
        self.bias_v = nn.Parameter(torch.zeros(1, 1, width)) if extra_token else None
        self.out_proj = Linear(width, width)

    def forward(self, x: Tensor, *, first_only: bool = False) -> Tensor:
        """`(B, N, width)` to the same shape, or with `first_only` to the first token's `(B, 1, width)` alone.

        After a last layer nobody looks at the other tokens; leaving them out changes nothing but the time.
        """
        if first_only:
            width = x.shape[-1]
            q = linear(x[:, :1], self.in_proj_weight[:width], self.in_proj_bias[:width])
            k, v = linear(x, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=-1)
        else:
            q, k, v = linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(x), -1, -1)], dim=1)
            v = torch.cat([v, self.bias_v.expand(len(x), -1, -1)], dim=1)
        result: Tensor = self.out_proj(attend(q, k, v, self.heads))
        return result
