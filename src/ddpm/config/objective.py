"""What training makes small."""

import math
from typing import Self

from pydantic import model_validator

from ddpm.system.names import LevelSamplingName, LossName, WeightingName
from ddpm.system.record import Strict


class ObjectiveConfig(Strict):
    """What training makes small.

    Attributes:
        loss: the simple loss, the variational bound, or both, the bound for the variance alone.
        weighting: of the levels in the simple loss; "simple" takes the network's error as it is.
        gamma: of min-snr (5 if None) and p2 (1 if None).
        levels: how the levels of a step are drawn.
        mean, std: of log-normal's logarithm (-1.2 and 1.2 if None), or logit-normal's logit (0 and 1).
        share: of the bound in the hybrid loss; 0.001 if None.
    """

    loss: LossName = "simple"
    weighting: WeightingName = "simple"
    gamma: float | None = None
    levels: LevelSamplingName = "uniform"
    mean: float | None = None
    std: float | None = None
    share: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.gamma is not None and self.weighting not in ("min-snr", "p2"):
            raise ValueError(f"gamma is an option of the weightings min-snr and p2, not of {self.weighting}")
        for name in ("mean", "std"):
            if getattr(self, name) is not None and self.levels not in ("log-normal", "logit-normal"):
                raise ValueError(f"{name} is an option of log-normal and logit-normal levels, not of {self.levels}")
        for name in ("gamma", "std"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        if self.mean is not None and not math.isfinite(self.mean):
            raise ValueError(f"mean must be finite, not {self.mean}")
        if self.share is not None and self.loss != "hybrid":
            raise ValueError(f"share is an option of the hybrid loss, not of {self.loss}")
        if self.share is not None and not 0 < self.share < math.inf:
            raise ValueError(f"share must be above 0 and finite, not {self.share}")
        if self.loss == "vlb" and self.weighting != "simple":
            raise ValueError(
                f"the bound weighs its levels itself: weighting {self.weighting} belongs to simple or hybrid"
            )
        if self.loss == "vlb" and self.levels in ("log-normal", "logit-normal"):
            raise ValueError(
                f"{self.levels} levels would give the bound other weights, and it would bound nothing; "
                "use uniform, stratified or importance"
            )
        return self

    @property
    def words(self) -> str:
        """As people say it: "hybrid loss, min-snr weighting, importance levels"."""
        weighted = "" if self.weighting == "simple" else f", {self.weighting} weighting"
        return f"{self.loss} loss{weighted}, {self.levels} levels"
