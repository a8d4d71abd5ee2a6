"""A mask and the known part of an image as conditions, for networks that learned to inpaint."""

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.core import Cond
from ddpm.core.condition import EncodeHidden
from ddpm.core.stream import RowStreams


class MaskedImage(nn.Module):
    """The mask and the encoded image without what it hides, as channels next to x (Rombach et al. 2022, sec. 4.5).

    Raw conditions are (B, 1 + C, h, w) float32: the mask, 1 where x is unknown, and the image.

    Args:
        channels: those of an image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def encode(self, raw: torch.Tensor) -> Cond:
        """Raw conditions -> an image (B, 1 + C, h, w)."""
        return Cond(image=raw, raw={"masked_image": raw})

    forward = encode

    def null(self, n: int) -> None:
        """None: this condition is always given."""

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Masked images, unchanged."""
        return raw

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Masked images, unchanged."""
        return raw

    def absent(self, encode: EncodeHidden, size: tuple[int, int], device: torch.device) -> torch.Tensor:
        """The raw condition of an image of (H, W) that is hidden altogether."""
        pixels = torch.zeros(1, *size, self.channels, dtype=torch.uint8, device=device)
        return masked_image(encode, pixels, torch.ones_like(pixels[..., 0], dtype=torch.bool))


def masked_image(encode: EncodeHidden, images: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """The raw condition of images with hidden pixels, which are encoded as mid-grey.

    The mask of a position of x is that of its first pixel, as in training.

    Args:
        images: (B, H, W, C) uint8.
        hidden: (B, H, W) bool.

    Returns:
        (B, 1 + C', H / factor, W / factor).
    """
    x = encode(images, hidden)
    return torch.cat([F.interpolate(hidden[:, None].to(x), x.shape[2:]), x], 1)
