"""Training: feature extraction, the training of a network, its validation."""
