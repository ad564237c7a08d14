"""The networks: those that are trained here, those that are used frozen, and the files of weights they need."""
