"""Losses of the variational bound."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Level, Network, Parameterisation
from ddpm.core.gaussian import diffuse
from ddpm.objectives.bound import term
from ddpm.objectives.simple import SimpleLoss


@dataclass(frozen=True, slots=True)
class Variational:
    """``L_vlb = T · L_t``: one term in place of the whole bound (Nichol & Dhariwal 2021, sec. 3.3).

    With levels drawn uniformly from 1 … T, an unbiased estimate, in bits per dimension, of the bound without its prior,
    which has no parameters. The expected image is not clipped, to keep its gradient.

    Attributes:
        parameterisation: how the network is called.
        T: the number of noisy levels.
        least: the variance used in place of the posterior's at the last step; see ``bound.least``.
        fixed: the variance if none is learned, from 0, "fixed small", to 1, "fixed large".
    """

    parameterisation: Parameterisation
    T: int
    least: float
    fixed: float = 0.0

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        x = diffuse(x0, eps, now)
        answer = self.parameterisation.ask(net, x, now, cond)
        return self.of(self.parameterisation.denoised(answer, x, now), x0, now, next)

    def of(self, denoised: Denoised, x0: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
        """Compute the loss of the denoised x_t, (B,)."""
        return self.T * term(x0, denoised, now, next, self.least, self.fixed)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """``L_simple + share · L_vlb``, the bound's gradient stopped at the mean (Nichol & Dhariwal 2021, eq. 16).

    Only the simple loss trains the mean, and only the bound the variance, with one network call.

    Attributes:
        simple, variational: the two losses, of the same parameterisation, which learns the variance.
        share: the weight of the bound; 0.001 at T = 1000 adds the term itself, the original code's "rescaled" loss.

    Raises:
        ValueError: the parameterisations differ, or the variance is not learned.
    """

    simple: SimpleLoss
    variational: Variational
    share: float = 0.001

    def __post_init__(self) -> None:
        if self.variational.parameterisation != self.parameterisation:
            raise ValueError("both parts of the hybrid loss must have the same parameterisation")
        if not self.parameterisation.learned_variance:
            raise ValueError("the hybrid loss requires a learned variance; use the simple loss without one")

    @property
    def parameterisation(self) -> Parameterisation:
        return self.simple.parameterisation

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        x = diffuse(x0, eps, now)
        answer = self.parameterisation.ask(net, x, now, cond)
        stopped = self.parameterisation.denoised(answer._replace(output=answer.output.detach()), x, now)
        bound = self.variational.of(stopped, x0, now, next)
        return self.simple.error(answer.output, x0, eps, now) + self.share * bound
