"""ViSAGe (Kim, Yun and Kim, ICLR 2025): first-order ambisonics of five seconds, from twenty pictures.

The authors' scripts pass their features through files and need a ground truth that generation then ignores; here
their functions are called one after the other. `_encode` is what `data/infer_clip.py` and `data/infer_clip_patch.py`
do in two passes with an edited CLIP: the edit only lets the patches out, and a hook does that too.
"""

from __future__ import annotations

import json
from typing import Any

import worker_kit

PICTURES = 20  # what the model was built for: five seconds at four a second
# The directory that the authors' checkpoint is in, and the files of the two networks that it works with.
CHECKPOINT, CLIP_FILE, DAC_FILE = "visage", "ViT-B-32.pt", "weights_44khz_8kbps_0.0.1.pth"
# The vision transformer of ViT-B/32 and the text transformer that comes with it.
CLIP_SIZES = (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12)


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build CLIP, the codec and the model; the returned function makes one clip."""
    import torch
    import torchaudio
    from PIL import Image

    clip, preprocess = _clip(job)
    codec = _codec(job)
    model = _model(job)
    to_16_khz = torchaudio.transforms.Resample(orig_freq=44100, new_freq=16000).to(job.device)
    direction = torch.from_numpy(_direction(job.options["elevation"], job.options["azimuth"]))[None].to(job.device)

    @torch.no_grad()
    def generate(given: worker_kit.Clip) -> worker_kit.Sound:
        paths = sorted(given.frames.glob("*.png"))
        if len(paths) > PICTURES:
            raise ValueError(f"ViSAGe sees {PICTURES} pictures, this clip has {len(paths)}: it is too long")
        paths += paths[-1:] * (PICTURES - len(paths))  # a clip below 8 s: its last picture is held
        pictures = torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths]).to(job.device)
        whole, patches = _encode(clip, pictures)
        codes = model.generate_cfg(
            whole[None],
            direction=direction,
            energy_map=_energy_map(patches)[None],
            do_sample=True,
            top_k=job.options["top_k"],
            guidance_scale=job.options["guidance"],
        ).transpose(-1, -2)
        books = codes.shape[1] // 4
        field = [codec.decode(codec.quantizer.from_codes(codes[:, i * books : (i + 1) * books])[0]) for i in range(4)]
        return worker_kit.Sound(to_16_khz(torch.cat(field, dim=1)[0]), 16000)

    return generate


def _clip(job: worker_kit.Job) -> tuple[Any, Any]:
    import clip

    if job.weights:
        network, preprocess = clip.load(str(job.weights / CLIP_FILE), device=job.device)
        return network, preprocess
    from clip.clip import _transform
    from clip.model import CLIP

    return CLIP(*CLIP_SIZES).eval().to(job.device), _transform(CLIP_SIZES[1])


def _codec(job: worker_kit.Job) -> Any:
    import dac

    codec = dac.DAC.load(str(job.weights / DAC_FILE)) if job.weights else dac.DAC()
    return codec.eval().to(job.device)


def _model(job: worker_kit.Job) -> Any:
    from modeling.visage import VisageForAmbisonicsGeneration
    from modeling.visage_mono import VisageConfig

    attention = job.options["attention"]
    if job.weights:
        path = str(job.weights / CHECKPOINT)
        model = VisageForAmbisonicsGeneration.from_pretrained(path, attn_implementation=attention)
    else:
        sizes = json.loads((job.source / "cfg" / "config.json").read_text(encoding="utf-8"))
        sizes["_attn_implementation"] = attention
        model = VisageForAmbisonicsGeneration(VisageConfig(**sizes))
    return model.eval().to(job.device)


def _direction(elevation: float, azimuth: float) -> Any:
    """The camera's direction `(3,)` as the authors' preprocessing gives it to the model, in their units of 2 degrees.

    Their class opens a list of all clips' directions when it is made, of which this is one.
    """
    from data.preprocess_ambi import PreprocessorAmbi

    preprocessor: Any = object.__new__(PreprocessorAmbi)
    preprocessor.ambi_data = {"clip": (elevation, azimuth)}
    return preprocessor.prepare_ambi("clip.npy")


def _encode(clip: Any, pictures: Any) -> tuple[Any, Any]:
    """CLIP's vector of each picture `(T, 512)`, and its patches behind the last layer `(T, 50, 768)`, as float32."""
    seen: list[Any] = []
    hook = clip.visual.transformer.register_forward_hook(lambda _module, _given, made: seen.append(made))
    try:
        whole = clip.encode_image(pictures)
    finally:
        hook.remove()
    return whole.float(), seen[0].permute(1, 0, 2)


def _energy_map(patches: Any) -> Any:
    """Where the authors expect sound to come from, `(T, 49)`, as their `data/infer_clip_energy.py` computes it."""
    from data.infer_clip_energy import compute_cossim_score, compute_energy_map, top_p_filtering

    scores = compute_cossim_score(patches)
    likely = top_p_filtering(compute_energy_map(scores, temperature=0.1), scores, 0.7)
    return compute_energy_map(likely).float()


if __name__ == "__main__":
    worker_kit.main(load)
