"""Test double of the authors' preparation: elevation and azimuth as they are, for the tests to see."""

import numpy as np


class PreprocessorAmbi:
    def prepare_ambi(self, file_path, augment=False):
        elevation, azimuth = self.ambi_data[file_path.replace(".npy", "")]
        return np.float32([elevation, azimuth, 0])
