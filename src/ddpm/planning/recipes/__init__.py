"""Recipes by name."""

from ddpm.planning.recipes.auto import auto
from ddpm.planning.recipes.ho2020 import ho2020
from ddpm.planning.recipes.nichol2021 import nichol2021
from ddpm.planning.recipes.recipe import Recipe, Rung, Tree
from ddpm.planning.recipes.super_resolution import super_resolution
from ddpm.system.names import AutoencoderName

RECIPES: dict[str, Recipe] = {
    "auto": auto,
    "ho2020": ho2020,
    "nichol2021": nichol2021,
    "super-resolution": super_resolution,
}
"""The recipes of diffusion models."""
AUTOENCODER: AutoencoderName = "autoencoder"
"""The recipe in ``planning.recipes.autoencoder``, whose runs have another config."""

__all__ = ["AUTOENCODER", "RECIPES", "Recipe", "Rung", "Tree"]
