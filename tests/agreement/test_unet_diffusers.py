"""Our networks say what diffusers' say, for files that its own save_pretrained wrote."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from safetensors.torch import load_file

from cases import cases
from ddpm import build
from ddpm.core import Cond
from ddpm.exchange.diffusers.unet import read_unet, write_unet
from ddpm.exchange.tensors import ForeignTensors

from .diffusers_unet import CIFAR10

GOOGLE = {
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "attention_head_dim": None,
}
"""What the models of Ho et al. 2020 have in common."""
CHANNELS = {**CIFAR10, "block_out_channels": (64, 128, 128, 128)}
"""google/ddpm-cifar10-32 of half the width."""
NARROW = {**CIFAR10, "block_out_channels": (64, 64, 64, 64), "layers_per_block": 1}
HEADS = {
    **GOOGLE,
    "in_channels": 1,
    "out_channels": 2,
    "block_out_channels": (64, 192, 128),
    "layers_per_block": 1,
    "attention_head_dim": 16,
    "resnet_time_scale_shift": "scale_shift",
    "attn_norm_num_groups": 32,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
}
CELEBAHQ = {
    **GOOGLE,
    "block_out_channels": (8, 8, 16, 16, 32, 32),
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "down_block_types": (*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4),
}
LDM = {
    "block_out_channels": (32, 64, 96, 128),
    "norm_num_groups": 16,
    "attention_head_dim": 32,
    "down_block_types": ("DownBlock2D", *["AttnDownBlock2D"] * 3),
    "up_block_types": (*["AttnUpBlock2D"] * 3, "UpBlock2D"),
}
"""CompVis/ldm-celebahq-256."""
CONSISTENCY = {
    "block_out_channels": (16, 32, 48),
    "norm_num_groups": 8,
    "attn_norm_num_groups": 8,
    "attention_head_dim": 16,
    "num_class_embeds": 10,
    "resnet_time_scale_shift": "scale_shift",
    "downsample_type": "resnet",
    "upsample_type": "resnet",
    "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
}
"""openai/diffusers-cd_imagenet64_l2."""
UNUSUAL = {
    **GOOGLE,
    "layers_per_block": 1,
    "block_out_channels": (16, 24),
    "norm_num_groups": 4,
    "down_block_types": ("AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
    "add_attention": False,
}
STABLE = {"in_channels": 4, "out_channels": 4, "block_out_channels": (32, 64, 64, 64), "norm_num_groups": 16}
SD15: dict[str, Any] = {**STABLE, "attention_head_dim": 8, "cross_attention_dim": 24}
SD21 = {
    **STABLE,
    "in_channels": 9,
    "attention_head_dim": (2, 4, 4, 8),
    "cross_attention_dim": 24,
    "use_linear_projection": True,
}
"""Its variant for inpainting."""
DEEP = {
    **STABLE,
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2),
    "layers_per_block": (1, 2),
    "cross_attention_dim": 16,
    "mid_block_type": "UNetMidBlock2D",
}
PUBLISHED = [
    ("unet", UNet2DModel, CHANNELS),
    ("unet", UNet2DModel, NARROW),
    ("unet", UNet2DModel, HEADS),
    ("plain-unet", UNet2DModel, CELEBAHQ),
    ("plain-unet", UNet2DModel, LDM),
    ("plain-unet", UNet2DModel, CONSISTENCY),
    ("plain-unet", UNet2DModel, UNUSUAL),
    ("plain-unet", UNet2DConditionModel, SD15),
    ("plain-unet", UNet2DConditionModel, SD21),
    ("plain-unet", UNet2DConditionModel, DEEP),
]


def saved(model: type, config: dict[str, Any], folder: Path) -> tuple[Any, dict[str, Any], dict[str, torch.Tensor]]:
    """Their network, random also where a fresh one is zero or one, and what it saves."""
    torch.manual_seed(0)
    net = model(**config).eval().requires_grad_(False)
    for p in net.parameters():
        if p.ndim == 1:
            p += 0.2 * torch.randn_like(p)
    net.save_pretrained(folder)
    tree = json.loads((folder / "config.json").read_text())
    return net, tree, load_file(folder / "diffusion_pytorch_model.safetensors")


def given(config: dict[str, Any], x: torch.Tensor, labels: torch.Tensor | None) -> tuple[dict[str, Any], Cond]:
    """The same conditions as their arguments and as ours."""
    n = len(x)
    tokens = torch.randn(n, 7, config["cross_attention_dim"]) if "cross_attention_dim" in config else None
    number = torch.arange(n) if labels is not None else None
    theirs = {"encoder_hidden_states": tokens, "class_labels": number}
    vector = None if labels is None else labels[:n]
    return {k: v for k, v in theirs.items() if v is not None}, Cond(vector, tokens=tokens)


@torch.no_grad()
@cases(("kind", "model", "config"), PUBLISHED)
def test_outputs_and_files(kind: str, model: type, config: dict[str, Any], tmp_path: Path) -> None:
    net, tree, weights = saved(model, config, tmp_path)
    settings, ours, labels = read_unet(tree, ForeignTensors(weights, "theirs"))
    assert settings.kind == kind
    made = build.NETWORKS[kind](settings).eval()
    made.load_state_dict({name.removeprefix("net."): tensor for name, tensor in ours.items()})
    side = min(32, 2 ** len(config["block_out_channels"]))  # several pixels are left where there are fewest
    x, t = torch.randn(2, settings.in_channels, side, 2 * side), torch.tensor([7.0, 999.0])
    arguments, cond = given(config, x, labels)
    expected = net(x, t, **arguments).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(made(x, t, cond), expected, rtol=1e-5, atol=1e-5 * expected.std().item())

    # the null label is a row of zeros in our model alone
    table = {} if labels is None else {"conditioners.label.table.weight": torch.cat([labels, labels[:1] * 0])}
    back_tree, back = write_unet(settings, {**ours, **table}, (side, 2 * side), null=False)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name].flatten(), weights[name].flatten()) for name in weights)
    with torch.device("meta"):
        same_shape = model(**{k: v for k, v in back_tree.items() if k != "_class_name"})
    assert same_shape.num_parameters() == net.num_parameters()
    again, same, _ = read_unet(back_tree, ForeignTensors(back, "ours"))
    assert again == settings
    assert all(torch.equal(same[name], ours[name]) for name in ours)
