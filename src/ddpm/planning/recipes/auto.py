"""The default recipe: the largest network that the budget can train."""

from typing import NamedTuple

from ddpm.planning.recipes.lucidrains_unet import LUCIDRAINS_UNET, lucidrains_unet
from ddpm.planning.recipes.plain_unet import PLAIN_UNET, plain_unet
from ddpm.planning.recipes.recipe import Rung, Tree
from ddpm.planning.recipes.sizes import divides, fits, refuse
from ddpm.planning.recipes.transformer import TRANSFORMERS, transformer

LIGHT: Tree = {"norm": "layer", "upsample": "linear", "skips": "blocks"}
"""Parts of a U-Net that are cheap on a CPU."""
STEM = 8
"""Channels of the convolutions of pixels if patches are larger than 2 × 2."""


class LadderRow(NamedTuple):
    """One network of the ladder.

    Attributes:
        needs: training images from which it is preferred to the row above.
        width: channels at the finest level.
        positions: maximum positions per side at the finest level; larger images are divided into patches.
        blocks: residual blocks per level.
        batch, rate: images per step and the peak learning rate.
        light: whether it consists of cheap parts and is trained by Muon at logit-normal levels; else it is close to the
            network of Ho et al. 2020, and trained by AdamW at uniform levels.
    """

    needs: int
    width: int
    positions: int
    blocks: int
    batch: int
    rate: float
    light: bool


LADDER = (
    LadderRow(0, 32, 20, 1, 64, 6e-3, True),
    LadderRow(60_000, 48, 20, 1, 64, 6e-3, True),
    LadderRow(150_000, 64, 20, 1, 64, 3e-3, True),
    LadderRow(600_000, 96, 20, 2, 128, 3e-3, True),
    LadderRow(1_500_000, 128, 20, 2, 128, 3e-3, True),
    LadderRow(4_000_000, 96, 40, 2, 128, 5e-4, False),
    LadderRow(8_000_000, 128, 40, 2, 128, 4e-4, False),
)


def auto(size: tuple[int, int], labelled: bool, network: str = "unet") -> list[Rung]:
    """Rungs for any image size and budget. docs/recipe.md says which numbers were measured.

    Raises:
        InputError: the size cannot be halved often enough.
    """
    sampling: Tree = {"guidance": (1.15 if max(size) <= 16 else 1.5) if labelled else 1.0}
    if network in TRANSFORMERS:
        rungs = transformer(size, network)
    elif network == LUCIDRAINS_UNET:
        rungs = lucidrains_unet(size)
    else:
        rungs = plain_unet(size) if network == PLAIN_UNET else [_rung(size, row) for row in LADDER]
    return [Rung(needs, tree | {"sampling": sampling}) for needs, tree in rungs]


def _rung(size: tuple[int, int], row: LadderRow) -> Rung:
    longest, patch = max(size), 1
    while longest / patch > row.positions:
        patch *= 2
    factors = _factors(size, patch)
    while patch > 1 and not fits(size, factors[-1]):  # smaller patches rather than another size
        patch //= 2
        factors = _factors(size, patch)
    if not fits(size, factors[-1]):
        refuse(size)
    network: Tree = {
        "width": row.width,
        "multipliers": (1, 2, 2, 2)[: len(factors)],
        "blocks": row.blocks,
        # at the two coarsest levels, where positions are few; at the finest only if it is the only one
        "attention": factors[1:][-2:] or factors,
        "patch": patch,
    }
    training: Tree = {"batch": row.batch, "learning_rate": row.rate, "label_dropout": 0.05}
    levels = "uniform"
    if row.light:
        network |= LIGHT | {"attention": factors[-1:], "stem": STEM if patch > 2 else 0}
        training["optimizer"], levels = "muon", "logit-normal"
    return Rung(
        row.needs,
        {
            "diffusion": {"schedule": "cosine", "prediction": "v"},
            "objective": {"levels": {"name": levels}},
            "network": network,
            "training": training,
        },
    )


def _factors(size: tuple[int, int], patch: int) -> list[int]:
    """The downsampling factors of the levels: halved while at least 4 positions remain and the sides are divisible."""
    factors = [patch]
    while len(factors) < 4 and min(size) >= factors[-1] * 8 and divides(size, factors[-1] * 2):
        factors.append(factors[-1] * 2)
    return factors
