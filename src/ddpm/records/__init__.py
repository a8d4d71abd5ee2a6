"""What a run folder keeps besides weights: scores, sweeps, tuned grids, likelihoods, provenance."""
