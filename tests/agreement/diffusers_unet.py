"""The weights of a diffusers UNet2DModel, under the names of ours."""

from diffusers import UNet2DModel

from ddpm.exchange.diffusers.unet import read_unet
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import UNet

CIFAR10 = {
    "sample_size": 32,
    "block_out_channels": [128, 256, 256, 256],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 2,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "attention_head_dim": None,
    "time_embedding_type": "positional",
}
"""The configuration of google/ddpm-cifar10-32."""


def copy_weights(theirs: UNet2DModel, ours: UNet) -> UNet:
    """Our network with their weights."""
    config = {key: value for key, value in theirs.config.items() if not key.startswith("_")}
    _, weights, _ = read_unet(config, ForeignTensors(theirs.state_dict(), "theirs"))
    ours.load_state_dict({name.removeprefix("net."): tensor for name, tensor in weights.items()})
    return ours
