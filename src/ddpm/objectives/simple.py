"""The simple loss."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Level, Network, Prediction
from ddpm.core.gaussian import diffuse
from ddpm.core.prediction import target


@dataclass(frozen=True, slots=True)
class SimpleLoss:
    """``|| F(x_t, t) - (a · x0 + b · eps) ||²``, averaged over the elements of each image (Ho et al. 2020, eq. 14).

    Attributes:
        prediction: what the network estimates.
    """

    prediction: Prediction

    def __call__(
        self, net: Network, x0: torch.Tensor, eps: torch.Tensor, level: Level, cond: Cond | None = None
    ) -> torch.Tensor:
        """The loss of each image, (B,) float32.

        Args:
            x0, eps: (B, C, *space), images in [-1, 1] and standard normal noise.
            level: of tensors (B,).
        """
        output = net(diffuse(x0, eps, level), torch.as_tensor(level.t).to(x0.device, torch.float32), cond)
        error = output.float() - target(self.prediction, x0, eps, level)
        return error.square().flatten(1).mean(1)
