"""Training of geometry-aware networks: recipe, what is kept of clips, batches of windows, and the step."""
