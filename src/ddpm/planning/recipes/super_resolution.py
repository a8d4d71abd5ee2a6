"""The recipe for super-resolution."""

from ddpm.planning.recipes.auto import auto
from ddpm.planning.recipes.recipe import Rung, Tree

SAMPLING: Tree = {"solver": "ancestral", "steps": 20, "grid": "trailing", "guidance": 1.0}
"""Fresh noise corrects errors of earlier steps; see docs/super-resolution.md."""


def super_resolution(size: tuple[int, int], labelled: bool, network: str = "unet") -> list[Rung]:
    """The networks of ``auto``, with the enlarged small image as further input channels (Saharia et al. 2021).

    Half of the labels are dropped, because small images mostly come without one. The noise on the condition reaches
    further than sampling needs, so that the best amount can be found after training (Ho et al. 2021, sec. 4.1).
    """
    own: Tree = {"sampling": SAMPLING, "upscaling": {"s_max": 0.5}}
    return [
        Rung(needs, tree | own | {"training": tree["training"] | {"label_dropout": 0.5}})
        for needs, tree in auto(size, labelled, network)
    ]
