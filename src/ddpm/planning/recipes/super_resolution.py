"""The recipe for super-resolution."""

from ddpm.planning.recipes.auto import auto
from ddpm.planning.recipes.recipe import Facts, Rung, Tree

SAMPLING: Tree = {"solver": "ancestral", "steps": 20, "grid": "trailing", "guidance": 1.0}
"""Fresh noise corrects errors of earlier steps; see docs/super-resolution.md."""


def super_resolution(facts: Facts) -> list[Rung]:
    """The networks of ``auto``, with the enlarged small image as further input channels (Saharia et al. 2021).

    Half of the labels are dropped, as small images mostly come without one. The noise on the condition reaches further
    than sampling needs, so that the best amount can be found after training (Ho et al. 2021, sec. 4.1).
    """
    return [_rung(rung) for rung in auto(facts)]


def _rung(rung: Rung) -> Rung:
    training = rung.tree["training"] | {"label_dropout": 0.5}
    return Rung(rung.needs, rung.tree | {"training": training, "sampling": SAMPLING, "upscaling": {"s_max": 0.5}})
