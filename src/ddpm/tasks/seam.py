"""Blend the filled area with the known pixels around it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from ddpm.images.photo import Fill
from ddpm.images.pixels import Pixels


def extended(pixels: Pixels, fill: Fill) -> Pixels:
    """The known pixels of a picture (H, W, C) uint8, continued smoothly over the area to fill.

    Each unknown pixel is an average of the known ones nearby (push-pull; Gortler et al. 1996). An encoder has a larger
    receptive field than one block, and would otherwise see what is to be replaced.
    """
    # (H, W, C) -> (1, C, H, W) and (1, 1, H, W)
    x, known = torch.from_numpy(_premultiplied(pixels)).movedim(-1, 0)[None], torch.from_numpy(~fill)[None, None]
    found = _straight(_extended(x, known)[0].movedim(0, -1).numpy())
    return np.where(fill[..., None], found, pixels)


def _extended(x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    if known.all() or max(known.shape[2:]) == 1:
        return x
    share = F.avg_pool2d(known.float(), 2, ceil_mode=True)
    coarse = F.avg_pool2d(x * known, 2, ceil_mode=True) / share.where(share > 0, 1)
    coarse = _extended(coarse, share > 0)
    return x.where(known, F.interpolate(coarse, x.shape[2:], mode="bilinear"))


def blended(drawn: Pixels, pixels: Pixels, fill: Fill, width: int) -> Pixels:
    """A drawn picture, corrected in the area to fill, so that it continues the known pixels without a step.

    With ``k`` 1 at known pixels and G a Gaussian of standard deviation ``width``, the difference d of the known pixels
    from the drawn ones continues as ``G(k d) / G(k) · min(1, 2 G(k))``: nearly whole at a straight border, where G(k)
    is one half, and fading away from it.

    Args:
        drawn, pixels: (H, W, C) uint8; nothing changes if they agree at the known pixels.
        width: the standard deviation, in pixels.
    """
    known = ~fill[..., None]
    before = _premultiplied(drawn)
    missed = known * (_premultiplied(pixels) - before)
    if not missed.any():
        return drawn
    near = _blurred(known.astype(np.float32), width)
    more = _blurred(missed, width) / np.maximum(near, 1e-6) * np.minimum(1, 2 * near)
    return np.where(fill[..., None], _straight(before + more), drawn)


def _premultiplied(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Pixels in 0 … 255, with colours times alpha: the colours of transparent pixels, which nobody sees, are 0."""
    x = pixels.astype(np.float32)
    if x.shape[2] == 4:
        x[..., :3] *= x[..., 3:] / 255
    return x


def _straight(x: npt.NDArray[np.floating[Any]]) -> Pixels:
    """The inverse of :func:`_premultiplied`, rounded; transparent pixels become black."""
    x = x.clip(0, 255)
    if x.shape[2] == 4:
        x[..., :3] *= np.where(x[..., 3:] < 0.5, 0, 255 / np.maximum(x[..., 3:], 0.5))
    return x.round().clip(0, 255).astype(np.uint8)


def _blurred(x: npt.NDArray[np.float32], std: int) -> npt.NDArray[np.float32]:
    """A Gaussian blur of (H, W, C), continued by its edges."""
    kernel = torch.exp(-0.5 * (torch.arange(-3 * std, 3 * std + 1) / std) ** 2)
    kernel = kernel / kernel.sum()
    # (H, W, C) -> (C, 1, H, W), one axis after the other
    y = F.pad(torch.from_numpy(x).movedim(-1, 0)[:, None], [3 * std] * 4, mode="replicate")
    y = F.conv2d(F.conv2d(y, kernel[None, None, :, None]), kernel[None, None, None, :])
    blurred: npt.NDArray[np.float32] = y[:, 0].movedim(0, -1).numpy()
    return blurred
