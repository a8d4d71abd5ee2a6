"""Metrics of generated images: distances, coverage, memorisation. They operate on features (N, D)."""
