"""Test double of See2Sound: what it was told, and a file as FFmpeg would write it, its second channel silent."""

import json
import os
import random
import shutil
import wave
from array import array
from pathlib import Path

# What the authors' program opens, as it was recorded from it.
RECORDED = Path(__file__).parents[1] / "opened.txt"


class See2Sound:
    def __init__(self, config_path=None):
        self.settings = json.loads(Path(config_path).read_text(encoding="utf-8"))
        self.ready = False

    def setup(self):
        assert not self.settings["download"]
        for line in RECORDED.read_text(encoding="utf-8").splitlines():
            named, _, path = line.partition(" ")
            if named != "#":
                (Path(path) if named == "relative" else RECORDED.parent / path).read_bytes()
        os.stat("openai/clip-vit-large-patch14")  # found by name in the current directory
        assert shutil.which("ffmpeg").startswith(str(Path.cwd()))
        self.ready = True

    def run(self, path, output_path=None, num_audios=3, prompt=None, steps=None):
        assert self.ready
        call = {"path": path, "num_audios": num_audios, "prompt": prompt, "steps": steps}
        with Path("calls.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(call) + "\n")
        if not Path(path).is_file():
            return  # as the original: it says so and goes on
        frames = 163872
        samples = array("h", bytes(12 * frames))
        noise = array("h", random.choices(range(-9000, 9000), k=frames))
        for channel in (0, 2, 3, 4, 5):  # the same noise, each time a little later
            samples[channel::6] = noise[-channel:] + noise[:-channel] if channel else noise
        with wave.open(output_path, "wb") as file:
            file.setnchannels(6)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(samples.tobytes())
