"""Test double of the functions that SelVA's demo calls; writes down what it was given."""

import json
import types
from pathlib import Path

sequence = types.SimpleNamespace(duration=8.0, latent_seq_len=250, clip_seq_len=64, sync_seq_len=192)
all_model_cfg = {
    "small_16k": types.SimpleNamespace(
        model_name="small_16k",
        model_video_enc_path=Path("weights/video_enc_sup_5.pth"),
        model_generator_path=Path("weights/generator_small_16k_sup_5.pth"),
        vae_path=Path("ext_weights/v1-16.pth"),
        bigvgan_16k_path=Path("ext_weights/best_netG.pt"),
        synchformer_ckpt=Path("ext_weights/synchformer_state_dict.pth"),
        mode="16k",
        seq_cfg=sequence,
    )
}


class Frames(list):
    def unsqueeze(self, axis):
        return [self]


class Sounds(list):
    def float(self):
        return self


def load_video(video_path, duration_sec, load_all_frames=True):
    return types.SimpleNamespace(duration_sec=duration_sec, sync_frames=Frames([0] * int(25 * duration_sec)))


def generate(
    clip_video,
    sync_video,
    text,
    *,
    negative_text=None,
    feature_utils,
    net_video_enc,
    net_generator,
    fm,
    rng,
    cfg_strength,
    clip_batch_size_multiplier=40,
    sync_batch_size_multiplier=40,
    image_input=False,
):
    call = {
        "pictures": len(sync_video[0]),
        "text": text,
        "negative": negative_text,
        "steps": fm.num_steps,
        "guidance": cfg_strength,
        "loaded": net_video_enc.loaded and net_generator.loaded,
        "lengths": [net_video_enc.lengths, net_generator.lengths],
    }
    with open("calls.jsonl", "a") as stream:
        stream.write(json.dumps(call) + "\n")
    return Sounds([[[rng.random.uniform(-0.5, 0.5) for _ in range(int(16000 * sequence.duration))]]])
