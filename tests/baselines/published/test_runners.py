"""The runners of four published systems, each in a process of its own, on doubles of their authors' functions.

Where the authors' sources are at hand (`VISAUDIO_BENCH_UPSTREAM`, a folder with one folder a system), the doubles'
names and parameters are compared with theirs.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from visaudio_bench.baselines.published import worker_kit
from visaudio_bench.baselines.published.card import read_card
from visaudio_bench.baselines.published.postprocess import POSTPROCESSES
from visaudio_bench.suites.media import read_sound, write_picture

DOUBLES = Path(__file__).parent / "doubles"
CARDS = {
    name: read_card(Path(worker_kit.__file__).parent / name) for name in ("thinksound", "audiox", "visage", "see2sound")
}
DEVICE = {"see2sound": "cuda:0"}  # which it insists on; its double does not use it
FOLDERS = ("google/t5-v1_1-xl", "facebook/metaclip-h14-fullcc2.5b", "openai/clip-vit-base-patch32", "t5-base", "visage")


class Ran(NamedTuple):
    """What a worker left behind."""

    code: int
    events: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    native: Path

    def of(self, clip: str) -> dict[str, Any]:
        return next(e for e in self.events if e.get("clip") == clip and e["event"] in ("done", "failed"))


Run = Callable[..., Ran]


def clip(name: str, seconds: float = 8.0, **fields: Any) -> dict[str, Any]:
    return {"id": name, "seed": sum(map(ord, name)), "seconds": seconds, **fields}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Carry out a job of some clips by a system's runner, as the supervisor does."""
    weights = tmp_path / "weights"
    count = iter(range(100))

    def prepare_weights(system: str) -> Path:
        import torch

        for folder in FOLDERS:
            (weights / folder).mkdir(parents=True, exist_ok=True)
        for file in CARDS[system].weights:
            if not (weights / file.file).exists():
                torch.save({}, weights / file.file)
        (weights / "config.json").write_text('{"sample_rate": 44100, "sample_size": 485100, "video_fps": 5}')
        return weights

    def carry_out(system: str, *clips: dict[str, Any], weights: bool = True, **options: Any) -> Ran:
        folder = tmp_path / f"job{next(count)}"
        code, work, native = (folder / name for name in ("code", "work", "native"))
        for path in (code, work, native):
            path.mkdir(parents=True)
        for file in (CARDS[system].runner, Path(worker_kit.__file__)):
            shutil.copy(file, code)
        job = {
            "schema": worker_kit.JOB_SCHEMA,
            "system": system,
            "source": str(DOUBLES / system),
            "weights": str(prepare_weights(system)) if weights else None,
            "work": str(work),
            "native": str(native),
            "events": str(folder / "events.jsonl"),
            "device": DEVICE.get(system, "cpu"),
            "options": {name: option.default for name, option in CARDS[system].options.items()} | options,
            "clips": [inputs(folder, system, one) for one in clips],
        }
        (folder / "job.json").write_text(json.dumps(job))
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(code / "runner.py"), "--job", str(folder / "job.json")]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        return Ran(done.returncode, lines(folder / "events.jsonl"), lines(work / "calls.jsonl"), native)

    return carry_out


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def inputs(folder: Path, system: str, one: dict[str, Any]) -> dict[str, Any]:
    """The files that the card asks for; nobody reads what is in them."""
    given = CARDS[system].given
    made: dict[str, Any] = dict.fromkeys(("video", "image", "frames", "mono", "caption", "cot"))
    if "video" in given:
        made["video"] = folder / f"{one['id']}.mp4"
        made["video"].touch()
    if "image" in given:
        made["image"] = folder / f"{one['id']}.png"
        made["image"].touch()
    if "frames" in given:
        made["frames"] = folder / one["id"]
        made["frames"].mkdir()
        for number in range(1, round(one["seconds"] * CARDS[system].frames_per_second) + 1):
            (made["frames"] / f"{number:06d}.png").touch()
    return {name: path and str(path) for name, path in made.items()} | one


@pytest.mark.parametrize(
    "system", [pytest.param(name, marks=[] if name == "see2sound" else [pytest.mark.slow]) for name in CARDS]
)
def test_native_sounds_are_what_the_card_promises_and_depend_on_their_clip_alone(system: str, run: Run) -> None:
    card = CARDS[system]
    native = card.native
    assert native is not None
    both = run(system, clip("a"), clip("b"))
    assert both.code == 0, both.events
    assert both.events[-1] == {"event": "finished"}
    for name in ("a", "b"):
        sound = read_sound(both.native / f"{name}.wav")
        assert (sound.samples.shape[0], sound.sample_rate) == (native.channels, native.sample_rate)
        assert sound.samples.shape[1] / native.sample_rate == pytest.approx(native.seconds, abs=1.01)
        options = {name: option.default for name, option in card.options.items()} | {"seconds": 8.0}
        done = POSTPROCESSES[card.postprocess](sound.samples.astype(np.float64), sound.sample_rate, options)
        assert done.samples.shape == (2, 352800)
    alone = run(system, clip("b"))
    assert (alone.native / "b.wav").read_bytes() == (both.native / "b.wav").read_bytes()
    assert (both.native / "a.wav").read_bytes() != (both.native / "b.wav").read_bytes()


def test_thinksound_is_given_its_texts_and_lengths(run: Run) -> None:
    ran = run(
        "thinksound",
        clip("plain", caption="a dog barks", cot="a dog barks in the yard"),
        clip("NA", caption="NA", cot="NA"),
        clip("silent"),
        clip("short", 1.0, caption="x", cot="x"),
        clip("long", 9.5, caption="x", cot="x"),
    )
    assert [ran.of(name)["event"] for name in ("plain", "NA", "silent", "short", "long")] == ["done"] * 5
    told = {call["id"]: call for call in ran.calls}
    assert [told[name]["text"] for name in ("plain", "NA", "silent")] == [11, 2, 0]
    assert told["plain"]["objective"] == "rectified_flow"
    assert told["plain"]["exists"]
    for name, seconds in (("plain", 8), ("short", 8), ("long", 10)):
        assert told[name]["lengths"] == [round(44100 / 2048 * seconds), 8 * seconds, 24 * seconds]
        assert told[name]["shapes"] == {
            "metaclip_features": [8 * seconds, 1024],
            "sync_features": [24 * seconds, 768],
            "metaclip_text_features": [77, 1024],
            "t5_features": [77, 2048],
        }
    assert ran.of("plain")["samples"] == 352256


@pytest.mark.slow
def test_thinksound_without_weights_keeps_its_shapes(run: Run) -> None:
    ran = run("thinksound", clip("a"), weights=False)
    assert ran.of("a")["samples"] == 352256


def test_audiox_is_called_as_its_readme_says(run: Run) -> None:
    ran = run("audiox", clip("a", caption="waves"), clip("too_long", 10.5), steps=100)
    assert ran.of("too_long")["event"] == "failed"
    assert "10.5 s" in ran.of("too_long")["message"]
    (call,) = ran.calls
    assert call == {
        "video_prompt": [1, 50, 3, 2, 2],
        "text_prompt": "waves",
        "audio_prompt": [1, 2, 441000],
        "seconds_start": 0,
        "seconds_total": 10,
        "steps": 100,
        "cfg_scale": 7.0,
        "seed": ord("a"),
        "device": "cpu",
        "loaded": True,
        "sigma_min": 0.3,
        "sigma_max": 500.0,
        "sampler_type": "dpmpp-3m-sde",
    }
    assert np.abs(read_sound(ran.native / "a.wav").samples).max() == pytest.approx(1, abs=1e-4)


def test_visage_sees_twenty_pictures_from_the_horizon(run: Run) -> None:
    ran = run("visage", clip("a"), clip("short", 2.0), clip("too_long", 8.5))
    assert ran.of("too_long")["event"] == "failed"
    assert "20 pictures" in ran.of("too_long")["message"]
    whole, short = ran.calls
    assert whole["pictures"] == list(range(1, 21))
    assert short["pictures"] == [1, 2, 3, 4, 5] + [5] * 15
    for call in (whole, short):
        assert (call["inputs"], call["energy"]) == ([1, 20, 512], [1, 20, 49])
        assert call["direction"] == [[44.5, 89.5, 0.0]]
        assert (call["sample"], call["top_k"], call["guidance"]) == (True, 256, 2.5)
        assert (call["attention"], call["training"]) == ("eager", False)
    assert ran.of("a")["samples"] == 80063


@pytest.mark.slow
def test_visage_without_weights_is_built_from_the_authors_sizes(run: Run) -> None:
    ran = run("visage", clip("a"), weights=False)
    assert ran.of("a")["samples"] == 80063
    assert ran.calls[0]["attention"] == "eager"


def test_see2sound_is_run_as_its_authors_run_it(run: Run) -> None:
    ran = run("see2sound", clip("a"), clip("b", caption="waves"), steps=50)
    assert [(call["prompt"], call["num_audios"], call["steps"]) for call in ran.calls] == [
        (None, 3, 50),
        ("waves", 3, 50),
    ]
    silent = run("see2sound", {**clip("gone"), "image": "/nowhere/gone.png"})
    assert silent.of("gone")["event"] == "failed"
    assert "without a sound" in silent.of("gone")["message"]


def test_see2sound_refuses_a_picture_that_its_microphones_stand_outside_of(run: Run, tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    write_picture(small, np.zeros((128, 240, 3), dtype=np.uint8))
    write_picture(large, np.zeros((200, 200, 3), dtype=np.uint8))
    ran = run("see2sound", {**clip("small"), "image": str(small)}, {**clip("large"), "image": str(large)})
    assert ran.of("small")["event"] == "failed"
    assert "240 x 128 pixels" in ran.of("small")["message"]
    assert ran.of("large")["event"] == "done"


def test_audiox_says_that_it_needs_its_weights(run: Run) -> None:
    ran = run("audiox", clip("a"), weights=False)
    assert ran.code == worker_kit.NOT_LOADED
    assert "without its weights" in ran.events[-1]["message"]


@pytest.mark.parametrize("system", CARDS)
def test_runners_keep_to_the_oldest_python_and_import_nothing_heavy_before_they_must(system: str) -> None:
    runner = CARDS[system].runner
    tree = ast.parse(runner.read_text(encoding="utf-8"), feature_version=(3, 8))
    at_the_top = {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    assert at_the_top <= {"json", "math", "os", "struct", "worker_kit"}
    everywhere = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in everywhere if name.split(".")[0] == "visaudio_bench"}


# What the runners rely on: file, function or method, and the parameters that are given by name.
RELIED_ON: dict[str, Mapping[tuple[str, str], set[str]]] = {
    "thinksound": {
        ("predict.py", "predict_step"): {"diffusion", "batch", "diffusion_objective", "device"},
        ("ThinkSound/models/utils.py", "load_ckpt_state_dict"): {"ckpt_path", "prefix"},
        ("data_utils/v2a_utils/feature_utils_224.py", "FeaturesUtils.__init__"): {"synchformer_ckpt"},
        ("data_utils/v2a_utils/feature_utils_224.py", "FeaturesUtils.encode_text"): {"text"},
        ("data_utils/v2a_utils/feature_utils_224.py", "FeaturesUtils.encode_t5_text"): {"text"},
        ("data_utils/v2a_utils/feature_utils_224.py", "FeaturesUtils.encode_video_with_clip"): {"x"},
        ("data_utils/v2a_utils/feature_utils_224.py", "FeaturesUtils.encode_video_with_sync"): {"x"},
        ("data_utils/v2a_utils/vggsound_224_no_audio.py", "VGGSound.__init__"): {
            "root", "tsv_path", "duration_sec", "audio_samples"
        },
        ("data_utils/v2a_utils/vggsound_224_no_audio.py", "VGGSound.sample"): {"idx"},
    },
    "audiox": {
        ("stable_audio_tools/data/utils.py", "read_video"): {"filepath", "seek_time", "duration", "target_fps"},
        ("stable_audio_tools/data/utils.py", "load_and_process_audio"): {"audio_path", "sample_rate"},
        ("stable_audio_tools/inference/generation.py", "generate_diffusion_cond"): {
            "model", "steps", "cfg_scale", "conditioning", "sample_size", "seed", "device"
        },
        ("stable_audio_tools/models/factory.py", "create_model_from_config"): {"model_config"},
        ("stable_audio_tools/models/utils.py", "load_ckpt_state_dict"): {"ckpt_path"},
    },
    "visage": {
        ("modeling/visage.py", "VisageForAmbisonicsGeneration.generate_cfg"): {
            "inputs_embeds", "direction", "energy_map", "do_sample", "guidance_scale", "top_k"
        },
        ("modeling/visage_mono.py", "VisageConfig.__init__"): {"kwargs"},
        ("data/preprocess_ambi.py", "PreprocessorAmbi.prepare_ambi"): {"file_path"},
        ("data/infer_clip_energy.py", "compute_cossim_score"): {"video_feat"},
        ("data/infer_clip_energy.py", "compute_energy_map"): {"scores", "temperature"},
        ("data/infer_clip_energy.py", "top_p_filtering"): {"energy_map", "scores", "top_p"},
    },
    "see2sound": {
        ("see2sound/inference.py", "See2Sound.__init__"): {"config_path"},
        ("see2sound/inference.py", "See2Sound.run"): {"path", "output_path", "num_audios", "prompt", "steps"},
    },
    "mmaudio": {
        ("mmaudio/eval_utils.py", "load_video"): {"video_path", "duration_sec", "load_all_frames"},
        ("mmaudio/eval_utils.py", "generate"): {
            "clip_video", "sync_video", "text", "negative_text", "feature_utils", "net", "fm", "rng", "cfg_strength"
        },
        ("mmaudio/model/flow_matching.py", "FlowMatching.__init__"): {"min_sigma", "inference_mode", "num_steps"},
        ("mmaudio/model/networks.py", "get_my_mmaudio"): {"name"},
        ("mmaudio/model/utils/features_utils.py", "FeaturesUtils.__init__"): {
            "tod_vae_ckpt", "synchformer_ckpt", "enable_conditions", "mode", "bigvgan_vocoder_ckpt", "need_vae_encoder"
        },
        ("mmaudio/ext/autoencoder/vae.py", "get_my_vae"): {"name"},
    },
    "visual_sound_25d": {
        ("demo.py", "main"): set(),
        ("models/models.py", "ModelBuilder.build_visual"): {"weights"},
        ("models/models.py", "ModelBuilder.build_audio"): {"weights"},
        ("options/test_options.py", "TestOptions.initialize"): {"self"},
    },
    "sep_stereo": {
        ("demo_stereo.py", "main"): set(),
        ("models/networks.py", "weights_init"): {"m"},
        ("options/test_options.py", "TestOptions.initialize"): {"self"},
    },
    "ccstereo": {
        ("data/fairplay_dataloader.py", "collation_fn"): {"samples"},
        ("data/fairplay_dataset.py", "FAIRPLAY_DATSET.__init__"): {"opt", "mode"},
        ("data/fairplay_dataset.py", "FAIRPLAY_DATSET.prepare_visual"): {
            "file_id", "audio_len", "windows_list", "audio_num_samples"
        },
        ("models/ccstereo_model/models.py", "ModelBuilder.build_visual"): {"backbone", "img_dim"},
        ("models/ccstereo_model/models.py", "ModelBuilder.build_audio"): {"ngf", "input_nc", "output_nc", "img_dim"},
        ("models/ccstereo_model/audioVisual_model.py", "AudioVisualModel.__init__"): {"nets", "opt"},
        ("src/training/ccstereo_trainer.py", "AutoencoderTrainingWrapper.eval_model"): {"batch"},
        ("src/training/ccstereo_trainer.py", "AutoencoderTrainingWrapper.integrate_with_sliding_window"): {
            "fakes", "demo_size", "windows_list", "samples_per_window"
        },
    },
    "selva": {
        ("selva/utils/eval_utils.py", "load_video"): {"video_path", "duration_sec", "load_all_frames"},
        ("selva/utils/eval_utils.py", "generate"): {
            "clip_video", "sync_video", "text", "negative_text", "feature_utils", "net_video_enc", "net_generator",
            "fm", "rng", "cfg_strength"
        },
        ("selva/model/networks_generator.py", "get_my_mmaudio"): {"name"},
        ("selva/model/networks_video_enc.py", "get_my_textsynch"): {"name"},
        ("selva/model/networks_video_enc.py", "TextSynch.update_seq_lengths"): {"video_seq_len"},
        ("selva/model/utils/features_utils.py", "FeaturesUtils.__init__"): {
            "tod_vae_ckpt", "synchformer_ckpt", "enable_conditions", "mode", "bigvgan_vocoder_ckpt", "need_vae_encoder"
        },
    },
    "prismaudio": {
        ("predict.py", "predict_step"): {"diffusion", "batch", "diffusion_objective", "device"},
        ("PrismAudio/models/utils.py", "load_ckpt_state_dict"): {"ckpt_path", "prefix"},
        ("data_utils/v2a_utils/thinksound_288_al.py", "get_video_duration"): {"video_path"},
        ("data_utils/v2a_utils/thinksound_288_al.py", "VGGSound.__init__"): {"root", "tsv_path", "inference_mode"},
        ("data_utils/v2a_utils/feature_utils_288.py", "FeaturesUtils.__init__"): {"synchformer_ckpt"},
        ("data_utils/v2a_utils/feature_utils_288.py", "FeaturesUtils.encode_t5_text"): {"text"},
        ("data_utils/v2a_utils/feature_utils_288.py", "FeaturesUtils.encode_video_with_sync"): {"x"},
        ("data_utils/v2a_utils/feature_utils_288.py", "FeaturesUtils.encode_video_and_text_with_videoprism"): {
            "x", "cot"
        },
    },
    "hunyuanvideo_foley": {
        ("hunyuanvideo_foley/utils/model_utils.py", "load_model"): {
            "model_path", "config_path", "device", "enable_offload", "model_size"
        },
        ("hunyuanvideo_foley/utils/model_utils.py", "denoise_process"): {
            "visual_feats", "text_feats", "audio_len_in_s", "model_dict", "cfg", "guidance_scale", "num_inference_steps"
        },
        ("hunyuanvideo_foley/utils/feature_utils.py", "feature_process"): {
            "video_path", "prompt", "model_dict", "cfg", "neg_prompt"
        },
    },
}  # fmt: skip


def sources() -> Iterator[Any]:
    upstream = os.environ.get("VISAUDIO_BENCH_UPSTREAM")
    for system in RELIED_ON:
        yield pytest.param(system, DOUBLES / system, id=f"{system}-double")
        there = bool(upstream) and (Path(upstream or "") / system).is_dir()
        missing = pytest.mark.skipif(not there, reason="VISAUDIO_BENCH_UPSTREAM has no source of this system")
        yield pytest.param(system, Path(upstream or "") / system, id=f"{system}-authors", marks=missing)


@pytest.mark.parametrize(("system", "source"), sources())
def test_the_functions_that_the_runners_call_have_the_parameters_they_give(system: str, source: Path) -> None:
    for (file, name), expected in RELIED_ON[system].items():
        parameters = signature(source / file, name)
        assert expected <= parameters, f"{file}: {name} has {sorted(parameters)}"


def signature(path: Path, name: str) -> set[str]:
    """Names of the parameters of a function or method, without importing its file."""
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    *outer, last = name.split(".")
    for part in outer:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == part)
    function = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == last)
    arguments = function.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    return {one.arg for one in every if one is not None}
