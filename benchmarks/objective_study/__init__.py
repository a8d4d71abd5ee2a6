"""What benchmarks/objectives.py, gradient_noise.py and objective_matrix.py share: small runs on the digits."""
