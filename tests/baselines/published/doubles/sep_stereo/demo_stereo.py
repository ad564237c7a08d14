"""Test double of the demo of Sep-Stereo and PseudoBinaural; writes down what it was given."""

import json
import os
import random

import h5py
import librosa
import torch
import torchvision
from models.networks import APNet, AudioNet, VisualNet, VisualNetDilated, weights_init  # noqa: F401
from options.test_options import TestOptions
from PIL import Image


def main():
    opt = TestOptions().parse()
    opt.device = torch.device("cuda")
    VisualNet(torchvision.models.resnet18(pretrained=True))
    net_audio = AudioNet(ngf=64)
    net_audio.apply(weights_init)
    if len(opt.weights_audio) > 0:
        net_audio.load_state_dict(torch.load(opt.weights_audio), strict=True)
    APNet()
    for audio_file in h5py.File(opt.hdf5FolderPath, "r")["audio"][:]:
        audio_file = bytes.decode(audio_file)
        frames = audio_file.replace("audio_resave", "frames")[:-4]
        audio, rate = librosa.load(audio_file, sr=16000, mono=False)
        last = int(round((opt.input_audio_length - 0.63 / 2 + 0.05) * 10))
        for index in (4, last):
            Image.open(os.path.join(frames, str(index) + ".jpg")).convert("RGB")
        with open("calls.jsonl", "a") as stream:
            call = {"device": opt.device, "hop": opt.hop_size, "weight": net_audio.weight, "same": audio[0] == audio[1]}
            call["fusion"] = [opt.fusion_model, opt.use_fusion_pred]
            stream.write(json.dumps(call) + "\n")
        predicted = [[net_audio.weight * value + random.uniform(-1e-3, 1e-3) for value in audio[0]], audio[1]]
        librosa.output.write_wav(os.path.join(opt.output_dir_root, "predicted_binaural.wav"), predicted, rate)
