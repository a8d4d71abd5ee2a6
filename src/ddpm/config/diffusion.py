"""The forward process, and the parameterisation of the network."""

import math
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator

from ddpm.config.options import Flag
from ddpm.system.limits import MOST_TIMESTEPS
from ddpm.system.names import PredictionName, ScheduleName, VarianceName
from ddpm.system.record import Strict, at_most, bounds

UNBOUNDED = {"ve": 0.01, "edm": 0.002}
"""Schedules that add noise without scaling the signal, and the least noise of each."""
CONTINUOUS = ("vp", "sub-vp", "flow")
"""The other schedules in continuous time."""


class DiffusionConfig(Strict):
    """The forward process, and the parameterisation of the network.

    Attributes:
        schedule: The noise schedule; "custom" uses ``betas``.
        T: The number of noise levels; in continuous time, those that grids and the bound use.
        betas: The T betas of the custom schedule, cleanest first.
        sigma_max: The largest noise level of ve and edm; 50 and 80 if None.
        zero_terminal_snr: Whether to rescale the last level to pure noise.
        time_scale: The factor applied to t before it is fed to the network; 1000 / T is ``rescale_timesteps`` of the
            improved and guided diffusion codes.
        prediction: The quantity that the network estimates.
        variance: The variance of a reverse step: one of its two bounds, or learned by the network between them.
        sigma_data: The standard deviation of the data in EDM's formulas; 0.5 if None.
    """

    schedule: Annotated[
        Literal[ScheduleName, "custom"],
        Flag(f"Noise schedule; {', '.join((*CONTINUOUS, *UNBOUNDED))} are in continuous time.", kind=ScheduleName),
    ] = "cosine"
    T: Annotated[int, bounds(1), at_most(MOST_TIMESTEPS)] = 1000
    betas: tuple[float, ...] | None = None
    sigma_max: Annotated[
        float | None,
        Flag("Standard deviation of the largest noise level of the ve and edm schedules; by default 50 and 80."),
    ] = None
    zero_terminal_snr: bool = False
    time_scale: Annotated[float, bounds(0, above=True)] = 1.0
    prediction: Annotated[PredictionName, Flag("Quantity that the network predicts.")] = "v"
    variance: Annotated[VarianceName, Flag("Variance of a reverse step: its lower or upper bound, or learned.")] = (
        "small"
    )
    sigma_data: Annotated[float | None, bounds(0, above=True)] = None

    @model_validator(mode="before")
    @classmethod
    def _counts(cls, given: Any) -> Any:
        """T follows from the number of betas."""
        if isinstance(given, dict) and "T" not in given and isinstance(given.get("betas"), list | tuple):
            return {**given, "T": len(given["betas"])}
        return given

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.zero_terminal_snr and self.schedule in (*UNBOUNDED, *CONTINUOUS):
            raise ValueError(
                f"zero_terminal_snr rescales a schedule of betas, and {self.schedule} has none; leave it out"
            )
        ends_in_noise = self.schedule == "flow" or (self.betas is not None and self.betas[-1:] == (1.0,))
        if self.prediction == "eps" and (self.zero_terminal_snr or ends_in_noise):
            what = "zero_terminal_snr" if self.zero_terminal_snr else f"the {self.schedule} schedule"
            raise ValueError(f"eps prediction is undefined at pure noise, as at the last level of {what}; use v or x0")
        return self

    @model_validator(mode="after")
    def _shapes_its_schedule(self) -> Self:
        if self.betas is None:
            if self.schedule == "custom":
                raise ValueError("the custom schedule requires betas; add --betas")
        elif self.schedule != "custom":
            raise ValueError(f"betas require the custom schedule, not {self.schedule}; set the schedule to custom")
        elif len(self.betas) != self.T:
            raise ValueError(f"T is {self.T}, but there are {len(self.betas)} betas; leave T out or make them equal")
        else:
            _check_betas(self.betas)
        if self.sigma_max is not None:
            if self.schedule not in UNBOUNDED:
                raise ValueError(
                    f"sigma_max is an option of the {' and '.join(UNBOUNDED)} schedules, not of {self.schedule}"
                )
            least = UNBOUNDED[self.schedule]
            if not least < self.sigma_max < math.inf:
                raise ValueError(
                    f"sigma_max must be above {least:g}, the least noise, and finite, not {self.sigma_max}"
                )
        return self

    @property
    def scales_input(self) -> bool:
        """Whether the network's input is scaled to variance 1: where x grows with the noise, and as part of EDM."""
        return self.prediction == "edm" or self.schedule in UNBOUNDED


def _check_betas(betas: tuple[float, ...]) -> None:
    if not betas:
        raise ValueError("betas is empty; add at least one")
    alpha_bar = [1.0]
    for i, beta in enumerate(betas, 1):
        if not (0 < beta < 1 or (beta == 1 and i == len(betas))):
            raise ValueError(
                f"beta {i} of {len(betas)} is {beta}; each must be above 0 and below 1, except that the last may be 1"
            )
        alpha_bar.append(alpha_bar[-1] * (1 - beta))
    if any(later == before for before, later in pairwise(alpha_bar)):
        raise ValueError("the betas give levels that float64 cannot distinguish; use larger or fewer betas")
