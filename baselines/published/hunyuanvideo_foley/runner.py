"""HunyuanVideo-Foley by the functions that its `infer.py` calls, in its own environment."""

from __future__ import annotations

import worker_kit


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """The five networks, kept on the device or, with `offload`, brought there when they are needed."""
    if job.weights is None:
        raise RuntimeError("HunyuanVideo-Foley cannot be built without its weights: one network's shape is in its file")
    import torch
    from hunyuanvideo_foley.utils.feature_utils import feature_process
    from hunyuanvideo_foley.utils.model_utils import denoise_process, load_model

    worker_kit.link_weights(job)
    size, options = job.options["size"], job.options
    settings = job.source / "configs" / f"hunyuanvideo-foley-{size}.yaml"
    models, config = load_model(
        str(job.weights), str(settings), torch.device(job.device), enable_offload=options["offload"], model_size=size
    )

    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        seen, said, seconds = feature_process(
            str(clip.video), clip.caption or "", models, config, neg_prompt=options["negative"]
        )
        sounds, rate = denoise_process(
            seen, said, seconds, models, config,
            guidance_scale=options["guidance"], num_inference_steps=options["steps"],
        )  # fmt: skip
        return worker_kit.Sound(sounds[0], rate)

    return generate


if __name__ == "__main__":
    worker_kit.main(load)
