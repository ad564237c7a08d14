"""BiAudio's construction: 360-degree video with first-order ambisonics becomes a perspective video with binaural sound.

Source: the ViSAudio paper, section 3 and appendix A. The manual page is docs/construction.md.
"""
