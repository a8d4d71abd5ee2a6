"""Convert images of any mode to RGB, which published networks were trained on."""

import torch


def as_rgb(images: torch.Tensor) -> torch.Tensor:
    """Convert to RGB: L is repeated, RGBA is composited on white.

    Composites are rounded to whole values, ``round((a · c + (255 - a) · 255) / 255)``, so that a picture with an alpha
    channel has the same features as its 8-bit rendering on white.

    Args:
        images: (B, H, W, C) uint8, C of 1, 3 or 4.

    Returns:
        (B, 3, H, W) float32, whole values in 0 … 255.
    """
    x = images.movedim(-1, 1).to(torch.float32)
    assert x.shape[1] in (1, 3, 4), f"{x.shape[1]} channels"
    if x.shape[1] == 4:
        alpha = x[:, 3:]
        return ((alpha * x[:, :3] + (255 - alpha) * 255) / 255).round()
    return x.expand(-1, 3, -1, -1)


def on_white(x: torch.Tensor) -> torch.Tensor:
    """The same of premultiplied colours, with gradients: (B, C, H, W) in [-1, 1] -> (B, 3, H, W) in [-1, 1].

    With 0 and 1 for black and white, ``αc + (1 - α)``; see :mod:`ddpm.codec.premultiplied`.
    """
    if x.shape[1] == 4:
        x = x[:, :3] + 1 - x[:, 3:]
    return x.expand(-1, 3, -1, -1)
