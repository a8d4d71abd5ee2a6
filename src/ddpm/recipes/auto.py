"""The default recipe: the largest network that the budget can train."""

from ddpm.errors import InputError
from ddpm.recipes import Facts, Rung

FINEST = 32
"""Positions a side that the network works on at its finest level, at the most; above, pixels are grouped to patches."""

COARSEST = 16
"""Positions a side at the coarsest level, at the most."""

LADDER = (
    # width, patch at 32 x 32, learning rate, images needed
    (32, 2, 2e-3, 0),
    (64, 2, 2e-3, 60_000),
    (96, 2, 1e-3, 300_000),
    (128, 2, 8e-4, 800_000),
    (96, 1, 5e-4, 3_000_000),
    (128, 1, 4e-4, 8_000_000),
)


def auto(facts: Facts) -> list[Rung]:
    """Rungs for any size of image and any budget. The numbers come from the measurements in docs/recipe.md.

    Raises:
        InputError: a size that cannot be halved often enough.
    """
    return [_rung(facts, *row) for row in LADDER]


def _rung(facts: Facts, width: int, patch: int, rate: float, needs: int) -> Rung:
    longest, shortest = max(facts.size), min(facts.size)
    while longest / patch > FINEST:
        patch *= 2
    while patch > 1 and longest / patch < FINEST / 2:
        patch //= 2
    # halve while at least 4 positions are left and the sides still divide
    levels = 1
    while levels < 4 and shortest >= patch * 2**levels * 4 and _divides(facts.size, patch * 2**levels):
        levels += 1
    _check(facts.size, patch, levels)
    factors = [patch * 2**i for i in range(levels)]
    return Rung(
        needs,
        {
            "diffusion": {"schedule": "cosine", "prediction": "v"},
            "network": {
                "width": width,
                "multipliers": (1, 2, 2, 2)[:levels],
                "blocks": 2 if longest > 16 else 1,
                # where positions are few, from 16 a side down, at the two coarsest levels
                "attention": [f for f in factors[-2:] if longest / f <= COARSEST],
                "patch": patch,
            },
            "training": {"batch": 128, "learning_rate": rate},
            "sampling": {"solver": "ddim", "steps": 50, "grid": "trailing"},
        },
    )


def _divides(size: tuple[int, int], factor: int) -> bool:
    return all(n % factor == 0 for n in size)


def _check(size: tuple[int, int], patch: int, levels: int) -> None:
    coarsest = patch * 2 ** (levels - 1)
    if _divides(size, coarsest) and max(size) / coarsest <= COARSEST:
        return
    factor = patch
    while max(size) / factor > COARSEST:
        factor *= 2
    h, w = (max(1, round(n / factor)) * factor for n in size)
    raise InputError(
        f"images of {size[0]} × {size[1]} cannot be halved often enough; "
        f"the nearest size that can is {h} × {w}: --size {h}x{w}"
    )
