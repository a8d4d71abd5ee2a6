"""Our autoencoder with the weights of diffusers' AutoencoderKL."""

import torch
from diffusers import AutoencoderKL

from cases import cases
from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.networks import Autoencoder


def their_autoencoder(s: AutoencoderSettings):
    """Their network, random also where theirs begin at zero or one."""
    torch.manual_seed(0)
    kinds = len(s.widths)
    net = AutoencoderKL(
        in_channels=s.image_channels,
        out_channels=s.image_channels,
        down_block_types=("DownEncoderBlock2D",) * kinds,
        up_block_types=("UpDecoderBlock2D",) * kinds,
        block_out_channels=s.widths,
        layers_per_block=s.blocks,
        latent_channels=s.channels,
        norm_num_groups=s.norm_groups,
        mid_block_add_attention=s.attention,
    )
    for p in net.parameters():
        if p.ndim == 1:
            p += 0.2 * torch.randn_like(p)
    return net.eval()


def translated(net, s: AutoencoderSettings) -> dict[str, torch.Tensor]:
    """Their weights by our names."""
    state, out = net.state_dict(), {}

    def take(ours: str, name: str) -> None:
        for kind in ("weight", "bias"):
            out[f"{ours}.{kind}"] = state.pop(f"{name}.{kind}")

    def block(ours: str, name: str) -> None:
        for part in ("norm1", "conv1", "norm2", "conv2"):
            take(f"{ours}.{part}", f"{name}.{part}")
        if f"{name}.conv_shortcut.weight" in state:
            take(f"{ours}.shortcut", f"{name}.conv_shortcut")

    take("quant", "quant_conv")
    take("post_quant", "post_quant_conv")
    for half, way, resampler, more in (
        ("encoder", "down_blocks", "downsamplers", 0),
        ("decoder", "up_blocks", "upsamplers", 1),
    ):
        take(f"{half}.conv_in", f"{half}.conv_in")
        take(f"{half}.norm_out", f"{half}.conv_norm_out")
        take(f"{half}.conv_out", f"{half}.conv_out")
        block(f"{half}.middle.0", f"{half}.mid_block.resnets.0")
        if s.attention:
            attention = f"{half}.mid_block.attentions.0"
            take(f"{half}.middle.1.norm", f"{attention}.group_norm")
            take(f"{half}.middle.1.out", f"{attention}.to_out.0")
            for kind in ("weight", "bias"):
                parts = [state.pop(f"{attention}.to_{part}.{kind}") for part in "qkv"]
                out[f"{half}.middle.1.qkv.{kind}"] = torch.cat(parts)
        block(f"{half}.middle.{2 if s.attention else 1}", f"{half}.mid_block.resnets.1")
        for level in range(len(s.widths)):
            for i in range(s.blocks + more):
                # our resampling starts a level, theirs ends the one before
                block(f"{half}.levels.{level}.{i + (level > 0)}", f"{half}.{way}.{level}.resnets.{i}")
            if level:
                take(f"{half}.levels.{level}.0.conv", f"{half}.{way}.{level - 1}.{resampler}.0.conv")
    assert not state
    return out


@cases(
    "settings",
    [
        AutoencoderSettings(width=32, multipliers=(1, 2, 4)),
        AutoencoderSettings(
            4, channels=16, width=16, multipliers=(1, 1, 2, 2), blocks=1, attention=False, norm_groups=8
        ),
        AutoencoderSettings(1, channels=2, width=24, multipliers=(1, 2), blocks=1, norm_groups=12),
    ],
)
@torch.no_grad()
def test_moments_and_reconstructions_are_those_of_diffusers(settings):
    theirs, ours = their_autoencoder(settings), Autoencoder(settings).eval()
    ours.load_state_dict(translated(theirs, settings))
    x = torch.rand(2, settings.image_channels, 32, 48) * 2 - 1
    mean, logvar = ours.moments(x)
    found = theirs.encode(x).latent_dist
    assert mean.shape == (2, settings.channels, 32 // settings.factor, 48 // settings.factor)
    torch.testing.assert_close(mean, found.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logvar, found.logvar, rtol=1e-5, atol=1e-5)
    z = torch.randn_like(mean)
    torch.testing.assert_close(ours.decode(z), theirs.decode(z).sample, rtol=1e-5, atol=1e-5)
