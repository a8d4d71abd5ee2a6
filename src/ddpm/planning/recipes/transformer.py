"""The transformers of the default recipe."""

from typing import NamedTuple

from ddpm.planning.recipes.recipe import Rung, Tree
from ddpm.system.errors import InputError
from ddpm.system.names import TransformerSizeName
from ddpm.system.ranges import nearest_multiple

TRANSFORMERS = ("dit", "plain-dit")
"""The kinds of networks with this ladder."""
MOST = 32
"""Maximum tokens per side; an oblong image may have as many in total as a square."""
LARGEST = 4
"""The side of the largest patches where ``MOST`` does not require larger ones: larger patches have more numbers than a
small network has channels, so noise cannot pass through it."""


class TransformerRow(NamedTuple):
    """One network of the ladder.

    Attributes:
        needs: training images from which it is preferred to the row above.
        size: its named size.
        positions: the tokens per side; larger images have larger patches, up to ``LARGEST``.
        least: the side of the smallest patches.
        batch, rate: images per step and the peak learning rate.
    """

    needs: int
    size: TransformerSizeName
    positions: int
    least: int
    batch: int
    rate: float


LADDER = (
    TransformerRow(0, "XXS", 8, 2, 64, 6e-3),
    TransformerRow(150_000, "XS", 8, 1, 64, 3e-3),
    TransformerRow(600_000, "XS", 16, 1, 128, 3e-3),
    TransformerRow(2_000_000, "S", 16, 1, 128, 2e-3),
    TransformerRow(20_000_000, "B", 16, 1, 256, 1e-3),
)


def transformer(size: tuple[int, int], kind: str) -> list[Rung]:
    """Rungs for any image size and budget, without sampling settings. docs/recipe.md says what was measured.

    Raises:
        InputError: patches small enough do not divide the size.
    """
    return [_rung(size, kind, row) for row in LADDER]


def _rung(size: tuple[int, int], kind: str, row: TransformerRow) -> Rung:
    network: Tree = {"kind": kind, "size": row.size, "patch": _patch(size, row.positions, row.least)}
    training: Tree = {"batch": row.batch, "learning_rate": row.rate, "label_dropout": 0.05, "optimizer": "muon"}
    return Rung(
        row.needs,
        {"diffusion": {"schedule": "cosine", "prediction": "v"}, "network": network, "training": training},
    )


def _patch(size: tuple[int, int], positions: int, least: int) -> int:
    """The side of the patches: a power of two that divides the size.

    The smallest from ``least`` on that leaves at most ``positions`` per side, or else the next smaller one that divides
    the size.
    """
    wanted, longest = least, max(size)
    while longest / wanted > (positions if wanted < LARGEST else MOST):
        wanted *= 2
    patch = wanted
    while any(n % patch for n in size):
        patch //= 2
    if size[0] * size[1] > (MOST * patch) ** 2:
        height, width = (nearest_multiple(n, wanted) for n in size)
        raise InputError(
            "invalid",
            f"images of {size[0]} × {size[1]} cannot be divided into few enough patches; "
            f"use --size {height}x{width}, the nearest size that can",
        )
    return patch
