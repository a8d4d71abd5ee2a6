"""The simple loss."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Level, Network, Parameterisation, scale
from ddpm.core.gaussian import diffuse
from ddpm.core.prediction import target
from ddpm.objectives.weighting import Weighting, on_output, simple


@dataclass(frozen=True, slots=True)
class SimpleLoss:
    """``w · || F(x_t, t) - (a · x0 + b · eps) ||²``, averaged over the elements of each image.

    With weight 1 on the output this is Ho et al. 2020, eq. 14; other weightings are converted to the output.

    Attributes:
        parameterisation: how the network is called.
        weighting: the weighting of the levels.
    """

    parameterisation: Parameterisation
    weighting: Weighting = simple

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level | None = None,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        output = self.parameterisation.ask(net, diffuse(x0, eps, now), now, cond).output
        return self.error(output, x0, eps, now)

    def error(self, output: torch.Tensor, x0: torch.Tensor, eps: torch.Tensor, level: Level) -> torch.Tensor:
        """Compute the weighted error, (B,), of a network's output (B, C, *space)."""
        predict = self.parameterisation.prediction
        error = (output - target(predict, x0, eps, level)).square().flatten(1).mean(1)
        return scale(on_output(self.weighting, predict, level), error)
