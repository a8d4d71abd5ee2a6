"""The training objective."""

from typing import Annotated, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from ddpm.config.options import Flag
from ddpm.system.names import (
    GammaWeightingName,
    HybridLossName,
    NormalLevelsName,
    PlainLevelsName,
    PlainLossName,
    PlainWeightingName,
)
from ddpm.system.record import Strict, bounds, finite
from ddpm.system.tree import Short


class PlainLoss(Strict):
    """The simple loss, or the variational bound."""

    name: PlainLossName


class HybridLoss(Strict):
    """The simple loss, and the bound for the variance alone (Nichol & Dhariwal 2021, eq. 16).

    Attributes:
        share: The weight of the bound; 0.001 if None.
    """

    name: HybridLossName
    share: Annotated[float | None, bounds(0, above=True)] = None


class PlainWeighting(Strict):
    """A weighting without options; "simple" leaves the network's error unweighted."""

    name: PlainWeightingName


class GammaWeighting(Strict):
    """A weighting with a parameter.

    Attributes:
        gamma: The parameter; if None, 5 for min-snr and 1 for p2.
    """

    name: GammaWeightingName
    gamma: Annotated[float | None, bounds(0, above=True)] = None


class PlainLevels(Strict):
    """A distribution of noise levels without options."""

    name: PlainLevelsName


class NormalLevels(Strict):
    """Noise levels whose logarithm, or logit, is normally distributed.

    Attributes:
        mean, std: The parameters; if None, -1.2 and 1.2 for log-normal, 0 and 1 for logit-normal.
    """

    name: NormalLevelsName
    mean: Annotated[float | None, AfterValidator(finite)] = None
    std: Annotated[float | None, bounds(0, above=True)] = None


class ObjectiveConfig(Strict):
    """The training objective."""

    loss: Annotated[
        PlainLoss | HybridLoss,
        Field(discriminator="name"),
        Short("name"),
        Flag("Loss: simple, vlb (the variational bound), or hybrid, where the bound trains only the learned variance."),
    ] = PlainLoss(name="simple")
    weighting: Annotated[
        PlainWeighting | GammaWeighting,
        Field(discriminator="name"),
        Short("name"),
        Flag("Weighting of the noise levels in the simple loss; simple leaves the network's error unweighted."),
    ] = PlainWeighting(name="simple")
    levels: Annotated[
        PlainLevels | NormalLevels,
        Field(discriminator="name"),
        Short("name"),
        Flag("Distribution of the noise levels of a training step."),
    ] = PlainLevels(name="uniform")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.loss.name == "vlb" and self.weighting.name != "simple":
            raise ValueError(
                f"weighting {self.weighting.name} has no effect with --loss vlb; use it with --loss simple or hybrid"
            )
        if self.loss.name == "vlb" and isinstance(self.levels, NormalLevels):
            raise ValueError(
                f"--levels {self.levels.name} would invalidate the variational bound of --loss vlb; "
                f"use {', '.join(get_args(PlainLevelsName))}"
            )
        return self

    @property
    def words(self) -> str:
        """A short description: "hybrid loss, min-snr weighting, importance levels"."""
        weighted = "" if self.weighting.name == "simple" else f", {self.weighting.name} weighting"
        return f"{self.loss.name} loss{weighted}, {self.levels.name} levels"
