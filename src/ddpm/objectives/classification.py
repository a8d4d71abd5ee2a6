"""The loss of a classifier of noised images, and how often it is right."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Level, Network, Parameterisation
from ddpm.core.gaussian import diffuse


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """``-sum_y q(y) log p(y | x_t)``, in nats, at ``x_t = alpha · x0 + sigma · eps`` (Dhariwal & Nichol 2021, sec. 4).

    The network's output are logits (B, K), and the condition's vector is q, (B, K): one-hot where the class is known.

    Attributes:
        parameterisation: how the network is asked; of its prediction and variance nothing is used.
    """

    parameterisation: Parameterisation

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level | None = None,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        logits = self.parameterisation.ask(net, diffuse(x0, eps, now), now).output
        return -(_known(cond) * logits.log_softmax(1)).sum(1)


@dataclass(frozen=True, slots=True)
class Correct:
    """1 where the likeliest class is the right one, 0 where not: its mean is the accuracy. Has no gradient.

    Attributes:
        parameterisation: as of :class:`CrossEntropy`.
    """

    parameterisation: Parameterisation

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level | None = None,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        logits = self.parameterisation.ask(net, diffuse(x0, eps, now), now).output
        return (logits.argmax(1) == _known(cond).argmax(1)).float()


def _known(cond: Cond | None) -> torch.Tensor:
    if cond is None or cond.vector is None:
        raise ValueError("a classifier is held against labels; give the condition that says them")
    return cond.vector
