"""What holds in every room; each convention has this one place."""

# Hz. Sounds are made, kept and scored at this rate (ViSAudio, section 5.1); networks that want another resample.
SAMPLE_RATE = 44100

# Hz. Cues between the ears are measured up to here; sound with a lower rate than twice that lacks some of them.
BAND_HIGH = 8000.0
