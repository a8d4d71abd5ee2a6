"""Pixels as an autoencoder sees them: colours multiplied by alpha."""

import torch

from ddpm.codec.pixel import PixelCodec


def premultiplied(images: torch.Tensor) -> torch.Tensor:
    """Encode pixels in [-1, 1], with colours multiplied by alpha if there is one (Porter & Duff 1984).

    Two pictures look the same on every background if and only if the results are equal: the colours of transparent
    pixels, which nobody sees, do not count, and those at soft edges count little.

    Args:
        images: (B, H, W, C) uint8, C of 1, 3 or 4.

    Returns:
        (B, C, H, W) float32.
    """
    x = PixelCodec().encode(images)
    if x.shape[1] != 4:
        return x
    colour, alpha = x[:, :3], x[:, 3:]
    return torch.cat([(colour + 1) * (alpha + 1) / 2 - 1, alpha], 1)


def straight(x: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`premultiplied`, (B, C, H, W) to (B, H, W, C) uint8; transparent pixels become black."""
    x = x.float()
    if x.shape[1] == 4:
        colour, alpha = x[:, :3], x[:, 3:].clamp(-1, 1)  # a network may exceed 1, which would darken its colours
        # alphas below half a step are rounded to 0
        opaque = (alpha + 1) / 2 >= 0.5 / 255
        x = torch.cat([torch.where(opaque, 2 * (colour + 1) / (alpha + 1) - 1, -1), alpha], 1)
    return PixelCodec().decode(x)
