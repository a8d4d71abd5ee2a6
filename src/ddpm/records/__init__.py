"""The contents of a run folder other than weights: scores, sweeps, tuned grids, likelihoods, provenance."""
