"""Low-resolution images as conditions for super-resolution."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ddpm.codec import Codec
from ddpm.constraints import AveragePool
from ddpm.core import Cond, scale
from ddpm.core.level import per_image
from ddpm.core.stream import RowStreams
from ddpm.images.pixels import Pixels
from ddpm.networks.embeddings import TICKS

Interpolation = Callable[[torch.Tensor, int], torch.Tensor]
"""(B, C, h, w), scale -> (B, C, h · scale, w · scale)."""


@dataclass(frozen=True, slots=True)
class BoxMeans:
    """A downscaler of stored images: the mean of each box of ``scale`` × ``scale`` pixels, in 8 bits."""

    codec: Codec
    scale: int

    def __call__(self, images: Pixels, names: Sequence[str] = ()) -> Pixels:
        """(B, H, W, C) uint8 -> (B, H / scale, W / scale, C) uint8, ignoring the names."""
        means = AveragePool(self.scale).forward(self.codec.encode(torch.from_numpy(np.ascontiguousarray(images))))
        small: Pixels = self.codec.decode(means).numpy()
        return small


class LowResolution(nn.Module):
    """A conditioner that gives the upscaled image and a vector for its noise strength (Ho et al. 2021, sec. 4.1).

    A raw condition is either small images as stored, (B, h, w, C) uint8, or the output of :meth:`noised`.

    Args:
        strength: The embedding of the noise strength: (B,) on the scale of 0 … 1000 -> (B, D).
        codec: The codec of stored images.
        scale: The upscaling factor of each side.
        s_max: The strongest noise in training, in [0, 1).
        interpolate: How images are upscaled; bicubic if None.
    """

    def __init__(
        self, strength: nn.Module, codec: Codec, scale: int, s_max: float, interpolate: Interpolation | None = None
    ) -> None:
        super().__init__()
        self.strength = strength
        self.codec, self.scale, self.s_max = codec, scale, s_max
        self.interpolate = interpolate or enlarge

    def encode(self, raw: torch.Tensor) -> Cond:
        """Small images, or upscaled ones with their noise -> an image (B, C, *space) and a vector (B, D)."""
        if raw.dtype == torch.uint8:
            image = self.enlarged(raw)
            s = torch.zeros(len(raw), device=raw.device)
        else:
            # the last channel is s, the same at every position
            image, s = raw[:, :-1], raw[:, -1].flatten(1)[:, 0]
        return Cond(self.strength(TICKS * s), image)

    forward = encode

    def null(self, n: int) -> None:
        """None: this condition is always given."""

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Small images, unchanged."""
        return raw

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Small images upscaled, each with noise of a strength uniform in [0, s_max)."""
        image = self.enlarged(raw)
        s = self.s_max * streams.uniform("strengths").to(image)
        return self.noised(image, s, streams.normal("strength noise", image.shape[1:]).to(image.device))

    def enlarged(self, raw: torch.Tensor) -> torch.Tensor:
        """Small images (B, h, w, C) uint8, upscaled by interpolation: (B, C, h · scale, w · scale)."""
        return self.interpolate(self.codec.encode(raw), self.scale)

    def noised(self, image: torch.Tensor, s: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        """``cos(pi s / 2) · image + sin(pi s / 2) · eps``, the noise of a cosine schedule at time s.

        Noise-conditioning augmentation (Ho et al. 2021, sec. 4.1): the network sees s, and learns how far to trust the
        details of the image. s = 0 is the image itself.

        Args:
            image, eps: (B, C, *space).
            s: (B,) in [0, 1].

        Returns:
            (B, C + 1, *space), a raw condition with s in its last channel.
        """
        angle = 0.5 * math.pi * s
        noisy = scale(angle.cos(), image) + scale(angle.sin(), eps)
        return torch.cat([noisy, per_image(s, image).expand(-1, 1, *image.shape[2:])], 1)


def enlarge(low: torch.Tensor, scale: int) -> torch.Tensor:
    """Upscale by bicubic interpolation (Keys 1981, a = -1/2): (B, C, h, w) -> (B, C, h · scale, w · scale)."""
    # antialiasing has no effect on upscaling, but selects this kernel; torch's other one has a = -3/4
    return F.interpolate(low, scale_factor=scale, mode="bicubic", antialias=True)


def enlarge_linearly(low: torch.Tensor, scale: int) -> torch.Tensor:
    """Upscale by bilinear interpolation: (B, C, h, w) -> (B, C, h · scale, w · scale)."""
    return F.interpolate(low, scale_factor=scale, mode="bilinear")
