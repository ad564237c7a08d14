"""DFN5B CLIP ViT-H/14 (Fang et al. 2023, arXiv 2309.17425) through open_clip: one vector a frame, one a text token.

Frames are squashed to 384 x 384 pixels, of which the patches cover 378. The text is represented by the last hidden
states of its 77 tokens, neither pooled nor projected. The weights are those of `open_clip_pytorch_model.bin`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from visaudio_bench.models.backbones.frames import normalise
from visaudio_bench.models.backbones.layers import exact_float32
from visaudio_bench.models.extras import import_extra

ARCHITECTURE = "ViT-H-14-378-quickgelu"
SIDE = 384
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class DfnClip(nn.Module):
    """Both halves of the public model; 987 million parameters, 633 million of them for pictures."""

    title = "DFN5B CLIP ViT-H/14 at 378 pixels (open_clip)"
    ignored: tuple[str, ...] = ()

    def __init__(self, config: Mapping[str, Any] | None = None, side: int = SIDE):
        """The published architecture by default.

        Args:
            config: an architecture in the terms of open_clip (`embed_dim`, `vision_cfg`, `text_cfg`, ...).
            side: of the square pictures in pixels.

        Raises:
            BenchError: open_clip is not installed.
        """
        super().__init__()
        open_clip = import_extra("open_clip", "video", self.title)
        config = dict(config or open_clip.get_model_config(ARCHITECTURE))
        config["vision_cfg"] = {**config["vision_cfg"], "image_size": side}
        self.side = side
        self.public: Any = open_clip.CLIP(**config)

    def finish(self) -> None:
        """Make the causal mask again, which is not part of the file."""
        length = self.public.context_length
        self.public.attn_mask = torch.full((length, length), -torch.inf).triu_(1)

    def encode_frames(self, frames: Tensor, batch: int = 8) -> Tensor:
        """Squashed frames `(N, 3, 384, 384)` uint8, `batch` at once, to unit vectors `(N, 1024)` float32."""
        weight = self.public.visual.conv1.weight
        parts = (normalise(part.to(weight.device), _MEAN, _STD) for part in torch.split(frames, batch))
        with exact_float32(weight.device):
            embedded = torch.cat([self.public.encode_image(part.to(weight.dtype)) for part in parts])
        return functional.normalize(embedded.float(), dim=-1)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """`B` captions to the hidden states of their tokens `(B, 77, 1024)` float32, each a unit vector."""
        tokens = tokenize(captions).to(self.public.positional_embedding.device)
        x = self.public.token_embedding(tokens) + self.public.positional_embedding
        hidden = self.public.ln_final(self.public.transformer(x, attn_mask=self.public.attn_mask))
        return functional.normalize(hidden.float(), dim=-1)


def tokenize(captions: Sequence[str]) -> Tensor:
    """Captions to tokens `(B, 77)` int64; longer ones are cut. The vocabulary comes with open_clip.

    Raises:
        BenchError: open_clip is not installed.
    """
    open_clip = import_extra("open_clip", "video", DfnClip.title)
    tokens: Tensor = open_clip.get_tokenizer(ARCHITECTURE)(list(captions))
    return tokens
