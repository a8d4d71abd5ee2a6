"""How good a set of images is: distances of distributions, coverage, copies. Every file sees features alone, (N, D)."""
