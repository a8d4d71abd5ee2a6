"""The parameterisation of a network: its inputs, and the meaning of its output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core.condition import Cond
from ddpm.core.denoiser import Denoised, Network
from ddpm.core.level import Level, Scalar, scale
from ddpm.core.prediction import Prediction, x0_from_output


class Answer(NamedTuple):
    """The output of a network.

    Attributes:
        output: (B, C, *space), an estimate of ``a · x0 + b · eps``; float32 or wider.
        var_mix: Like the output: the learned variance, as a mix of its two bounds; None if it is not learned.
    """

    output: torch.Tensor
    var_mix: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Parameterisation:
    """The conversion between a network's output and the image that it estimates.

    Attributes:
        prediction: The quantity that the output estimates.
        scale_in: The factor applied to x before the network; None for no scaling.
        learned_variance: Whether the network returns 2C channels, the second half of them v in about [-1, 1], with
            ``var_mix = (v + 1) / 2`` (Nichol & Dhariwal 2021, eq. 15). As there, it is not clamped to [0, 1].
    """

    prediction: Prediction
    scale_in: Callable[[Level], Scalar] | None = None
    learned_variance: bool = False

    def ask(self, net: Network, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Answer:
        """Call the network on x (B, C, *space)."""
        if self.scale_in is not None:
            x = scale(self.scale_in(level), x)
        if isinstance(level.t, torch.Tensor):
            t = level.t.to(x.device, torch.float32)
        else:
            t = torch.full((len(x),), level.t, dtype=torch.float32, device=x.device)
        output = net(x, t, cond)
        # the next operations multiply by coefficients that half precision would round
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        if not self.learned_variance:
            return Answer(output, None)
        output, v = output.chunk(2, dim=1)
        return Answer(output, (v + 1) / 2)

    def denoised(self, answer: Answer, x: torch.Tensor, level: Level) -> Denoised:
        """The estimate of the clean image from an answer to x."""
        return Denoised(x0_from_output(self.prediction, answer.output, x, level), answer.var_mix)


@dataclass(frozen=True, slots=True)
class UnitVariance:
    """The scale ``1 / sqrt(alpha² · sigma_data² + sigma²)`` for unit variance (Karras et al. 2022, table 1, c_in).

    Attributes:
        sigma_data: The standard deviation of the data.
    """

    sigma_data: float = 0.5

    def __call__(self, level: Level) -> Scalar:
        scalar: Scalar = (level.alpha**2 * self.sigma_data**2 + level.sigma**2) ** -0.5
        return scalar


@dataclass(frozen=True, slots=True)
class NetworkDenoiser:
    """A denoiser from a network and its parameterisation."""

    net: Network
    parameterisation: Parameterisation

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return self.parameterisation.denoised(self.parameterisation.ask(self.net, x, level, cond), x, level)
