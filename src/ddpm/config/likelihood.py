"""How bits per dimension are taken."""

from ddpm.system.names import MethodName, VarianceName
from ddpm.system.record import Strict


class Likelihood(Strict):
    """All that decides the bits of image i, besides the model and the image; nothing is left to a default.

    Attributes:
        method: the variational bound, or the density along the probability flow's ODE.
        seed: of noise, terms, dequantisation and probes.
        clip: whether the expected image is kept in the range of images.
        steps: of the bound's grid, the levels 1 … T or a part of them evenly spread (Nichol & Dhariwal 2021).
        terms: the number of the bound's KL terms drawn for each image, to stand for all; None takes all.
        variance: of the bound's reverse steps: one of the two fixed ones, or as the network has learned it.
        probes, tolerance: of the ODE: for the divergence, and the error allowed in a step.
        start: the time u in (0, 1) from which the ODE leads on, in a process of continuous time; None for a discrete
            schedule, which starts at its level 1.
    """

    method: MethodName
    seed: int
    clip: bool
    steps: int | None = None
    terms: int | None = None
    variance: VarianceName | None = None
    probes: int | None = None
    tolerance: float | None = None
    start: float | None = None

    @property
    def calls(self) -> int | None:
        """Network calls a batch; None for the ODE, whose solver chooses its steps."""
        return self.steps if self.terms is None else self.terms + 1
