"""ViSAudio's flow network (Eqs. 5-10) and MMAudio's, of which it is two branches."""

from __future__ import annotations

from torch import Tensor, nn

from models.visaudio.conditions import Conditions, Projected
from models.visaudio.config import Config, Lengths


class FlowNetwork(nn.Module):
    """What both networks share."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config

    def null(self, batch: int, lengths: Lengths) -> Conditions:
        """Conditions of nothing."""
        raise NotImplementedError

    def project(self, conditions: Conditions, length: int) -> Projected:
        """All that does not depend on noise or time, for `length` latent frames."""
        raise NotImplementedError

    def velocity(self, x: Tensor, t: Tensor, projected: Projected) -> Tensor:
        """Velocity of the flow at `x`, `(B, 2, n, C)` or, for MMAudio, `(B, n, C)`; t is `(B,)` in [0, 1]."""
        raise NotImplementedError

    def drop(self, conditions: Conditions, clip_mask: Tensor, sync_mask: Tensor, text_mask: Tensor) -> Conditions:
        """Conditions of nothing where the masks `(B,)` are true."""
        raise NotImplementedError

    def normalise(self, latent: Tensor) -> Tensor:
        """The codec's latent to the network's."""
        raise NotImplementedError

    def unnormalise(self, latent: Tensor) -> Tensor:
        """The network's latent to the codec's."""
        raise NotImplementedError


class MMAudio(FlowNetwork):
    """Mono."""


class ViSAudio(FlowNetwork):
    """Binaural."""


def build(config: Config) -> FlowNetwork:
    """The network that `config` describes."""
    return ViSAudio(config) if config.dual else MMAudio(config)
