"""The recipe of an autoencoder: the largest network that the budget can train."""

from typing import NamedTuple

from ddpm.planning.recipes.recipe import Rung, Tree
from ddpm.system.errors import InputError

FINE, COARSE = 4, 8
"""The factors of smaller images, and of images of at least ``LARGE`` pixels on their longest side."""
LARGE = 256
FEW, MANY = 4, 8
"""The channels of the latents at factors up to ``FINE``, and above."""
LEAST = 4
"""The fewest positions of the latents per side."""


class AutoencoderRow(NamedTuple):
    """One autoencoder of the ladder.

    Attributes:
        needs: training images, of 64 × 64 pixels, from which it is preferred to the row above.
        width: channels at the finest level.
        patch: the side of the patches at the finest level.
        blocks: residual blocks per level.
        batch, rate: images per step and the peak learning rate of Muon.
        light: whether it consists of cheap parts; else it is the network of Rombach et al. 2022.
    """

    needs: int
    width: int
    patch: int
    blocks: int
    batch: int
    rate: float
    light: bool


LADDER = (
    AutoencoderRow(0, 32, 2, 1, 16, 3e-3, True),
    AutoencoderRow(400_000, 64, 2, 1, 16, 3e-3, True),
    AutoencoderRow(2_000_000, 96, 2, 2, 32, 2e-3, True),
    AutoencoderRow(6_000_000, 128, 1, 2, 32, 1e-3, False),
)


def autoencoder(size: tuple[int, int], factor: int | None = None) -> list[Rung]:
    """Rungs for any image size and budget. docs/autoencoder.md says which numbers were measured.

    Args:
        factor: the side, in pixels, of one position of the latents; 4, or 8 for large images, if None.

    Raises:
        InputError: the images are too small.
    """
    factor = factor or (COARSE if max(size) >= LARGE and min(size) >= LEAST * COARSE else FINE)
    least = LEAST * factor
    if min(size) < least:
        h, w = size
        raise InputError(
            "invalid",
            f"images of {h} × {w} are too small for an autoencoder with --factor {factor}; use images of at least "
            f"{least} × {least}, or drop --recipe autoencoder to train on pixels",
        )
    return [_rung(size, factor, row) for row in LADDER]


def _rung(size: tuple[int, int], factor: int, row: AutoencoderRow) -> Rung:
    levels = (factor // row.patch).bit_length()
    network: Tree = {
        "channels": FEW if factor <= FINE else MANY,
        "width": row.width,
        "multipliers": ((1, 2, 2, 2) if row.light else (1, 2, 4, 4, 4))[:levels],
        "blocks": row.blocks,
        "patch": row.patch,
        "attention": not row.light,
        "norm": "layer" if row.light else "group",
    }
    training: Tree = {"batch": row.batch, "learning_rate": row.rate, "optimizer": "muon", "ema": 0.999}
    return Rung(row.needs * 64**2 // (size[0] * size[1]), {"network": network, "training": training})
