"""Networks whose weights are random also where fresh ones are zero."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def randomised(make: Callable[[], Network]) -> Network:
    """Make a network from seed 0, and change all of its weights a little."""
    torch.manual_seed(0)
    net = make()
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn_like(p)
    return net
