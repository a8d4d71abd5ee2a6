"""The classifier of noised images of Dhariwal & Nichol 2021."""

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.config.network import UNetSettings
from ddpm.core import Cond
from ddpm.networks.blocks import conv, normaliser, space_to_depth
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_size
from ddpm.networks.pooling import AttentionPool
from ddpm.networks.unet import Block, way_down


class NoisedClassifier(nn.Module):
    """``net(x, t)``: the downsampling half of a U-Net and its middle, then attention pooling to one logit per class.

    Dhariwal & Nichol 2021, sec. 4. Conditioned on time like the U-Net, as the noise level matters. Its logits are zero
    at initialisation.

    Args:
        settings: The settings of the U-Net; ``out_channels`` is the number of classes.
    """

    outer = ("time", "pool")

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        for name in ("cond_width", "token_width"):
            if (width := getattr(settings, name)) is not None:
                raise ValueError(f"{name} is {width}; it must be None, as a classifier is not conditioned")
        self.settings = s = settings
        self.time = TimeEmbedding(s.width, 4 * s.width)
        self.conv_in = conv(s.space, s.in_channels * s.patch**s.space, s.width, 3, padding=1)
        self.down, channels = way_down(s)
        width = channels[-1]
        self.middle = nn.ModuleList([Block(s, width, width, attend=attend) for attend in (True, False)])
        self.norm_out = normaliser(s.norm, width)
        self.pool = AttentionPool(width, s.out_channels, s.head_width)

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, in_channels, *space), t (B,) -> logits (B, out_channels).

        Raises:
            ValueError: if ``settings.divisor`` does not divide each side of x, or a condition is given.
        """
        if cond is not None:
            raise ValueError("a classifier takes no condition; leave it out")
        check_size(self.settings, x)
        time = silu(self.time(t))
        h = self.conv_in(space_to_depth(x, self.settings.patch))
        for down in self.down:
            h, _ = down(h, time)
        for block in self.middle:
            h = block(h, time)
        out: torch.Tensor = self.pool(F.silu(self.norm_out(h)))
        return out
