"""The conditional spacetime module (Eqs. 9-10): where in the picture something happens, for each ear and moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.layers import Linear, drawn, unflatten
from visaudio_bench.models.visaudio.blocks import ChannelLastConv1d, ConvMLP, xavier
from visaudio_bench.models.visaudio.config import Config


class SpatialProjection(nn.Module):
    """Algorithm 1: a grid of features for each picture to one vector for each latent frame, for both ears.

    The ears differ in their learned position embedding alone; convolutions and perceptron are shared.
    """

    def __init__(self, config: Config):
        super().__init__()
        dim, grid, width = config.spatial_dim, config.spatial_grid, config.hidden
        self.pos_l = nn.Parameter(drawn(1, 1, grid, grid, dim, scale=0.02))
        self.pos_r = nn.Parameter(drawn(1, 1, grid, grid, dim, scale=0.02))
        self.conv1d = ChannelLastConv1d(dim, width, config.pe_conv1d_kernel)
        self.down1 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.conv_mlp = ConvMLP(width, 3)
        side = (grid + 3) // 4
        self.mlp = nn.Sequential(Linear(side * side * width, width), nn.SiLU(), Linear(width, width))
        xavier(self.mlp)

    def forward(self, spatial: Tensor, length: int) -> Tensor:
        """Features `(B, nc, g, g, spatial_dim)` to `(B, 2, length, h)`, left first."""
        batch, pictures, grid = spatial.shape[:3]
        # the convolution is linear: features and position embeddings can pass it apart, so that both ears share
        # what is by far the larger part
        places = self.conv1d(spatial.flatten(0, 1).flatten(1, 2))
        positions = torch.cat([self.pos_l, self.pos_r]).flatten(0, 1).flatten(1, 2).transpose(1, 2)
        shifts = functional.conv1d(positions, self.conv1d.weight, padding=self.conv1d.padding).transpose(1, 2)
        ears = functional.silu(places[:, None] + shifts)
        x = unflatten(ears.flatten(0, 1).transpose(1, 2), 2, (grid, grid))
        x = functional.silu(self.down1(x))
        x = functional.silu(self.down2(x))
        x = self.conv_mlp(x.flatten(2).transpose(1, 2))
        x = unflatten(self.mlp(x.flatten(1)), 0, (batch, pictures, 2))
        return _to_latent_rate(x, length)


def _to_latent_rate(x: Tensor, length: int) -> Tensor:
    """`(B, nc, 2, h)` to `(B, 2, length, h)`, linearly over time."""
    batch, pictures, ears, width = x.shape
    series = x.permute(0, 2, 3, 1).reshape(batch * ears, width, pictures)
    series = functional.interpolate(series, size=length, mode="linear", align_corners=False)
    return unflatten(series.transpose(1, 2), 0, (batch, ears))


class Spacetime(nn.Module):
    """Eq. 10: the condition of each ear's branch, from what both ears share and what Algorithm 1 found for this one.

    Both maps begin as [I | 0]: each branch gets the shared condition, as MMAudio's blocks were trained with.
    """

    def __init__(self, width: int):
        super().__init__()
        self.linear_l = Linear(2 * width, width)
        self.linear_r = Linear(2 * width, width)
        with torch.no_grad():
            for linear in (self.linear_l, self.linear_r):
                nn.init.zeros_(linear.bias)
                nn.init.zeros_(linear.weight)
                linear.weight.fill_diagonal_(1.0)

    def forward(self, condition: Tensor, spatial: Tensor) -> tuple[Tensor, Tensor]:
        """Condition `(B, n, h)` and spatial features `(B, 2, n, h)` to a condition `(B, n, h)` for each ear."""
        left, right = spatial.unbind(1)
        return self.linear_l(torch.cat([condition, left], -1)), self.linear_r(torch.cat([condition, right], -1))
