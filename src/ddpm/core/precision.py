"""Networks in half precision."""

from dataclasses import dataclass

import torch

from ddpm.core.condition import Cond
from ddpm.core.denoiser import Network


@dataclass(frozen=True, slots=True)
class Autocast:
    """A network that runs under autocast in half precision, as in training; inputs and outputs stay float32.

    Attributes:
        dtype: The half precision, bfloat16 or float16.
    """

    net: Network
    dtype: torch.dtype

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        with torch.autocast(x.device.type, self.dtype):
            return self.net(x, t, cond).to(x.dtype)
