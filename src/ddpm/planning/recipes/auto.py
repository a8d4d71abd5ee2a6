"""The default recipe: the largest network that the budget can train."""

from ddpm.planning.recipes.recipe import Rung
from ddpm.system.errors import InputError

FINEST = 32
"""Maximum positions per side at the network's finest level; larger images are divided into patches."""
COARSEST = 16
"""Maximum positions per side at the coarsest level; an oblong image may have as many in total as a square."""


LADDER = (
    # training images from which it beats the row above, width, patch for sides of 32, blocks, batch, learning rate
    (0, 32, 2, 1, 64, 3e-3),
    (60_000, 48, 2, 1, 64, 3e-3),
    (120_000, 64, 2, 1, 64, 1.5e-3),
    (600_000, 96, 2, 2, 128, 1e-3),
    (1_500_000, 128, 2, 2, 128, 8e-4),
    (4_000_000, 96, 1, 2, 128, 5e-4),
    (8_000_000, 128, 1, 2, 128, 4e-4),
)


def auto(size: tuple[int, int], labelled: bool) -> list[Rung]:
    """Rungs for any image size and budget. The numbers come from the measurements in docs/recipe.md.

    Raises:
        InputError: the size cannot be halved often enough.
    """
    return [_rung(size, labelled, *row) for row in LADDER]


def _rung(
    size: tuple[int, int], labelled: bool, needs: int, width: int, patch: int, blocks: int, batch: int, rate: float
) -> Rung:
    longest, shortest = max(size), min(size)
    while longest / patch > FINEST:
        patch *= 2
    while patch > 1 and longest / patch < FINEST / 2:
        patch //= 2
    # halve while at least 4 positions remain and the sides are divisible
    levels = 1
    while levels < 4 and shortest >= patch * 2**levels * 4 and _divides(size, patch * 2**levels):
        levels += 1
    factors = [patch * 2**i for i in range(levels)]
    if not _fits(size, factors[-1]):
        raise InputError("invalid", _refusal(size, patch))
    return Rung(
        needs,
        {
            "diffusion": {"schedule": "cosine", "prediction": "v"},
            "network": {
                "width": width,
                "multipliers": (1, 2, 2, 2)[:levels],
                "blocks": blocks,
                # at the two coarsest levels, where positions are few; at the finest only if it is the only one
                "attention": factors[1:][-2:] or factors,
                "patch": patch,
            },
            "training": {"batch": batch, "learning_rate": rate, "label_dropout": 0.05},
            "sampling": {"guidance": (1.15 if longest <= 16 else 1.5) if labelled else 1.0},
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
        f"use --size {nearest[0]}x{nearest[1]}, the nearest size that can"
    )
