class BigVGANv2:
    def __init__(self, h, use_cuda_kernel=False):
        assert h.num_mels == 128
