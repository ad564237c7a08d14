"""Mono to binaural sound by what pictures show of the geometry: Garg, Gao and Grauman, BMVC 2021 (arXiv 2111.10882).

Written from the paper. What it leaves open, or what is done otherwise here, and why:

* normalisation over groups of channels where ResNet and U-Net have batch statistics, so that a training does not depend
  on how a batch is shared out over processes; the trunk therefore begins with random weights, not with ImageNet's;
* masks are applied to the sum of the ears, as in 2.5D Visual Sound, not to their mean: left minus right of a sound in
  one ear only is as large as the sum;
* the two channel masks come from an association of the decoder's levels with every place of the visual map, after the
  idea of APNet; they are what is heard, and a network without them is heard through its difference mask;
* the classifier multiplies projections of picture and sound before its fully connected layer: of the two side by side
  a linear layer could never tell agreement from flipping; and it is given levels on a logarithmic scale and differences
  of phase. Trained on real and imaginary parts for as long, or through a convolution over both, it stayed at chance;
* the reverberation time of a predicted response is measured on its magnitudes. Griffin and Lim's phases, which the
  paper puts in between, do not change how its energy decays;
* an impulse response is kept with unit energy, 64 bands by 64 frames of 16 ms; one for every half second of a clip;
* the margin of the geometric consistency is 0.1 of the mean square (the paper names none).
"""
