"""What the `tiny` model is conditioned on and heard through: built in, no download, and not the paper's encoders.

`tiny` runs the same network code over the same kind of conditions as ViSAudio, so that generation and training can be
tried end to end on a laptop. Its numbers are its own and are never shown as those of the published model.
"""
