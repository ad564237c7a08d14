import os


class FeaturesUtils:
    def __init__(
        self,
        *,
        tod_vae_ckpt=None,
        bigvgan_vocoder_ckpt=None,
        synchformer_ckpt=None,
        enable_conditions=True,
        mode="16k",
        need_vae_encoder=True,
    ):
        for path in (tod_vae_ckpt, bigvgan_vocoder_ckpt, synchformer_ckpt):
            os.stat(path)
        folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        for name in ("synchformer/divided_224_16x4.yaml", "bigvgan/bigvgan_vocoder.yml"):
            open(os.path.join(folder, "ext", name)).close()
        os.stat("google/flan-t5-base")  # found by name in the current directory

    def to(self, device, dtype):
        return self

    def eval(self):
        return self
