"""Training an autoencoder against a discriminator."""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from ddpm.core.model import Model

STRONGEST = 1e4
"""The largest factor of the adversarial term (as in the code of Esser et al. 2021)."""


class Discriminator(Protocol):
    """A discriminator; see ``ddpm.networks.discriminator``."""

    active: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class PatchAdversary:
    """The hinge loss of the model's discriminator D, and ``-λ mean D(y)`` for the autoencoder (Esser et al. 2021).

    Each term has gradients for one of the two networks only, so that one backward pass and one optimiser train both: D
    sees detached reconstructions y, and the autoencoder is judged by D with detached weights.

    As in Esser et al., eq. 7, λ balances the gradients of both terms of the autoencoder, but at y instead of the last
    layer: ``λ = weight · |∂error/∂y| / |∂(mean D(y))/∂y|`` for each image. This needs no pass through the decoder, and
    does not depend on the other images of the batch or on its division into micro-batches.

    Attributes:
        start: the fraction of the run after which D is trained.
        alone: the fraction of the run for which D is then trained alone.
        weight: the size of the adversarial gradient relative to the other.
    """

    start: float
    alone: float
    weight: float

    @property
    def parts(self) -> "tuple[tuple[float, PatchAdversary], ...]":
        """See :class:`ddpm.objectives.autoencoding.Adversary`: before D, while it trains alone, and both."""
        alone = min(self.alone, 1 - self.start)
        stages = (self.start, (1.0, 0.0)), (alone, (0.0, 1.0)), (1 - self.start - alone, (0.0, 0.0))
        return tuple((share, PatchAdversary(*moved, self.weight)) for share, moved in stages if share > 0)

    def __call__(
        self, model: Model, x: torch.Tensor, y: torch.Tensor, error: torch.Tensor, done: float
    ) -> torch.Tensor:
        """See :class:`ddpm.objectives.autoencoding.Adversary`."""
        net = cast(nn.Module, model.auxiliary)
        discriminator = cast(Discriminator, net)
        if done < self.start or not discriminator.active:
            # distributed training and the optimiser expect a gradient of every weight
            return torch.stack([p.sum() for p in net.parameters()]).sum() * torch.zeros_like(error)
        real, fake = discriminator(x), discriminator(y.detach())
        loss = F.relu(1 - real.float()) + F.relu(1 + fake.float())
        total: torch.Tensor = 0.5 * loss.flatten(1).mean(1)
        if done < self.start + self.alone or not y.requires_grad:
            return total
        weights = {name: p.detach() for name, p in net.named_parameters()}
        verdict: torch.Tensor = -functional_call(net, weights, (y,)).float().flatten(1).mean(1)
        return total + self._balance(error, verdict, y) * verdict

    def _balance(self, error: torch.Tensor, verdict: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """λ of each image, (B,), without gradients."""
        ours, theirs = (
            torch.autograd.grad(term.sum(), y, retain_graph=True)[0].float().flatten(1).norm(dim=1)
            for term in (error, verdict)
        )
        factor: torch.Tensor = ours / (theirs + 1e-8)
        return self.weight * factor.clamp(max=STRONGEST)
