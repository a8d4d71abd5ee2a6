"""The default recipe: the largest network that the budget can train."""

from typing import NamedTuple

from ddpm.planning.recipes.recipe import Facts, Rung
from ddpm.system.errors import InputError

FINEST = 32
"""Positions a side that the network works on at its finest level, at the most; above, pixels are grouped to patches."""
COARSEST = 16
"""Positions a side at the coarsest level, at the most; of an oblong image, as many in all as a square has then."""


class NetworkSize(NamedTuple):
    """One network of the ladder, for images of 32 a side.

    Attributes:
        needs: images that it has to see to be worth its cost.
        patch: pixels a side of a patch; fewer where images are smaller, more where they are larger.
        rate: peak learning rate.
    """

    needs: int
    width: int
    patch: int
    blocks: int
    batch: int
    rate: float


LADDER = (
    NetworkSize(0, 32, 2, 1, 64, 3e-3),
    NetworkSize(60_000, 48, 2, 1, 64, 3e-3),
    NetworkSize(120_000, 64, 2, 1, 64, 1.5e-3),
    NetworkSize(600_000, 96, 2, 2, 128, 1e-3),
    NetworkSize(1_500_000, 128, 2, 2, 128, 8e-4),
    NetworkSize(4_000_000, 96, 1, 2, 128, 5e-4),
    NetworkSize(8_000_000, 128, 1, 2, 128, 4e-4),
)


def auto(facts: Facts) -> list[Rung]:
    """Rungs for any size of image and any budget. The numbers come from the measurements in docs/recipe.md.

    Raises:
        InputError: a size that cannot be halved often enough.
    """
    return [_rung(facts, row) for row in LADDER]


def _rung(facts: Facts, row: NetworkSize) -> Rung:
    longest, shortest = max(facts.size), min(facts.size)
    small = longest <= 16
    patch = row.patch
    while longest / patch > FINEST:
        patch *= 2
    while patch > 1 and longest / patch < FINEST / 2:
        patch //= 2
    # halve while at least 4 positions are left and the sides still divide
    levels = 1
    while levels < 4 and shortest >= patch * 2**levels * 4 and _divides(facts.size, patch * 2**levels):
        levels += 1
    factors = [patch * 2**i for i in range(levels)]
    if not _fits(facts.size, factors[-1]):
        raise InputError("invalid", _refusal(facts.size, patch))
    return Rung(
        row.needs,
        {
            "diffusion": {"schedule": "cosine", "prediction": "v"},
            "network": {
                "width": row.width,
                "multipliers": (1, 2, 2, 2)[:levels],
                "blocks": row.blocks,
                # where positions are few: at the two coarsest levels, and the finest only if there is no other
                "attention": factors[1:][-2:] or factors,
                "patch": patch,
            },
            "training": {"batch": row.batch, "learning_rate": row.rate, "label_dropout": 0.05},
            "sampling": {"guidance": (1.15 if small else 1.5) if facts.classes else 1.0},
        },
    )


def _divides(size: tuple[int, int], factor: int) -> bool:
    return all(n % factor == 0 for n in size)


def _fits(size: tuple[int, int], coarsest: int) -> bool:
    return _divides(size, coarsest) and size[0] * size[1] <= (COARSEST * coarsest) ** 2


def _refusal(size: tuple[int, int], patch: int) -> str:
    factor = patch
    nearest = size
    while not _fits(nearest, factor):
        factor *= 2
        h, w = (max(1, round(n / factor)) * factor for n in size)
        nearest = h, w
    return (
        f"images of {size[0]} × {size[1]} cannot be halved often enough; "
        f"the nearest size that can is {nearest[0]} × {nearest[1]}: --size {nearest[0]}x{nearest[1]}"
    )
