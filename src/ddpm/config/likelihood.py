"""How bits per dimension are computed."""

from ddpm.config.sampling import FixedClip, SamplingConfig
from ddpm.system.names import MethodName, VarianceName
from ddpm.system.record import Strict


class Likelihood(Strict):
    """All settings that determine the bits of an image, apart from the model and the image, with no defaults left open.

    Attributes:
        method: The variational bound, or the density along the probability-flow ODE.
        seed: The seed of noise, terms, dequantisation and probes.
        clip: Whether to clip the expected image to the pixel range.
        steps: The steps of the bound's grid: the levels 1 … T or an even subset of them (Nichol & Dhariwal 2021).
        terms: The number of the bound's KL terms sampled for each image; None uses all.
        variance: The variance of the bound's reverse steps: one of the two fixed ones, or the learned one.
        probes, tolerance: For the ODE: the probes of the divergence, and the error tolerance of a step.
        start: The time u in (0, 1) at which the ODE starts, in continuous time; None for a discrete schedule, which
            starts at its level 1.
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
        """The number of network calls per batch; None for the ODE, whose solver chooses its steps."""
        return self.steps if self.terms is None else self.terms + 1

    @property
    def sampling(self) -> SamplingConfig:
        """The settings of the denoiser, without guidance and in float32, and of the bound's grid."""
        clip = FixedClip(kind="range" if self.clip else "none")
        return SamplingConfig(steps=self.steps or 1, grid="uniform", clip=clip)
