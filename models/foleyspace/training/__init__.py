"""Training of FoleySpace's diffusion network: recipe, sounds on paths made on the fly, and the step."""
