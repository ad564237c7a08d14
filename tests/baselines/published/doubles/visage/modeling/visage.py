"""Test double of the authors' model."""

import json
from pathlib import Path

import torch


class VisageForAmbisonicsGeneration(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = config if isinstance(config, str) else config.settings["_attn_implementation"]

    @classmethod
    def from_pretrained(cls, path, attn_implementation=None):
        assert Path(path).is_dir()
        return cls(attn_implementation)

    def generate_cfg(
        self, inputs_embeds, direction, energy_map, do_sample=False, guidance_scale=-1.0, top_k=256, **kwargs
    ):
        call = {
            "pictures": inputs_embeds[0, :, 0].tolist(),
            "inputs": list(inputs_embeds.shape),
            "energy": list(energy_map.shape),
            "direction": direction.tolist(),
            "sample": do_sample,
            "top_k": top_k,
            "guidance": guidance_scale,
            "attention": self.attention,
            "training": self.training,
        }
        with Path("calls.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(call) + "\n")
        return torch.randint(0, 1024, (1, 431, 36))
