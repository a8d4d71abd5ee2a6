"""What ``benchmarks/golden.py`` runs, and the hashes that it takes of the results."""
