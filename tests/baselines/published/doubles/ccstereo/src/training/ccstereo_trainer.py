"""Test double of CCStereo's trainer, whose test step measures a sound and keeps none; writes down what it was given."""

import importlib.util
import json
import random

import wandb  # noqa: F401

importlib.util.find_spec("wandb")  # as pytorch_lightning, which the authors' trainer imports, looks for it


class AutoencoderTrainingWrapper:
    def __init__(self, *args):
        raise AssertionError("making the trainer downloads a network")

    def integrate_with_sliding_window(self, fakes, demo_size, windows_list, samples_per_window):
        assert len(windows_list) > 1 and demo_size[:2] == (1, 2) and samples_per_window == 10080
        return fakes

    def eval_model(self, batch, _, save_audio=False, mode="test"):
        (audio,), (shown,), _, (told,), *_ = batch
        weight = self.autoencoder.weight
        call = {"device": self.device, "weight": weight, "same": audio[0] == audio[1], "shown": shown,
                "hop": self.test_hop_size, "mask": self.use_mask}  # fmt: skip
        with open("calls.jsonl", "a") as stream:
            stream.write(json.dumps(call) + "\n")
        fakes = [[weight * value + random.uniform(-1e-3, 1e-3) for value in audio[0]], audio[1]]
        size = (1, 2, len(audio[0]))
        made = self.integrate_with_sliding_window(fakes, size, told["windows_list"], 10080)
        loudest = max(abs(value) for channel in made for value in channel)
        results = self.get_results([[value / loudest for value in channel] for channel in made], None, mode=mode)
        self.log_dict(results, on_step=True)
        return results
