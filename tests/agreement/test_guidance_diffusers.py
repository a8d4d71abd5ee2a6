"""Our rules of guidance make of two images what diffusers' make of two outputs of a network, which are any tensors."""

import math

import torch
from diffusers import DDPMScheduler
from diffusers.guiders.adaptive_projected_guidance import normalized_guidance
from diffusers.guiders.guider_utils import rescale_noise_cfg

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.guidance import Projected, Rescaled, Thresholded, extrapolate

X0, WORSE = torch.randn(2, 4, 3, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@cases("scale", [0.0, 7.5])
def test_rescaled(scale):
    for phi in [0.3, 1.0]:
        theirs = rescale_noise_cfg(extrapolate(X0, WORSE, scale), X0, phi)
        torch.testing.assert_close(Rescaled(phi)(X0, WORSE, scale), theirs, rtol=0, atol=1e-12)


def test_projected():
    """Their bound 0 is none; the formulation of the paper is theirs with what they call original, and scale - 1."""
    for eta in [0.0, 0.5, 1.0]:
        for longest in [5.0, math.inf]:
            bound = 0.0 if longest == math.inf else longest
            theirs = normalized_guidance(X0, WORSE, 6.5, eta=eta, norm_threshold=bound, use_original_formulation=True)
            torch.testing.assert_close(Projected(eta, longest)(X0, WORSE, 7.5), theirs, rtol=0, atol=1e-12)


def test_thresholded():
    """In float32, in which they take the quantile; their bound on s is set out of reach, as the paper has none."""
    for ratio in [0.5, 0.995]:
        for size in [0.2, 1.0, 4.0]:
            x0 = (size * X0).float()
            scheduler = DDPMScheduler(thresholding=True, dynamic_thresholding_ratio=ratio, sample_max_value=1e9)
            ours = Thresholded(lambda x, level, cond=None: Denoised(x), ratio)(x0, Level(5.0, 0.8, 0.6)).x0
            torch.testing.assert_close(ours, scheduler._threshold_sample(x0), rtol=0, atol=1e-6)
