"""From small images to large ones."""

from ddpm.planning.recipes.auto import auto
from ddpm.planning.recipes.recipe import Facts, Rung, Tree

SAMPLING: Tree = {"solver": "ancestral", "steps": 20, "grid": "trailing", "guidance": 1.0}
"""Fresh noise mends what the steps before got wrong: see docs/super-resolution.md."""


def super_resolution(facts: Facts) -> list[Rung]:
    """The networks of ``auto``, which see the small image enlarged beside x (Saharia et al. 2021).

    Half of the labels are hidden, as a small image comes without one more often than not. The noise on the condition
    reaches further than is good to sample with, so that how much is best can be found afterwards (Ho et al. 2021,
    sec. 4.1).
    """
    return [_rung(rung) for rung in auto(facts)]


def _rung(rung: Rung) -> Rung:
    training = rung.tree["training"] | {"label_dropout": 0.5}
    return Rung(rung.needs, rung.tree | {"training": training, "sampling": SAMPLING, "upscaling": {"s_max": 0.5}})
