"""What is measured: a network, its images and how it computes, the same for every contender."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ddpm.config.network import UNetSettings
from ddpm.networks import UNet
from ddpm.networks.blocks import GroupNorm

if TYPE_CHECKING:
    from diffusers import UNet2DModel

Acts = dict[str, Callable[[], None]]
"""What a contender can be asked to do, by name."""


class Made(NamedTuple):
    """A contender, ready.

    Attributes:
        acts: what it can do.
        facts: what there is to say of it, as JSON.
    """

    acts: Acts
    facts: dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """One network on images of one size.

    Attributes:
        network: fields of :class:`UNetSettings`; the defaults are Ho et al.'s network for CIFAR-10, 35.7 M weights.
        size: side of the images.
        batch: images at a time.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
        channels_last: memory layout.
    """

    network: dict[str, Any] = field(default_factory=dict)
    size: int = 32
    batch: int = 16
    device: str = "cpu"
    precision: str = "fp32"
    channels_last: bool = False

    @property
    def settings(self) -> UNetSettings:
        """Of our network; its lists were tuples before they became JSON."""
        return UNetSettings(**{k: tuple(v) if isinstance(v, list) else v for k, v in self.network.items()})

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, C, H, W)."""
        return self.batch, self.settings.in_channels, self.size, self.size

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def __post_init__(self) -> None:
        if any(GroupNorm(c).groups != 32 for c in self.settings.channels):
            raise ValueError("give multiples of 32 channels, at least 64: with others the two networks differ")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def images(self) -> torch.Tensor:
        """Random images, (B, H, W, C) uint8."""
        b, c, h, w = self.shape
        return torch.randint(0, 256, (b, h, w, c), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def peer(self) -> "UNet2DModel":
        """The same network of diffusers, always of the same random weights."""
        from diffusers import UNet2DModel  # here: it would count as our memory

        s = self.settings
        kinds = ["Attn" if factor in s.attention else "" for factor in s.factors]
        torch.manual_seed(0)
        return UNet2DModel(
            sample_size=self.size,
            in_channels=s.in_channels,
            out_channels=s.out_channels,
            block_out_channels=s.channels,
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
            layers_per_block=s.blocks,
            downsample_padding=0,
            flip_sin_to_cos=False,
            freq_shift=1,
            norm_eps=1e-6,
            attention_head_dim=s.head_width,
            dropout=s.dropout,
        )


def weights(net: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in net.parameters())


def training_flops(subject: Subject) -> int:
    """Floating-point operations of the gradient of one image's loss; a multiplication and an addition are two."""
    net = UNet(subject.settings).to(subject.device)
    x = torch.zeros(1, *subject.shape[1:], device=subject.device)
    with FlopCounterMode(display=False) as counter:
        net(x, torch.ones(1, device=subject.device)).sum().backward()
    return counter.get_total_flops()
