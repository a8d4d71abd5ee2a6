"""The classifiers of noised images published by Dhariwal & Nichol 2021."""

import torch
import torch.nn.functional as F
from torch import nn

from ddpm.config.plain_classifier import PlainClassifierSettings
from ddpm.core import Cond
from ddpm.networks.blocks import GroupNorm, conv
from ddpm.networks.embeddings import TimeEmbedding, silu
from ddpm.networks.inputs import check_size
from ddpm.networks.plain_unet import middle, way_down
from ddpm.networks.pooling import AttentionPool, MeanPool


class PlainClassifier(nn.Module):
    """``net(x, t)``: the first half of a :class:`PlainUNet`, then pooling to one logit per class.

    Its logits are zero at initialisation.

    Attributes:
        outer: The modules whose weights Muon leaves to AdamW.
    """

    outer = ("time", "pool")

    def __init__(self, settings: PlainClassifierSettings) -> None:
        super().__init__()
        self.settings, s = settings, settings.backbone
        self.time = TimeEmbedding(s.width, s.time_width, s.frequency_shift)
        self.conv_in = conv(s.space, s.in_channels, s.channels[0], 3, padding=1)
        self.down, _ = way_down(s)
        self.middle = middle(s)
        self.norm_out = GroupNorm(s.channels[-1], s.norm_groups, s.norm_eps)
        self.pool = (
            MeanPool(s.channels[-1], s.out_channels)
            if settings.pool == "average"
            else AttentionPool(
                s.channels[-1], s.out_channels, s.channels[-1] // settings.pool_heads, settings.positions
            )
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        """x (B, in_channels, *space), t (B,) -> logits (B, out_channels).

        Raises:
            ValueError: if ``backbone.divisor`` does not divide each side of x, or a condition is given.
        """
        if cond is not None:
            raise ValueError("a classifier takes no condition; leave it out")
        check_size(self.settings.backbone, x)
        time = silu(self.time(t))
        h, skips = self.conv_in(x), list[torch.Tensor]()
        for level in self.down:
            h = level(h, time, None, skips)
        for layer in self.middle:
            h = layer(h, time, None)
        out: torch.Tensor = self.pool(F.silu(self.norm_out(h)))
        return out
