"""What holds in every room; each convention has this one place."""

# Hz. Sounds are made, kept and scored at this rate (ViSAudio, section 5.1); networks that want another resample.
SAMPLE_RATE = 44100
