"""Images and their small versions."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ddpm.core import LowResolution, scale


@dataclass(frozen=True, slots=True)
class Pairs:
    """How small images with two spatial axes are made larger, and noisy.

    They are the means of boxes (``constraints.AveragePool``), unless they were given.

    Attributes:
        scale: pixels a side of the large image for one of the small image.
        s_max: strongest noise that the enlarged image is given in training, in [0, 1).
    """

    scale: int
    s_max: float

    def enlarge(self, low: torch.Tensor) -> torch.Tensor:
        """By bicubic interpolation (Keys 1981, a = -1/2): (B, C, h, w) -> (B, C, h · scale, w · scale)."""
        # antialiasing changes nothing where images grow, but takes this kernel, where torch's other has a = -3/4
        return F.interpolate(low, scale_factor=self.scale, mode="bicubic", antialias=True)

    def noised(self, image: torch.Tensor, s: torch.Tensor, eps: torch.Tensor) -> LowResolution:
        """``cos(pi s / 2) · image + sin(pi s / 2) · eps``, the noise of a cosine schedule at the share s of its way.

        Noise-conditioning augmentation (Ho et al. 2021, sec. 4.1): the network sees s, and so learns how far to trust
        each detail of the image. s = 0 is the image itself.

        Args:
            image, eps: (B, C, *space).
            s: (B,) in [0, 1].
        """
        angle = 0.5 * math.pi * s
        noisy = scale(angle.cos(), image) + scale(angle.sin(), eps)
        return LowResolution(noisy, s)

    def plain(self, image: torch.Tensor) -> LowResolution:
        """Without noise."""
        return LowResolution(image, torch.zeros(len(image), device=image.device))
