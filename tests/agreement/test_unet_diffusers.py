"""Our U-Net says what diffusers' says on the same weights."""

import torch
from diffusers import UNet2DModel

from ddpm.config.network import UNetSettings
from ddpm.networks import UNet

from .diffusers_unet import CIFAR10, copy_weights


def their_unet(**settings) -> UNet2DModel:
    """Their network, random also where theirs begin at zero or one."""
    torch.manual_seed(0)
    net = UNet2DModel(**settings).eval()
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1:
                p += 0.2 * torch.randn_like(p)
    return net


@torch.no_grad()
def check(theirs: UNet2DModel, ours: UNet, x: torch.Tensor) -> None:
    t = torch.tensor([0.0, 999.0])
    expected = theirs(x, t).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(copy_weights(theirs, ours).eval()(x, t), expected, rtol=1e-5, atol=1e-5)


def test_cifar10():
    check(their_unet(**CIFAR10), UNet(UNetSettings(dropout=0.1)), torch.randn(2, 3, 32, 32))


def test_heads_depth_and_oblong_images():
    for scale_shift in [False, True]:
        theirs = their_unet(
            in_channels=1,
            out_channels=2,
            block_out_channels=[64, 192, 128],
            down_block_types=["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
            up_block_types=["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
            layers_per_block=1,
            downsample_padding=0,
            flip_sin_to_cos=False,
            freq_shift=1,
            norm_eps=1e-6,
            attn_norm_num_groups=32,
            attention_head_dim=16,
            resnet_time_scale_shift="scale_shift" if scale_shift else "default",
        )
        ours = UNet(
            UNetSettings(
                in_channels=1,
                out_channels=2,
                width=64,
                multipliers=(1, 3, 2),
                blocks=1,
                attention=(2, 4),
                head_width=16,
                scale_shift=scale_shift,
            )
        )
        check(theirs, ours, torch.randn(2, 1, 8, 12))
