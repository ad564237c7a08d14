"""Sizes and switches of a geometry-aware network, and the constants of its sounds and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from visaudio_bench.models.stored_config import StoredConfig

SAMPLE_RATE = 16_000
FFT, WINDOW, HOP = 512, 400, 160
SAMPLES = 10_080  # of one window: 0.63 s
FRAMES = SAMPLES // HOP + 1
BINS = FFT // 2  # without the highest one
PICTURE_RATE = 10
RESPONSE = 64  # bands and frames of an impulse response
RESPONSE_HOP = 256


@dataclass(frozen=True)
class Config(StoredConfig):
    """One network.

    Attributes:
        name: of the preset.
        height, width: of the pictures that it sees; stored ones are larger by the fifteenth part, for random crops.
        trunk, audio: channels of the first layer of ResNet-18 and of the U-Net.
        reduced: channels of the visual map where it meets the sound.
        pictures: without them it is the control Audio-Only.
        channel_masks: the masks of left and right beside that of their difference (Eq. 1).
        coherence: the classifier of flipped channels (Eq. 2).
        response: the generator of impulse responses (Eq. 3).
        consistency: alike features of pictures up to a second apart (Eq. 4).
    """

    name: str
    height: int = 224
    width: int = 448
    trunk: int = 64
    audio: int = 64
    reduced: int = 8
    pictures: bool = True
    channel_masks: bool = True
    coherence: bool = True
    response: bool = True
    consistency: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.height % 32 or self.width % 32:
            raise ValueError(f"pictures are {self.height} x {self.width}, expected multiples of 32")
        for name in ("trunk", "audio"):
            if getattr(self, name) % 8:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a multiple of 8")
        if not self.pictures and (self.coherence or self.response or self.consistency):
            raise ValueError("coherence, response and consistency are asked of pictures, and there are none")

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of the visual map."""
        return self.height // 32, self.width // 32

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of the pictures that crops are taken from."""
        return stored_size(self.height, self.width)

    @property
    def system(self) -> str:
        """The system that such a network is: of the paper, its predecessor without any of its parts, or the control."""
        if not self.pictures:
            return "audio-only"
        parts = (self.channel_masks, self.coherence, self.response, self.consistency)
        return "geometry-aware" if any(parts) else "mono2binaural"


def stored_size(height: int, width: int) -> tuple[int, int]:
    """Compute the size of pictures that crops are taken from: 240 x 480 for 224 x 448.

    Args:
        height: of the crops, pixels.
        width: of the crops, pixels.

    Returns:
        Height and width.
    """
    return round(height * 15 / 14), round(width * 15 / 14)


PAPER = Config("paper")
NOTHING = {"channel_masks": False, "coherence": False, "response": False, "consistency": False}
TINY = Config("tiny", height=64, width=224, trunk=16, audio=16)
CONFIGS = {
    "tiny": TINY,
    "paper": PAPER,
    # Recorded data have no impulse responses; the paper leaves that part out on FAIR-Play.
    "fairplay": Config("fairplay", response=False),
    "mono2binaural": Config("mono2binaural", **NOTHING),
    "mono2binaural-tiny": Config("mono2binaural-tiny", 64, 224, 16, 16, **NOTHING),
    "audio-only": Config("audio-only", pictures=False, coherence=False, response=False, consistency=False),
    "audio-only-tiny": Config(
        "audio-only-tiny", 64, 224, 16, 16, pictures=False, coherence=False, response=False, consistency=False
    ),
}
