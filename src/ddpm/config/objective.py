"""What training makes small."""

import math
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
from ddpm.system.record import Strict, bounds
from ddpm.system.tree import Short


class PlainLoss(Strict):
    """The simple loss, or the variational bound."""

    name: PlainLossName


class HybridLoss(Strict):
    """The simple loss, and the bound for the variance alone (Nichol & Dhariwal 2021, eq. 16).

    Attributes:
        share: of the bound; 0.001 if None.
    """

    name: HybridLossName
    share: Annotated[float | None, bounds(0, above=True)] = None


class PlainWeighting(Strict):
    """A weighting without options; "simple" takes the network's error as it is."""

    name: PlainWeightingName


class GammaWeighting(Strict):
    """A weighting with a parameter.

    Attributes:
        gamma: 5 for min-snr and 1 for p2 if None.
    """

    name: GammaWeightingName
    gamma: Annotated[float | None, bounds(0, above=True)] = None


class PlainLevels(Strict):
    """Levels drawn without options."""

    name: PlainLevelsName


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"must be finite, not {value}")
    return value


class NormalLevels(Strict):
    """Levels whose logarithm, or logit, is normal.

    Attributes:
        mean, std: -1.2 and 1.2 for log-normal, 0 and 1 for logit-normal if None.
    """

    name: NormalLevelsName
    mean: Annotated[float | None, AfterValidator(_finite)] = None
    std: Annotated[float | None, bounds(0, above=True)] = None


class ObjectiveConfig(Strict):
    """What training makes small.

    Attributes:
        loss: the simple loss, the variational bound, or both, the bound for the variance alone.
        weighting: of the levels in the simple loss.
        levels: how the levels of a step are drawn.
    """

    loss: Annotated[
        PlainLoss | HybridLoss,
        Field(discriminator="name"),
        Short("name"),
        Flag("The simple loss, the variational bound, or both, the bound for a learned variance alone."),
    ] = PlainLoss(name="simple")
    weighting: Annotated[
        PlainWeighting | GammaWeighting,
        Field(discriminator="name"),
        Short("name"),
        Flag("Of the levels in the simple loss; simple takes the network's error as it is."),
    ] = PlainWeighting(name="simple")
    levels: Annotated[
        PlainLevels | NormalLevels,
        Field(discriminator="name"),
        Short("name"),
        Flag("How a step's levels are drawn."),
    ] = PlainLevels(name="uniform")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.loss.name == "vlb" and self.weighting.name != "simple":
            raise ValueError(
                f"the bound weighs its levels itself: weighting {self.weighting.name} belongs to simple or hybrid"
            )
        if self.loss.name == "vlb" and isinstance(self.levels, NormalLevels):
            raise ValueError(
                f"{self.levels.name} levels would give the bound other weights, and it would bound nothing; "
                f"use {' or '.join(get_args(PlainLevelsName))}"
            )
        return self

    @property
    def words(self) -> str:
        """As people say it: "hybrid loss, min-snr weighting, importance levels"."""
        weighted = "" if self.weighting.name == "simple" else f", {self.weighting.name} weighting"
        return f"{self.loss.name} loss{weighted}, {self.levels.name} levels"
