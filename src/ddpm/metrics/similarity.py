"""Similarity of an image to its target."""

import torch
import torch.nn.functional as F

SIDE = 11
"""The side of the SSIM window in pixels."""
SIGMA = 1.5
RANGE = 255.0
ROUNDING = 1 / 12
"""The mean square of rounding to whole values."""


def squared_error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The mean of ``(a - b)²`` for each image.

    Args:
        a, b: (B, C, *space).

    Returns:
        (B,) float64.
    """
    return (a.double() - b.double()).square().flatten(1).mean(1)


def mean_psnr(errors: torch.Tensor) -> float:
    """The mean PSNR in dB of images with these mean squared errors, (B,), where one below ``ROUNDING`` counts as that.

    Otherwise, one identical image would make the mean infinite.
    """
    return float(decibels(errors.clamp(min=ROUNDING)).mean())


def decibels(error: torch.Tensor) -> torch.Tensor:
    """``10 log10(255² / error)`` of mean squared errors of values of 0 … 255: PSNR in dB."""
    return 10 * torch.log10(RANGE**2 / error)


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The mean structural similarity of each image (Wang et al. 2004, eq. 13), averaged over channels; 1 if identical.

        (2 m_a m_b + c1) (2 s_ab + c2) / ((m_a² + m_b² + c1) (s_a² + s_b² + c2))

    with ``c1 = (0.01 · 255)²``, ``c2 = (0.03 · 255)²``. Means, variances and the covariance are weighted by an 11 × 11
    Gaussian window (standard deviation 1.5), at all positions where it lies entirely inside.

    Args:
        a, b: (B, C, H, W), values of 0 … 255.

    Returns:
        (B,) float64.

    Raises:
        ValueError: a side is below 11.
    """
    if min(a.shape[2:]) < SIDE:
        raise ValueError(f"images of size {tuple(a.shape[2:])} are smaller than the {SIDE} × {SIDE} window of SSIM")
    a, b = a.double(), b.double()
    mean_a, mean_b = _windowed(a), _windowed(b)
    var_a, var_b = _windowed(a * a) - mean_a**2, _windowed(b * b) - mean_b**2
    cov = _windowed(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * (2 * cov + c2) / (var_a + var_b + c2)).flatten(1).mean(1)


def _windowed(x: torch.Tensor) -> torch.Tensor:
    """Means under the window: (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    place = torch.arange(SIDE, dtype=x.dtype, device=x.device) - SIDE // 2
    weight = (-(place**2) / (2 * SIGMA**2)).exp()
    weight = (weight / weight.sum()).expand(x.shape[1], 1, SIDE)
    channels = x.shape[1]
    x = F.conv2d(x, weight[..., None], groups=channels)
    return F.conv2d(x, weight[:, :, None], groups=channels)
