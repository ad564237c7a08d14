"""ViSAudio (video to binaural sound) and MMAudio (its mono ancestor): networks, flow matching, sampling, weights."""
