"""The forward process, and how the network is asked."""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator

from ddpm.config.options import Flag
from ddpm.system.names import PredictionName, ScheduleName, VarianceName
from ddpm.system.record import Strict, bounds

UNBOUNDED = {"ve": 0.01, "edm": 0.002}
"""Schedules that add noise and leave the signal as it is, and the least noise of each."""
CONTINUOUS = ("vp", "sub-vp", "flow")
"""The others in continuous time."""


class DiffusionConfig(Strict):
    """The forward process, and what the network says of it.

    Attributes:
        schedule: noise schedule; "custom" for the betas.
        T: number of noise levels; of a process in continuous time, those that grids and the bound count in.
        betas: of the custom schedule, T of them, cleanest first.
        sigma_max: the most noise of ve and edm, 50 and 80 if None.
        zero_terminal_snr: whether the last level is made pure noise.
        time_scale: what t is multiplied by before the network is fed it; 1000 / T is ``rescale_timesteps`` of the
            improved and guided diffusion codes.
        prediction: what the network estimates.
        variance: of a reverse step: one of its two bounds, or between them as the network says.
        sigma_data: standard deviation of the data as EDM's formulas take it; 0.5 if None.
    """

    schedule: Annotated[
        Literal[ScheduleName, "custom"],
        Flag(f"Noise schedule; in continuous time {', '.join((*CONTINUOUS, *UNBOUNDED))}."),
    ] = "cosine"
    T: int = 1000
    betas: tuple[float, ...] | None = None
    sigma_max: Annotated[
        float | None,
        Flag("Of the schedules ve and edm: standard deviation of the most noise; 50 and 80 if not given."),
    ] = None
    zero_terminal_snr: bool = False
    time_scale: Annotated[float, bounds(0, above=True)] = 1.0
    prediction: Annotated[PredictionName, Flag("What the network estimates.")] = "v"
    variance: Annotated[VarianceName, Flag("Of a reverse step: one of its two bounds, or learned.")] = "small"
    sigma_data: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _counts(cls, given: Any) -> Any:
        """Betas say how many levels there are."""
        if isinstance(given, dict) and "T" not in given and isinstance(given.get("betas"), list | tuple):
            return {**given, "T": len(given["betas"])}
        return given

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.T < 1:
            raise ValueError(f"T must be at least 1, not {self.T}")
        if self.zero_terminal_snr and self.schedule in (*UNBOUNDED, *CONTINUOUS):
            raise ValueError(f"zero_terminal_snr reshapes a schedule of betas; {self.schedule} has none")
        ends_in_noise = self.schedule == "flow" or (self.betas is not None and self.betas[-1:] == (1.0,))
        if self.prediction == "eps" and (self.zero_terminal_snr or ends_in_noise):
            what = "zero_terminal_snr" if self.zero_terminal_snr else f"the {self.schedule} schedule"
            raise ValueError(
                f"eps prediction says nothing of the image where there is only noise, as at the last level of {what}; "
                "use v or x0"
            )
        if self.sigma_data is not None and not 0 < self.sigma_data < math.inf:
            raise ValueError(f"sigma_data must be above 0 and finite, not {self.sigma_data}")
        return self

    @model_validator(mode="after")
    def _shapes_its_schedule(self) -> Self:
        if self.betas is None:
            if self.schedule == "custom":
                raise ValueError("the custom schedule is made of betas, and there are none; give them by --betas")
        elif self.schedule != "custom":
            raise ValueError(f"betas make the custom schedule, not {self.schedule}; set the schedule to custom")
        elif len(self.betas) != self.T:
            raise ValueError(f"T is {self.T}, and there are {len(self.betas)} betas; leave T out, or give as many")
        else:
            _check_betas(self.betas)
        if self.sigma_max is not None:
            if self.schedule not in UNBOUNDED:
                raise ValueError(f"sigma_max is of the schedules {' and '.join(UNBOUNDED)}, not of {self.schedule}")
            least = UNBOUNDED[self.schedule]
            if not least < self.sigma_max < math.inf:
                raise ValueError(
                    f"sigma_max must be above {least:g}, the least noise, and finite, not {self.sigma_max}"
                )
        return self

    @property
    def scales_input(self) -> bool:
        """Whether the network's input is brought to variance 1: where x grows with the noise, and as part of EDM."""
        return self.prediction == "edm" or self.schedule in UNBOUNDED


def _check_betas(betas: tuple[float, ...]) -> None:
    if not betas:
        raise ValueError("there are no betas; give at least one")
    alpha_bar = [1.0]
    for i, beta in enumerate(betas, 1):
        if not (0 < beta < 1 or (beta == 1 and i == len(betas))):
            raise ValueError(
                f"beta {i} of {len(betas)} is {beta}; every beta must be above 0 and below 1, but the last may be 1"
            )
        alpha_bar.append(alpha_bar[-1] * (1 - beta))
    if any(later == before for before, later in pairwise(alpha_bar)):
        raise ValueError("the betas make levels that float64 cannot tell apart; give larger or fewer ones")
