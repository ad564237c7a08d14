"""Evaluation: the plan of a run, generation, scores of signals and of networks, results."""
