"""The inception score, high if each image clearly shows one class and all classes occur."""

import torch

from ddpm.metrics.estimate import Estimate, interval

CHUNK = 8192


def estimate(logits: torch.Tensor, counts: torch.Tensor) -> Estimate:
    """``exp(mean_i KL(p(y | x_i) || p(y)))``, from 1 to the number of classes (Salimans et al. 2016, section 4).

    p(y) is the mean over all images; one set of N scores higher than the customary mean of ten sets of N / 10. Computed
    as the entropy of p(y) minus the images' mean entropy.

    Args:
        logits: (N, K), of a classifier independent of the generator.
        counts: (B, N), from `resamples`.
    """
    n, classes = logits.shape
    weights = torch.cat([torch.ones(1, n), counts.float()])  # the first row is the set itself
    marginals = torch.zeros(len(weights), classes, dtype=torch.float64)
    entropies = torch.zeros(len(weights), dtype=torch.float64)
    for part, taken in zip(torch.split(logits, CHUNK), torch.split(weights, CHUNK, 1), strict=True):
        p = part.double().softmax(1)
        marginals += taken.double() @ p / n
        entropies += taken.double() @ torch.special.entr(p).sum(1) / n
    scores = (torch.special.entr(marginals).sum(1) - entropies).exp()
    return interval(float(scores[0]), scores[1:], 1.0, float(classes))
