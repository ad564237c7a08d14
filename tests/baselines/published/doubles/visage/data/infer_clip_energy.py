"""Test double of the authors' energy maps."""

import torch


def compute_cossim_score(video_feat, height=7, width=7):
    assert video_feat.shape[1:] == (50, 768)
    score = video_feat[:, 1:, 0].reshape(-1, height, width)
    return score, score


def compute_energy_map(scores, temperature=0.1):
    return scores[0].reshape(len(scores[0]), -1).softmax(-1)


def top_p_filtering(energy_map, scores, top_p=0.5, filter_value=-float("Inf")):
    assert top_p == 0.7 and energy_map.shape == (20, 49)
    assert torch.isfinite(energy_map).all()
    return list(scores)
