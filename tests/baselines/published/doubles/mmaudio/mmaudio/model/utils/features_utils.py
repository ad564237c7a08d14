import os

from open_clip import CLIP  # noqa: F401

from mmaudio.ext.autoencoder import autoencoder
from mmaudio.ext.synchformer import Synchformer

create_model_from_pretrained = None


class FeaturesUtils:
    def __init__(
        self,
        *,
        tod_vae_ckpt=None,
        bigvgan_vocoder_ckpt=None,
        synchformer_ckpt=None,
        enable_conditions=True,
        mode="44k",
        need_vae_encoder=True,
    ):
        os.stat(tod_vae_ckpt)
        os.stat(synchformer_ckpt)
        Synchformer()
        clip = create_model_from_pretrained("hub", return_transform=False)
        assert clip.shape["vision_cfg"]["layers"] == 2
        autoencoder.BigVGANv2.from_pretrained("hub", use_cuda_kernel=False)

    def to(self, device, dtype):
        return self

    def eval(self):
        return self
