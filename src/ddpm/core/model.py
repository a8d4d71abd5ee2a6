"""The model: everything that is trained, in one module."""

from collections.abc import Mapping
from functools import reduce
from typing import cast

import torch
from torch import nn

from ddpm.core.condition import Cond, Conditioner, Conditions
from ddpm.core.parameterisation import NetworkDenoiser, Parameterisation
from ddpm.core.stream import RowStreams

ALONE = 0.1
"""The probability of dropping one of several kinds of conditions by itself."""


class Model(nn.Module):
    """A network and the encoders of its conditions.

    Attributes:
        net: The network, ``net(x, t, cond)``.
        conditioners: Kind of condition -> its :class:`Conditioner`; empty for an unconditional model.
        auxiliary: A network that only training needs, such as a discriminator; None for none.
    """

    net: nn.Module
    conditioners: nn.ModuleDict
    auxiliary: nn.Module | None

    def __init__(
        self, net: nn.Module, conditioners: Mapping[str, nn.Module] | None = None, auxiliary: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.net = net
        self.conditioners = nn.ModuleDict(conditioners)
        self.auxiliary = auxiliary

    def cond(self, raw: Conditions, n: int) -> Cond | None:
        """The encoded conditions of n images, from raw ones, each kind (n, …); None for an unconditional model.

        A kind that is not given is null. Unknown kinds are ignored.
        """
        found = [
            conditioner.encode(raw[kind]) if kind in raw else conditioner.null(n) for kind, conditioner in self._kinds()
        ]
        known = [cond for cond in found if cond is not None]
        return reduce(Cond.plus, known) if known else None

    def drop(self, raw: Conditions, mask: torch.Tensor, streams: RowStreams) -> Conditions:
        """Raw conditions, null where the mask, (B,) bool, is set (Ho & Salimans 2022, alg. 1).

        Where several kinds have a null, each is also dropped alone, with probability 0.1, so that the network learns
        any of them without the others.
        """
        given = [(kind, own) for kind, own in self._kinds() if kind in raw]
        dropped = {kind: own.drop(raw[kind], mask) for kind, own in given}
        several = [(kind, own) for kind, own in given if dropped[kind] is not raw[kind]]
        if len(several) > 1:
            for kind, own in several:
                alone = (streams.uniform(f"drop {kind}") < ALONE).to(mask.device)
                dropped[kind] = own.drop(raw[kind], mask | alone)
        return {**raw, **dropped}

    def augment(self, raw: Conditions, streams: RowStreams) -> Conditions:
        """Raw conditions, augmented for training."""
        return {**raw, **{kind: own.augment(raw[kind], streams) for kind, own in self._kinds() if kind in raw}}

    def denoiser(self, parameterisation: Parameterisation) -> NetworkDenoiser:
        """This network as a denoiser."""
        return NetworkDenoiser(self.net, parameterisation)

    @property
    def requires(self) -> tuple[str, ...]:
        """The kinds of conditions that are always given."""
        return tuple(kind for kind, conditioner in self._kinds() if conditioner.null(1) is None)

    @property
    def layout(self) -> torch.memory_format:
        """The memory format: channels last if faster, with two or three spatial axes."""
        ranks = {p.ndim for p in self.net.parameters()}
        if 5 in ranks:
            return torch.channels_last_3d
        return torch.channels_last if 4 in ranks else torch.contiguous_format

    def _kinds(self) -> list[tuple[str, Conditioner]]:
        return [(kind, cast(Conditioner, module)) for kind, module in self.conditioners.items()]


def published(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's weights by name, without those of its auxiliary network."""
    return {name: w for name, w in weights.items() if not name.startswith("auxiliary.")}
