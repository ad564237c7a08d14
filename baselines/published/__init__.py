"""Published systems: each runs its authors' own code in its own environment; what follows on its sound is ours."""
