"""MMAudio from video and words to sound with filled weights, in this project's parts and in its authors' code.

`write_inputs` puts weights, sizes and a video into a folder, in the files and under the names that the authors'
loaders take; `our_sound` makes the sound with the classes that `mmaudio-dup` uses. Run as a program, in an environment
that has the authors' packages and with their checkout on its path, this file makes the same with their functions,

    PYTHONPATH=CHECKOUT python tests/models/visaudio/mmaudio_chain.py FOLDER

and writes `theirs.safetensors`: the sound and what the encoders made on the way. There it imports nothing of this
project. The video must not have a picture at any k / 25 s but 0: there the authors' reader, which adds rounded steps
up, may take the picture behind it (`first_frames` says more), and the sounds are of other pictures.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

# Sizes of the networks: `tiny` of every one; `small` is the published small_44k with all that it was published with,
# but for CLIP, which has two of its 32 and 24 layers.
TINY: dict[str, Any] = {
    "flow": {"hidden": 64, "heads": 2, "depth": 4, "fused_depth": 2, "v2": False},
    "clip": {
        "embed_dim": 24, "quick_gelu": True,
        "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    },
    "sync": {"width": 32, "heads": 2, "depth": 2},
    "vae": 8,
    "vocoder": 64,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "flow": {"hidden": 448, "heads": 7, "depth": 12, "fused_depth": 8, "v2": False},
    "clip": {
        "embed_dim": 1024, "quick_gelu": True,
        "vision_cfg": {"layers": 2, "width": 1280, "head_width": 80, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 2},
    },
    "sync": {"width": 768, "heads": 12, "depth": 12},
    "vae": 512,
    "vocoder": 1536,
}  # fmt: skip
CAPTION = "a ball rolls over a wooden floor"
SECONDS, STEPS, GUIDANCE = 1.0, 5, 4.5
SEED, CLIP = 7, "clip"
LATENT, SIDE = 40, 384
VIDEO = "video.mp4"
FILES = {"flow": "flow.pth", "clip": "clip.pth", "sync": "sync.pth", "vae": "vae.pth", "vocoder": "vocoder.pth"}


def flow_sizes(sizes: dict[str, Any]) -> dict[str, int]:
    """What the flow network is conditioned on has the widths of the encoders."""
    return {
        "latent_dim": LATENT, "clip_dim": sizes["clip"]["embed_dim"], "sync_dim": sizes["sync"]["width"],
        "text_dim": sizes["clip"]["text_cfg"]["width"],
    }  # fmt: skip


def parts_of(sizes: dict[str, Any]) -> dict[str, Callable[..., torch.nn.Module]]:
    """This project's networks of these sizes."""
    from functools import partial

    from visaudio_bench.models.backbones.bigvgan import BigVgan
    from visaudio_bench.models.backbones.dfn_clip import DfnClip
    from visaudio_bench.models.backbones.synchformer import SynchformerVisual
    from visaudio_bench.models.backbones.vae import Vae
    from visaudio_bench.models.visaudio.config import Config
    from visaudio_bench.models.visaudio.network import MMAudio

    config = Config(name="chain", dual=False, spacetime=False, **flow_sizes(sizes), **sizes["flow"])
    return {
        "flow": partial(MMAudio, config),
        "clip": partial(DfnClip, sizes["clip"], SIDE),
        "sync": partial(SynchformerVisual, **sizes["sync"]),
        "vae": partial(Vae, sizes["vae"]),
        "vocoder": partial(BigVgan, width=sizes["vocoder"]),
    }


def write_inputs(folder: Path, sizes: dict[str, Any], filled: Callable[..., dict[str, torch.Tensor]]) -> None:
    """Filled weights in the authors' files, and the sizes."""
    for name, make in parts_of(sizes).items():
        state = filled(lambda make=make: public(make()), "chain")
        if name == "vocoder":  # a sound that nobody clips, and the filters as they are computed
            own = make().state_dict()
            state |= {key: own[key] for key in state if key.endswith("filter")}
            state["conv_post.weight_g"] *= 0.01
        torch.save(state, folder / FILES[name])
    (folder / "sizes.json").write_text(json.dumps(sizes))


def public(network: torch.nn.Module) -> torch.nn.Module:
    """The part of a network that has the names of its authors' file."""
    part: torch.nn.Module = getattr(network, "public", network)
    return part


@torch.no_grad()
def our_sound(folder: Path, monkeypatch: Any) -> dict[str, torch.Tensor]:
    """The sound of the left ear, and what each part made on the way."""
    from types import SimpleNamespace

    from visaudio_bench.models.backbones import mmaudio_codec
    from visaudio_bench.models.visaudio import config, published_parts
    from visaudio_bench.models.visaudio.checkpoints import load_network
    from visaudio_bench.models.visaudio.pipeline import Pipeline, Request
    from visaudio_bench.models.visaudio.settings import Settings

    parts = parts_of(json.loads((folder / "sizes.json").read_text()))
    for module, name, part in (
        (published_parts, "DfnClip", "clip"),
        (published_parts, "SynchformerVisual", "sync"),
        (mmaudio_codec, "Vae", "vae"),
        (mmaudio_codec, "BigVgan", "vocoder"),
    ):
        monkeypatch.setattr(module, name, parts[part])
    files = dict(zip((*config.ENCODER_WEIGHTS, *config.CODEC_WEIGHTS), ("clip", "sync", "vae", "vocoder"), strict=True))
    monkeypatch.setattr(
        published_parts.weights, "require", lambda name: SimpleNamespace(path=folder / FILES[files[name]], sha256=name)
    )
    seen: list[Any] = []

    class Kept(published_parts.PublishedConditioners):
        def look(self, *given: Any) -> Any:
            seen.append(super().look(*given))
            return seen[-1]

    pipeline = Pipeline(
        load_network(folder / FILES["flow"]),
        Kept(spatial=False),
        published_parts.PublishedCodec(),
        settings=Settings(steps=STEPS, guidance=GUIDANCE),
    )
    (made,) = pipeline.generate([Request(CLIP, folder / VIDEO, CAPTION, 0.0, SECONDS)], SEED)
    assert made.sound is not None, made.error
    sound = torch.from_numpy(made.sound[0].copy())
    return {"clip": seen[0].clip, "sync": seen[0].sync, "text": seen[0].text, "sound": sound}


def differences(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each part, as a share of its largest value."""
    return {
        name: float((ours[name] - expected).abs().max() / expected.abs().max()) for name, expected in theirs.items()
    }


def noise() -> torch.Generator:
    """Draws what `clip_noise` draws: its first half is the left ear's, which MMAudio begins with."""
    digest = hashlib.sha256(f"{SEED}/{CLIP}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def their_sound(folder: Path) -> dict[str, torch.Tensor]:
    """The same by the authors' functions, as their `demo.py` calls them; small networks by their own constructors."""
    import open_clip
    from mmaudio import eval_utils
    from mmaudio.ext.autoencoder import autoencoder
    from mmaudio.ext.autoencoder.vae import VAE
    from mmaudio.ext.bigvgan_v2.env import AttrDict
    from mmaudio.ext.synchformer import motionformer
    from mmaudio.model.flow_matching import FlowMatching
    from mmaudio.model.networks import MMAudio
    from mmaudio.model.sequence_config import CONFIG_44K
    from mmaudio.model.utils import features_utils

    sizes = json.loads((folder / "sizes.json").read_text())

    def state(name: str) -> Any:
        return torch.load(folder / FILES[name], weights_only=True)

    def their_clip(name: str, return_transform: bool) -> Any:
        del name, return_transform
        vision = {**sizes["clip"]["vision_cfg"], "image_size": SIDE}
        clip = open_clip.CLIP(**{**sizes["clip"], "vision_cfg": vision})
        clip.load_state_dict(state("clip"))
        return clip

    def their_vocoder(name: str, use_cuda_kernel: bool) -> Any:
        del name
        shape = AttrDict(
            num_mels=128, resblock="1", activation="snakebeta", snake_logscale=True,
            upsample_initial_channel=sizes["vocoder"], upsample_rates=[8, 4, 2, 2, 2, 2],
            upsample_kernel_sizes=[16, 8, 4, 4, 4, 4], resblock_kernel_sizes=[3, 7, 11],
            resblock_dilation_sizes=[[1, 3, 5]] * 3, use_tanh_at_final=False, use_bias_at_final=False,
        )  # fmt: skip
        vocoder = autoencoder.BigVGANv2(shape, use_cuda_kernel=use_cuda_kernel)
        named = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        filled = {}
        for key, tensor in state("vocoder").items():
            head, point, tail = key.rpartition(".")
            filled[head + point + named.get(tail, tail)] = tensor
        vocoder.load_state_dict(filled)
        return vocoder

    read = motionformer.OmegaConf.load

    def their_sync(path: Any) -> Any:
        config, own = read(path), sizes["sync"]
        config.VIT.EMBED_DIM, config.VIT.NUM_HEADS, config.VIT.DEPTH = own["width"], own["heads"], own["depth"]
        return config

    motionformer.OmegaConf.load = staticmethod(their_sync)
    features_utils.create_model_from_pretrained = their_clip
    autoencoder.BigVGANv2.from_pretrained = staticmethod(their_vocoder)
    autoencoder.get_my_vae = lambda mode: VAE(data_dim=128, embed_dim=LATENT, hidden_dim=sizes["vae"])
    features = features_utils.FeaturesUtils(
        tod_vae_ckpt=str(folder / FILES["vae"]), synchformer_ckpt=str(folder / FILES["sync"]), enable_conditions=True,
        mode="44k", bigvgan_vocoder_ckpt=None, need_vae_encoder=False,
    ).eval()  # fmt: skip
    CONFIG_44K.duration = SECONDS
    flow = sizes["flow"]
    net = MMAudio(
        **flow_sizes(sizes), hidden_dim=flow["hidden"], depth=flow["depth"], fused_depth=flow["fused_depth"],
        num_heads=flow["heads"], v2=flow["v2"], latent_seq_len=CONFIG_44K.latent_seq_len,
        clip_seq_len=CONFIG_44K.clip_seq_len, sync_seq_len=CONFIG_44K.sync_seq_len,
    ).eval()  # fmt: skip
    net.load_weights(state("flow"))
    seen = eval_utils.load_video(folder / VIDEO, SECONDS, load_all_frames=False)
    assert seen.duration_sec == SECONDS
    pictures, motion = seen.clip_frames[None], seen.sync_frames[None]
    with torch.inference_mode():
        sound = eval_utils.generate(
            pictures, motion, [CAPTION], feature_utils=features, net=net, rng=noise(), cfg_strength=GUIDANCE,
            fm=FlowMatching(min_sigma=0, inference_mode="euler", num_steps=STEPS),
        )  # fmt: skip
        return {
            "clip": features.encode_video_with_clip(pictures),
            "sync": features.encode_video_with_sync(motion),
            "text": features.encode_text([CAPTION]),
            "sound": sound.flatten()[: round(44100 * SECONDS)],
        }


if __name__ == "__main__":
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    save_file(
        {name: made.clone().contiguous() for name, made in their_sound(place).items()}, place / "theirs.safetensors"
    )
