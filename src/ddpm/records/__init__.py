"""The contents of a run folder besides weights: scores, sweeps, tuned grids, likelihoods, provenance."""
