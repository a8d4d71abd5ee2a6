"""lucidrains' U-Net in the default recipe."""

from ddpm.planning.recipes.plain_unet import LADDER, levels_of
from ddpm.planning.recipes.recipe import Rung

LUCIDRAINS_UNET = "lucidrains-unet"
"""The kind of network with this ladder."""


def lucidrains_unet(size: tuple[int, int]) -> list[Rung]:
    """The rungs of the published U-Nets with this network. Nothing about them was measured.

    Raises:
        InputError: the size cannot be halved often enough.
    """
    multipliers = tuple(2 ** min(i, 3) for i in range(levels_of(size)))
    return [
        Rung(
            row.needs,
            {
                "diffusion": {"schedule": "sigmoid", "prediction": "v"},
                "network": {"kind": LUCIDRAINS_UNET, "width": row.width, "multipliers": multipliers},
                "training": {"batch": row.batch, "learning_rate": row.rate, "label_dropout": 0.05},
            },
        )
        for row in LADDER
    ]
