"""Encoders of pictures and words: the frames they see, what they are fed, and what they make of it."""

import csv
import math
import sys
from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional

from visaudio_bench.errors import BenchError, ClipError
from visaudio_bench.models import weight_checks
from visaudio_bench.models.backbones import perception_encoder, synchformer
from visaudio_bench.models.backbones.dfn_clip import DfnClip, tokenize
from visaudio_bench.models.backbones.frames import first_frames, squash
from visaudio_bench.models.backbones.perception_encoder import PerceptionEncoder
from visaudio_bench.models.backbones.synchformer import SynchformerVisual
from visaudio_bench.models.extras import import_extra
from visaudio_bench.models.weight_loading import load, read_state
from visaudio_bench.suites.frame_selection import ROUNDING
from visaudio_bench.suites.media import read_sampled_frames

NOT_RUN = "ENCODERS NOT TESTED: pip install 'visaudio-bench[video]'"


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


# --- frames ----------------------------------------------------------------------------------------------------------


def seconds(rate, count, start=0):
    return [start + k / Fraction(rate) for k in range(count)]


def test_an_eight_second_file_at_24_frames_a_second():
    """Its last frame is at 7.958 s; slot 199 of Synchformer is at 7.96 s."""
    motion = first_frames(seconds(24, 192), 25, 200)
    assert motion.indices[:4] == (0, 1, 2, 3) and motion.indices[-2:] == (191, 191) and motion.held == 1
    assert first_frames(seconds(24, 192), 8, 64) == (tuple(range(0, 192, 3)), 0)


def test_slow_sources_repeat_and_ntsc_rates_keep_to_the_clock():
    assert first_frames(seconds(5, 10), 10, 20).indices == (0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9)
    ntsc = Fraction(30000, 1001)
    chosen = first_frames(seconds(ntsc, 240), 8, 64)
    assert chosen.indices == tuple(math.ceil((k / Fraction(8) - ROUNDING) * ntsc) for k in range(64))


@given(
    rate=st.sampled_from([Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 50, 60]),
    wanted=st.sampled_from([8, 25]),
    start=st.fractions(0, Fraction(1, 30)),
    duration=st.integers(1, 8),
)
def test_every_slot_shows_the_first_frame_at_or_after_it(rate, wanted, start, duration):
    times = seconds(rate, math.ceil((duration + 1) * rate), start)
    chosen = first_frames(times, wanted, wanted * duration)
    assert chosen.held == 0
    for k, index in enumerate(chosen.indices):
        assert times[index] >= Fraction(k, wanted) - ROUNDING
        assert index == 0 or times[index - 1] < Fraction(k, wanted) - ROUNDING


@given(missing=st.integers(-3, 12))
def test_the_last_frame_is_held_for_a_quarter_of_a_second(missing):
    """At 24 frames a second 6 frames are exactly 0.25 s."""
    times = seconds(24, 48 - missing)
    if missing > 6:
        with pytest.raises(ClipError, match=r"ends at 1\.\d+ s and 2.00 s are needed") as error:
            first_frames(times, 25, 50)
        assert error.value.reason == "short"
    else:
        chosen = first_frames(times, 25, 50)
        assert len(chosen.indices) == 50
        assert chosen.held == sum(Fraction(k, 25) > times[-1] + ROUNDING for k in range(50))
        assert set(chosen.indices[50 - chosen.held :]) <= {len(times) - 1}


def test_frames_of_a_real_file_are_those_of_its_time_stamps(golden):
    """Two rates from one decoding; the pictures are the decoded ones, in order."""
    path = golden / "video" / "clip_00.mp4"
    choices = [partial(first_frames, rate=8, count=16), partial(first_frames, rate=25, count=50)]
    (slow, slow_held), (fast, fast_held) = read_sampled_frames(path, choices, start=1.0, duration=2.0)
    assert slow_held == fast_held == 0
    with av.open(str(path)) as container:
        decoded = [(frame.pts * frame.time_base - 1, frame) for frame in container.decode(video=0)]
    for pictures, rate in ((slow, 8), (fast, 25)):
        assert pictures.shape[0] == 2 * rate
        for k, picture in enumerate(pictures):
            shown = next(frame for time, frame in decoded if time >= Fraction(k, rate))
            assert np.array_equal(picture, shown.to_ndarray(format="rgb24"))


def test_no_frames_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="without frames"):
        first_frames([], 25, 1)


@pytest.mark.parametrize("side", [384, 448])
@pytest.mark.parametrize("size", [(360, 640), (512, 512), (240, 135), (384, 448)])
def test_squashed_pictures_are_torchvisions(frames, side, size):
    transforms = pytest.importorskip("torchvision.transforms.v2", reason=NOT_RUN)
    source = frames(7, 2, *size)
    planar = torch.from_numpy(source).permute(0, 3, 1, 2)
    theirs = transforms.Resize((side, side), interpolation=transforms.InterpolationMode.BICUBIC)(planar)
    ours = squash(source, side)
    assert ours.dtype == torch.uint8 and ours.shape == (2, 3, side, side)
    assert torch.equal(ours, theirs)


def test_squashing_keeps_both_edges():
    source = np.zeros((1, 90, 160, 3), np.uint8)
    source[:, :, :8] = 255
    source[:, :, -8:] = 128
    shown = squash(source, 64)
    assert int(shown[..., 0].min()) > 240 and 120 < int(shown[..., -1].min()) < 136


# --- Synchformer -----------------------------------------------------------------------------------------------------


def keys_of(path):
    with path.open() as file:
        return {row["key"]: row["shape"] for row in csv.DictReader(file, delimiter="\t")}


def test_the_video_encoder_is_the_public_part_of_synchformer(golden):
    with torch.device("meta"):
        network = SynchformerVisual()
    listing = {key: "x".join(map(str, value.shape)) for key, value in network.state_dict().items()}
    assert listing == keys_of(golden.parent / "architecture" / "synchformer_visual_keys.tsv")
    assert sum(parameter.numel() for parameter in network.parameters()) == 122_440_704
    others = set(keys_of(golden / "synchformer_keys.tsv")) - set(listing)
    assert others and all(key.startswith(SynchformerVisual.ignored) for key in others)
    assert not any(key.startswith(SynchformerVisual.ignored) for key in listing)


def test_the_video_encoder_comes_from_the_whole_file(tmp_path, filled):
    sizes = {"width": 32, "heads": 2, "depth": 1}
    torch.save(filled(partial(synchformer.Synchformer, **sizes)), tmp_path / "synchformer.pth")
    whole = load(partial(synchformer.Synchformer, **sizes), tmp_path / "synchformer.pth")
    part = load(partial(SynchformerVisual, **sizes), tmp_path / "synchformer.pth")
    clip_of_frames = torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8)
    (found,) = part.encode_videos(clip_of_frames[None])
    assert found.shape == (24, 32)
    torch.testing.assert_close(found, whole.encode_video(clip_of_frames[None])[0].flatten(0, 1))


def by_name(name, shape, low, high):
    """Uniform numbers that depend on nothing but a name, as in the golden files."""
    from zlib import crc32

    return torch.rand(shape, generator=torch.Generator().manual_seed(crc32(f"dev{name}".encode()))) * (high - low) + low


@pytest.mark.slow
@pytest.mark.golden
def test_full_size_video_encoder_is_the_authors(golden, build):
    stored = load_file(golden.parent / "architecture" / "synchformer_visual.safetensors")
    segments = by_name("input/sync/frames", (1, 1, 16, 3, 224, 224), -1, 1)
    torch.testing.assert_close(segments.flatten()[:16], stored["check.input_head"])
    found = build(SynchformerVisual).vfeat_extractor(segments[0])
    expected = stored["out.features"][0]
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())


@pytest.mark.golden
def test_divided_block_is_the_authors(golden, filled):
    stored = load_file(golden.parent / "architecture" / "synchformer_visual.safetensors")
    holder = torch.nn.Module()
    holder.blk = synchformer._DividedBlock(48, 4, 3, 6)
    holder.load_state_dict(filled(lambda: holder))
    found = holder.blk(stored["in.blk"])
    assert float((found - stored["out.blk"]).abs().max()) < 1e-5 * float(stored["out.blk"].abs().max())


# --- CLIP ------------------------------------------------------------------------------------------------------------

TINY = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
tiny_clip = partial(DfnClip, TINY, side=48)


@pytest.fixture(scope="module")
def open_clip():
    return pytest.importorskip("open_clip", reason=NOT_RUN)


@pytest.fixture(scope="module")
def small_clip(open_clip):
    torch.manual_seed(0)
    return tiny_clip().eval()


def test_clip_is_the_published_architecture(open_clip):
    with torch.device("meta"):
        network = DfnClip()
    state = network.public.state_dict()
    assert sum(value.numel() for value in network.public.parameters()) == 986_714_881
    assert sum(value.numel() for value in network.public.visual.parameters()) == 632_682_240
    assert state["visual.positional_embedding"].shape == (27 * 27 + 1, 1280)  # 384 pixels, the last 6 unused
    assert state["text_projection"].shape == (1024, 1024)
    assert type(network.public.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"


def test_clip_makes_a_unit_vector_of_each_frame(open_clip, small_clip, frames):
    source = frames(3, 5, 30, 60)
    found = small_clip.encode_frames(squash(source, small_clip.side), batch=2)
    assert found.shape == (5, 24) and found.dtype == torch.float32
    transforms = pytest.importorskip("torchvision.transforms.v2", reason=NOT_RUN)
    seen = transforms.Compose(
        [
            transforms.Resize((48, 48), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize(open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD),
        ]
    )(torch.from_numpy(source).permute(0, 3, 1, 2))
    torch.testing.assert_close(found, small_clip.public.encode_image(seen, normalize=True), atol=1e-5, rtol=1e-5)


def test_text_is_the_last_hidden_state_of_every_token(small_clip):
    captions = ["a dog barks to the left", ""]
    found = small_clip.encode_text(captions)
    assert found.shape == (2, 77, 16)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 77))
    kept = []
    hook = small_clip.public.ln_final.register_forward_hook(lambda _, __, out: kept.append(out))
    embedded = small_clip.public.encode_text(tokenize(captions))
    hook.remove()
    torch.testing.assert_close(found, functional.normalize(kept[0], dim=-1))
    # open_clip's own text embedding is the projection of the hidden state at the end of the text
    ends = tokenize(captions).argmax(-1)
    torch.testing.assert_close(embedded, kept[0][torch.arange(2), ends] @ small_clip.public.text_projection)


def test_tokens_are_clips(open_clip):
    tokens = tokenize(["a photo of a cat", "cat " * 200, ""])
    assert tokens.shape == (3, 77) and tokens.dtype == torch.int64
    assert tokens[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokens[1, -1] == 49407 and tokens[2, :3].tolist() == [49406, 49407, 0]


@pytest.mark.parametrize("suffix", ["bin", "safetensors"])
def test_clip_from_a_file_is_the_same_with_its_mask(tmp_path, small_clip, suffix):
    state, path = small_clip.public.state_dict(), tmp_path / f"clip.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    loaded = load(tiny_clip, path)
    assert torch.equal(loaded.public.attn_mask, small_clip.public.attn_mask)
    captions = ["rain on a window", "rain on a roof"]
    states = loaded.encode_text(captions)
    torch.testing.assert_close(states, small_clip.encode_text(captions), atol=1e-5, rtol=0)
    torch.testing.assert_close(states[0, :4], states[1, :4])  # a word is not seen by those before it
    assert float((states[0, 4:6] - states[1, 4:6]).abs().max()) > 1e-3
    pictures = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    torch.testing.assert_close(loaded.encode_frames(pictures), small_clip.encode_frames(pictures), atol=1e-5, rtol=0)
    near = load(tiny_clip, path, dtype=torch.bfloat16)
    for found, exact in (
        (near.encode_frames(pictures), small_clip.encode_frames(pictures)),
        (near.encode_text(captions), small_clip.encode_text(captions)),
    ):
        assert found.dtype == torch.float32
        assert 0 < float((found - exact).abs().max()) < 0.1


@pytest.mark.slow
def test_full_size_clip_answers_in_the_published_shapes(open_clip, frames):
    """About 5 GB and 30 s of one core."""
    network = with_random_numbers(DfnClip)
    pictures = network.encode_frames(squash(frames(3, 1, 90, 160), network.side))
    words = network.encode_text(["waves break on the right"])
    for found, shape in ((pictures, (1, 1024)), (words, (1, 77, 1024))):
        assert found.shape == shape
        torch.testing.assert_close(found.norm(dim=-1), torch.ones(shape[:-1]))


def with_random_numbers(make):
    """A network on the CPU without the costly initialisation of its library."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for value in network.public.state_dict().values():
        value.normal_(0, 0.02, generator=generator)
    network.finish()
    return network.eval().requires_grad_(False)


# --- Perception Encoder ----------------------------------------------------------------------------------------------

tiny_encoder = partial(PerceptionEncoder, "vit_pe_spatial_tiny_patch16_512", img_size=96, depth=2)


@pytest.fixture(scope="module")
def small_encoder():
    pytest.importorskip("timm", reason=NOT_RUN)
    torch.manual_seed(0)
    return tiny_encoder().eval()


def test_perception_encoder_is_the_published_architecture(small_encoder):
    with torch.device("meta"):
        network = PerceptionEncoder()
    assert sum(value.numel() for value in network.public.parameters()) == 303_964_160
    assert (network.side, network.grid, network.public.num_prefix_tokens) == (448, 16, 1)
    assert len(network.public.blocks) == 24
    assert "norm.weight" not in network.public.state_dict()  # nothing follows the last block


def test_four_neighbouring_patches_make_a_place_and_the_class_token_none(small_encoder, monkeypatch):
    """Rows run down, columns to the right."""
    grid = 2 * small_encoder.grid
    places = torch.stack(torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij"), dim=-1).float()
    tokens = torch.cat([torch.full((1, 2), 1e6), places.flatten(0, 1)])[None]
    monkeypatch.setattr(small_encoder.public, "forward_features", lambda pictures: tokens.expand(len(pictures), -1, -1))
    found = small_encoder.encode_frames(torch.zeros(3, 3, 96, 96, dtype=torch.uint8), batch=2)
    assert found.shape == (3, grid // 2, grid // 2, 2)
    torch.testing.assert_close(found[1, :, 0, 0], 2 * torch.arange(grid // 2) + 0.5)
    torch.testing.assert_close(found[1, 0, :, 1], 2 * torch.arange(grid // 2) + 0.5)


def test_pictures_reach_the_encoder_between_minus_one_and_one(small_encoder, monkeypatch):
    seen = []
    monkeypatch.setattr(small_encoder.public, "forward_features", lambda x: seen.append(x) or torch.zeros(1, 37, 4))
    source = np.zeros((1, 30, 50, 3), np.uint8)
    source[:, :, 25:] = 255
    small_encoder.encode_frames(squash(source, small_encoder.side))
    assert seen[0].shape == (1, 3, 96, 96)
    assert float(seen[0][..., 0].max()) == -1 and float(seen[0][..., -1].min()) == 1


def test_perception_encoder_from_a_file_is_the_same_with_its_angles(tmp_path, small_encoder):
    save_file(small_encoder.public.state_dict(), tmp_path / "model.safetensors")
    loaded = load(tiny_encoder, tmp_path / "model.safetensors")
    pictures = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8)
    expected = small_encoder.encode_frames(pictures)
    assert expected.shape == (3, 3, 3, 192)
    torch.testing.assert_close(loaded.encode_frames(pictures, batch=1), expected, atol=1e-5, rtol=1e-5)
    near = load(tiny_encoder, tmp_path / "model.safetensors", dtype=torch.bfloat16)
    assert near.public.rope.pos_embed.dtype == torch.float32
    assert 0 < float((near.encode_frames(pictures) - expected).abs().max()) < 0.1 * float(expected.abs().max())


@pytest.mark.slow
def test_full_size_perception_encoder_answers_in_the_published_shape(small_encoder, frames):
    """About 2 GB and 20 s of one core. The angles of its places are those of a network that was made on the CPU."""
    network = with_random_numbers(PerceptionEncoder)
    made = PerceptionEncoder(depth=1).public.rope.pos_embed
    assert torch.equal(network.public.rope.pos_embed, made) and bool(made.isfinite().all())
    found = network.encode_frames(squash(frames(3, 1, 90, 160), network.side))
    assert found.shape == (1, 16, 16, 1024)
    assert bool(found.isfinite().all()) and float(found.std()) > 0


# --- files and packages ----------------------------------------------------------------------------------------------

PE = perception_encoder.PerceptionEncoder.title
WRONG = {
    "224 pixels": (DfnClip, {"visual.positional_embedding": (257, 1280)}, "a CLIP ViT-H/14 at 224 pixels (open_clip)"),
    "a smaller CLIP": (DfnClip, {"visual.positional_embedding": (257, 1024)}, "a CLIP ViT-L/14 at 224 pixels"),
    "transformers' CLIP": (
        DfnClip,
        {"vision_model.embeddings.class_embedding": (1280,)},
        "a CLIP model as transformers stores it; open_clip's own file is needed",
    ),
    "the other encoder": (DfnClip, {"pos_embed": (1, 1025, 1024), "norm_pre.weight": (1024,)}, PE),
    "CLIP": (PerceptionEncoder, {"visual.positional_embedding": (730, 1280)}, DfnClip.title),
    "the core family": (
        PerceptionEncoder,
        {"attn_pool.latent": (1, 1, 1024)},
        "a Perception Encoder of the core family",
    ),
    "the language family": (
        PerceptionEncoder,
        {"blocks.0.gamma_1": (1024,), "pos_embed": (1, 1025, 1024)},
        "a Perception Encoder of the language family (timm)",
    ),
    "another size": (PerceptionEncoder, {"norm_pre.weight": (192,)}, "another vision transformer of timm"),
    "the authors' own format": (
        PerceptionEncoder,
        {"ln_pre.weight": (1024,), "conv1.weight": (1024, 3, 14, 14)},
        "a Perception Encoder as its authors store it; timm's file is needed",
    ),
    "ImageBind": (
        SynchformerVisual,
        {"modality_trunks.vision.blocks.0.attn.in_proj_weight": (3, 1)},
        "ImageBind",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named(tmp_path, open_clip, case):
    network, shapes, looks = WRONG[case]
    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / "file.safetensors")
    with pytest.raises(BenchError) as error:
        load(network, tmp_path / "file.safetensors")
    message = str(error.value)
    assert f"does not hold the weights of {network.title}: " in message
    assert f"It looks like {looks}" in message
    assert " keys are missing (" in message and len(message) < 800


def test_a_safetensors_file_is_known_by_its_content_and_must_be_whole(tmp_path):
    path = tmp_path / "renamed.bin"
    save_file({"a": torch.arange(3.0)}, path)
    assert torch.equal(read_state(path)["a"], torch.arange(3.0))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BenchError, match="not an intact safetensors file"):
        read_state(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # a DeprecationWarning, since torch 2.14 a FutureWarning
def test_a_compiled_program_is_named(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "ViT-L-14.pt"))
    with pytest.raises(BenchError, match=r"compiled program \(TorchScript\).*a state dict is needed"):
        read_state(tmp_path / "ViT-L-14.pt")


def test_checks_of_files(tmp_path):
    clip_file, encoder_file = tmp_path / "clip.safetensors", tmp_path / "encoder.safetensors"
    save_file({"visual.positional_embedding": torch.zeros(730, 1280)}, clip_file)
    save_file({"pos_embed": torch.zeros(1, 1025, 1024)}, encoder_file)
    weight_checks.clip(clip_file)
    weight_checks.perception_encoder(encoder_file)
    with pytest.raises(BenchError, match=r"is not DFN5B CLIP .*; it looks like the Perception Encoder"):
        weight_checks.clip(encoder_file)
    with pytest.raises(BenchError, match="it looks like DFN5B CLIP"):
        weight_checks.perception_encoder(clip_file)


@pytest.mark.parametrize(
    ("library", "make"),
    [("open_clip", DfnClip), ("open_clip", partial(tokenize, ["rain"])), ("timm", PerceptionEncoder)],
)
def test_a_missing_package_is_one_sentence(monkeypatch, library, make):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BenchError, match=rf'needs {library}.*pip install "visaudio-bench\[video\]"$'):
        make()


def test_libraries_are_imported_with_real_tensors(tmp_path, monkeypatch):
    (tmp_path / "library_with_constants.py").write_text("import torch\nCONSTANT = torch.ones(2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with torch.device("meta"):
        library = import_extra("library_with_constants", "video", "a test")
    assert library.CONSTANT.device.type == "cpu"


def test_nothing_heavy_is_imported_before_it_is_needed():
    import subprocess

    code = (
        "import sys; from visaudio_bench.models.backbones import dfn_clip, mmaudio_codec, perception_encoder\n"
        "from visaudio_bench.models.visaudio.checkpoints import load_network\n"
        "from visaudio_bench.models.visaudio.tiny.shipped import shipped_checkpoint\n"
        "load_network(shipped_checkpoint())\n"
        "print([name for name in ('open_clip', 'timm', 'torchvision', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
