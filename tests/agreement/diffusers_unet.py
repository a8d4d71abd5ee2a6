"""The weights of a diffusers UNet2DModel, under the names of ours."""

import re

import torch
from diffusers import UNet2DModel

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

RENAMES = {
    r"^time\.linear": "time_embedding.linear_",
    r"^norm_out": "conv_norm_out",
    r"^(down|up)\.(\d+)\.\1sample": r"\1_blocks.\2.\1samplers.0",
    r"^(down|up)\.(\d+)\.blocks\.(\d+)\.": r"\1_blocks.\2.resnets.\3.",
    r"^middle\.": r"mid_block.resnets.",
    r"resnets\.(\d+)\.attention": r"attentions.\1",
    r"(attentions\.\d+)\.norm": r"\1.group_norm",
    r"(attentions\.\d+)\.out": r"\1.to_out.0",
    r"(resnets\.\d+)\.time": r"\1.time_emb_proj",
    r"(resnets\.\d+)\.shortcut": r"\1.conv_shortcut",
}
"""Patterns in our names and what they are in theirs, applied in this order."""


def copy_weights(theirs: UNet2DModel, ours: UNet) -> UNet:
    """Our network with their weights: queries, keys and values are three layers of theirs and one of ours."""
    weights = theirs.state_dict()

    def find(name: str) -> torch.Tensor:
        if ".qkv." in name:
            return torch.cat([find(name.replace("qkv", f"to_{part}")) for part in "qkv"])
        for pattern, replacement in RENAMES.items():
            name = re.sub(pattern, replacement, name)
        return weights.pop(name)

    ours.load_state_dict({name: find(name) for name in ours.state_dict()})
    assert not weights, f"left over: {sorted(weights)}"
    return ours
