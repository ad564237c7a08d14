"""Test double of the functions that MMAudio's demo calls; writes down what it was given."""

import json
import types
from pathlib import Path

sequence = types.SimpleNamespace(duration=8.0, latent_seq_len=345, clip_seq_len=64, sync_seq_len=192)
all_model_cfg = {
    name: types.SimpleNamespace(
        model_name=name,
        model_path=Path("weights/mmaudio_%s.pth" % name),
        vae_path=Path("ext_weights/v1-44.pth"),
        synchformer_ckpt=Path("ext_weights/synchformer_state_dict.pth"),
        mode="44k",
        seq_cfg=sequence,
    )
    for name in ("large_44k_v2", "small_44k")
}


class Frames(list):
    def unsqueeze(self, axis):
        return [self]


class Sounds(list):
    def float(self):
        return self


def load_video(video_path, duration_sec, load_all_frames=True):
    seconds = 0.4 if "short" in Path(video_path).stem else duration_sec
    return types.SimpleNamespace(
        duration_sec=seconds, clip_frames=Frames([0] * int(8 * seconds)), sync_frames=Frames([0] * int(25 * seconds))
    )


def generate(
    clip_video,
    sync_video,
    text,
    *,
    negative_text=None,
    feature_utils,
    net,
    fm,
    rng,
    cfg_strength,
    clip_batch_size_multiplier=40,
    sync_batch_size_multiplier=40,
    image_input=False,
):
    call = {
        "pictures": [len(clip_video[0]), len(sync_video[0])],
        "text": text,
        "negative": negative_text,
        "steps": fm.num_steps,
        "guidance": cfg_strength,
        "device": rng.device,
        "precision": net.dtype,
        "lengths": net.lengths,
    }
    with open("calls.jsonl", "a") as stream:
        stream.write(json.dumps(call) + "\n")
    count = int(44100 * sequence.duration) + 480
    return Sounds([[[rng.random.uniform(-0.5, 0.5) for _ in range(count)]]])
