"""AudioX (Tian et al., 2025): two channels from video and text, always ten seconds.

The call sequence is that of the authors' README, with its settings; the prompt of a clip without a caption is the one
that the README gives for video to audio.
"""

from __future__ import annotations

import json

import worker_kit

SECONDS = 10  # the model has an embedding for each of 50 pictures, five a second


def load(job: worker_kit.Job) -> worker_kit.Generate:
    """Build the model; the returned function makes one clip."""
    if job.weights is None:
        raise RuntimeError("AudioX cannot be built without its weights: its configuration is published with them")
    import torch
    from stable_audio_tools.data.utils import load_and_process_audio, read_video
    from stable_audio_tools.inference.generation import generate_diffusion_cond
    from stable_audio_tools.models.factory import create_model_from_config
    from stable_audio_tools.models.utils import load_ckpt_state_dict

    worker_kit.link_weights(job)
    settings = json.loads((job.weights / "config.json").read_text(encoding="utf-8"))
    model = create_model_from_config(settings)
    model.load_state_dict(load_ckpt_state_dict(str(job.weights / "model.ckpt")))
    model = model.to(job.device).eval()
    rate, options = settings["sample_rate"], job.options

    @torch.no_grad()
    def generate(clip: worker_kit.Clip) -> worker_kit.Sound:
        if clip.seconds > SECONDS:
            raise ValueError(f"AudioX makes {SECONDS} s of sound, and this clip is {clip.seconds:g} s long")
        pictures = read_video(str(clip.video), seek_time=0, duration=SECONDS, target_fps=settings["video_fps"])
        silence = load_and_process_audio(None, rate, 0, SECONDS)
        condition = {
            "video_prompt": [pictures.unsqueeze(0)],
            "text_prompt": clip.caption or "",
            "audio_prompt": silence.unsqueeze(0),
            "seconds_start": 0,
            "seconds_total": SECONDS,
        }
        sound = generate_diffusion_cond(
            model,
            steps=options["steps"],
            cfg_scale=options["guidance"],
            conditioning=[condition],
            sample_size=settings["sample_size"],
            sigma_min=options["sigma_min"],
            sigma_max=options["sigma_max"],
            sampler_type="dpmpp-3m-sde",
            device=job.device,
            seed=clip.seed,
        )[0].float()
        # The authors bring every sound to full scale, and so does its row.
        return worker_kit.Sound((sound / sound.abs().max()).clamp(-1, 1).mul(32767).to(torch.int16), rate)

    return generate


if __name__ == "__main__":
    worker_kit.main(load)
