"""The published U-Nets of the default recipe."""

from typing import NamedTuple

from ddpm.planning.recipes.recipe import Rung
from ddpm.planning.recipes.sizes import divides, fits, refuse

PLAIN_UNET = "plain-unet"
"""The kind of network with this ladder."""
USUAL = 3
"""The number of levels where the size allows it."""


class PlainUNetRow(NamedTuple):
    """One network of the ladder.

    Attributes:
        needs: training images from which it is preferred to the row above.
        width: channels at the finest level.
        blocks: residual blocks per level.
        batch, rate: images per step and the peak learning rate.
    """

    needs: int
    width: int
    blocks: int
    batch: int
    rate: float


LADDER = (
    PlainUNetRow(0, 32, 1, 64, 1e-3),
    PlainUNetRow(600_000, 64, 2, 128, 5e-4),
    PlainUNetRow(4_000_000, 96, 2, 128, 5e-4),
    PlainUNetRow(8_000_000, 128, 2, 128, 4e-4),
)


def plain_unet(size: tuple[int, int]) -> list[Rung]:
    """Rungs for any image size and budget, without sampling settings. Nothing about them was measured.

    Raises:
        InputError: the size cannot be halved often enough.
    """
    levels = levels_of(size)
    multipliers = (1, *[2] * (levels - 1))
    attention = ["self" if i and i >= levels - 2 else "none" for i in range(levels)]
    return [
        Rung(
            row.needs,
            {
                "diffusion": {"schedule": "cosine", "prediction": "v"},
                "network": {
                    "kind": PLAIN_UNET,
                    "width": row.width,
                    "multipliers": multipliers,
                    "blocks": (row.blocks,),
                    "attention": attention,
                    "norm_groups": row.width // 4,
                },
                "training": {"batch": row.batch, "learning_rate": row.rate, "label_dropout": 0.05},
            },
        )
        for row in LADDER
    ]


def levels_of(size: tuple[int, int]) -> int:
    """The number of levels: ``USUAL``, or more where the coarsest would have too many positions.

    Raises:
        InputError: the size cannot be halved often enough.
    """
    factor, levels = 1, 1
    while min(size) >= 8 * factor and divides(size, 2 * factor) and (levels < USUAL or not fits(size, factor)):
        factor, levels = 2 * factor, levels + 1
    if not fits(size, factor):
        refuse(size)
    return levels
