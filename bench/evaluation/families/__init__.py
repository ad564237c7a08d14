"""The metric families of this project, one module each, found by their `FAMILY` (see `bench.evaluation.family`)."""
