"""FoleySpace (Zhao et al. 2025, arXiv 2508.12918): binaural sound by diffusion, from mono sound and a trajectory.

An open implementation from the abstract, for there is neither code nor weights. The abstract says: where the source is
in each picture, and how deep; a mapping to a trajectory in space; a diffusion model that is given this and the mono
sound; training data of moving sources made with recorded head responses. Everything else is chosen here:

* the source is what moves, its depth follows from how much of the view moves (`baselines.source_track`, where another
  estimator can be put in its place); field of view 50 degrees, distances from 0.5 to 10 m;
* what is diffused are the spectra of both ears (44.1 kHz, 1024 points, hop 256), each bin in units of the mono sound's
  magnitude around it; paths from noise to data are straight (flow matching), and the network predicts the data;
* the prediction is the mono spectrum through transfer functions that are a product of what is learnt of each frequency
  and of each place, and what Wiener's filter keeps of the noisy spectra beyond it, corrected by convolutions;
* a place is its direction and the logarithm of its distance. The level is not left to the network: it follows the
  distance by 6 dB a doubling, before the network hears the sound;
* it learns from sounds of the simulator's making and noise, on smooth random paths through MIT KEMAR's responses, 44.1
  kHz, without a room. So it has no reverberation, as the data that the abstract tells of;
* the presets `rooms-...` go beyond it: mono sound is the mean of the ears in a simulated room, as binauralisers are
  given it, and remains the mean of what is made; its levels are left alone. How far it has fallen from its recent past
  tells, bin by bin, what came straight from the source and what is reverberation: how much of the path's difference of
  the ears is heard, and how widely they differ around it. Below 1.5 kHz, where interaural time is heard, the ears are
  what is expected of them, and drawn above.
"""
