"""The forward process, and how the network is asked."""

import math
from typing import Annotated, Self

from pydantic import model_validator

from ddpm.config.options import Flag
from ddpm.system.names import PredictionName, ScheduleName, VarianceName
from ddpm.system.record import Strict

UNBOUNDED = ("ve", "edm")
"""Schedules that add noise and leave the signal as it is."""
CONTINUOUS = ("vp", "sub-vp", "flow")
"""The others in continuous time."""


class DiffusionConfig(Strict):
    """The forward process, and what the network says of it.

    Attributes:
        schedule: noise schedule.
        T: number of noise levels; of a process in continuous time, those that grids and the bound count in.
        zero_terminal_snr: whether the last level is made pure noise.
        prediction: what the network estimates.
        variance: of a reverse step: one of its two bounds, or between them as the network says.
        sigma_data: standard deviation of the data as EDM's formulas take it; 0.5 if None.
    """

    schedule: Annotated[
        ScheduleName, Flag(f"Noise schedule; in continuous time {', '.join(CONTINUOUS + UNBOUNDED)}.")
    ] = "cosine"
    T: int = 1000
    zero_terminal_snr: bool = False
    prediction: Annotated[PredictionName, Flag("What the network estimates.")] = "v"
    variance: Annotated[VarianceName, Flag("Of a reverse step: one of its two bounds, or learned.")] = "small"
    sigma_data: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.T < 1:
            raise ValueError(f"T must be at least 1, not {self.T}")
        if self.zero_terminal_snr and self.schedule in UNBOUNDED + CONTINUOUS:
            raise ValueError(f"zero_terminal_snr reshapes a schedule of betas; {self.schedule} has none")
        if self.prediction == "eps" and (self.zero_terminal_snr or self.schedule == "flow"):
            what = "zero_terminal_snr" if self.zero_terminal_snr else "the flow schedule"
            raise ValueError(
                f"eps prediction says nothing of the image where there is only noise, as at the last level of {what}; "
                "use v or x0"
            )
        if self.sigma_data is not None and not 0 < self.sigma_data < math.inf:
            raise ValueError(f"sigma_data must be above 0 and finite, not {self.sigma_data}")
        return self

    @property
    def scales_input(self) -> bool:
        """Whether the network's input is brought to variance 1: where x grows with the noise, and as part of EDM."""
        return self.prediction == "edm" or self.schedule in UNBOUNDED
