"""Settings of U-Nets that the other side cannot express; tests/agreement compares what both can."""

from typing import Any

import torch

from cases import cases
from ddpm.conditioning import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.core import Cond
from ddpm.core.model import Model
from ddpm.exchange.diffusers.unet import read_unet, write_unet
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import PlainUNet, UNet
from randomised import randomised
from refusal import refuses

SMALL = {
    "_class_name": "UNet2DModel",
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}
STABLE = {
    **SMALL,
    "_class_name": "UNet2DConditionModel",
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
}
OWN = UNetSettings(width=64, multipliers=(1, 1), blocks=1)
PLAIN = PlainUNetSettings(
    width=8, multipliers=(1, 2), blocks=(1,), attention=("none", "self"), middle="self", norm_groups=4, heads=(2, 4)
)


@cases(
    ("config", "named"),
    [
        ({**SMALL, "_class_name": "UNet3DModel"}, "UNet3DModel"),
        ({**SMALL, "new_option": 1}, "new_option"),
        ({**SMALL, "center_input_sample": True}, "center_input_sample"),
        ({**SMALL, "class_embed_type": "timestep"}, "class_embed_type"),
        ({**SMALL, "time_embedding_type": "fourier"}, "time_embedding_type"),
        ({**SMALL, "time_embedding_dim": 8}, "time_embedding_dim"),
        ({**SMALL, "mid_block_scale_factor": 1.4}, "mid_block_scale_factor"),
        ({**SMALL, "down_block_types": ["DownBlock2D", "SkipDownBlock2D"]}, "SkipDownBlock2D"),
        ({**SMALL, "down_block_types": ["DownBlock2D"]}, "down_block_types"),
        ({**SMALL, "block_out_channels": []}, "block_out_channels"),
        ({**SMALL, "attention_head_dim": 3}, "attention_head_dim"),
        ({**SMALL, "resnet_time_scale_shift": "scale_shift"}, "attn_norm_num_groups"),
        ({**STABLE, "time_cond_proj_dim": 256}, "time_cond_proj_dim"),
        ({**STABLE, "only_cross_attention": True}, "only_cross_attention"),
        ({**STABLE, "addition_embed_type": "text_time"}, "addition_embed_type"),
        ({**STABLE, "cross_attention_dim": [8, 16]}, "cross_attention_dim"),
        ({**STABLE, "attention_head_dim": 5}, "heads"),
    ],
)
def test_settings_of_theirs(config: dict[str, Any], named: str) -> None:
    with refuses("incompatible", "theirs", named):
        read_unet(config, ForeignTensors({}, "theirs"))


@cases(
    ("settings", "changes", "named"),
    [
        *(
            (OWN, changes, name)
            for changes, name in [
                ({"patch": 2, "attention": (2,)}, "network.patch"),
                ({"stem": 4}, "network.stem"),
                ({"norm": "layer"}, "network.norm"),
                ({"upsample": "linear"}, "network.upsample"),
                ({"skips": "blocks"}, "network.skips"),
                ({"width": 24, "multipliers": (1, 2)}, "--width"),
            ]
        ),
        *(
            (PLAIN, changes, name)
            for changes, name in [
                ({"space": 1}, "network.space"),
                ({"multipliers": (2, 4)}, "network.multipliers"),
                ({"blocks": (1, 2)}, "network.blocks"),
                ({"middle_blocks": 1}, "network.middle_blocks"),
                ({"heads": (1, 4)}, None),
                ({"attention": ("self",), "heads": (1, 4)}, "network.heads"),
                ({"downsample": ("average",)}, "network.downsample"),
                ({"attention": ("none", "transformer")}, "token_width"),
                ({"attention": ("self", "transformer"), "token_width": 4}, "network.downsample"),
                ({"attention": ("none", "transformer"), "token_width": 4}, "network.middle"),
            ]
        ),
    ],
)
def test_settings_of_ours(settings: Any, changes: dict[str, Any], named: str | None) -> None:
    own = isinstance(settings, UNetSettings)
    made: Any = (UNetSettings if own else PlainUNetSettings)(**{**vars(settings), **changes})
    net: Any = UNet(made) if own else PlainUNet(made)
    weights = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    if named is None:
        write_unet(made, weights, (8, 8))
    else:
        with refuses("incompatible", named):
            write_unet(made, weights, (8, 8))


def test_other_conditions() -> None:
    with refuses("incompatible", "conditioners.steps"):
        weights = {f"net.{name}": tensor for name, tensor in PlainUNet(PLAIN).state_dict().items()}
        write_unet(PLAIN, {**weights, "conditioners.steps.linear1.weight": torch.zeros(1)}, (8, 8))


@torch.no_grad()
def test_labels_of_our_unet() -> None:
    """Its layer between the labels and the time embedding becomes part of the labels' embedding."""
    settings = UNetSettings(width=64, multipliers=(1, 1), blocks=1, cond_width=5)
    ours = randomised(lambda: Model(UNet(settings), {"label": LabelEmbedding(3, 5)})).eval()
    config, tensors = write_unet(settings, ours.state_dict(), (8, 8))
    assert config["num_class_embeds"] == 4
    back, weights, labels = read_unet(config, ForeignTensors(tensors, "ours"))
    assert back.kind == "plain-unet"
    assert labels is not None
    net = PlainUNet(back).eval()
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in weights.items()})
    x, t, label = torch.randn(4, 3, 8, 8), torch.tensor([0.0, 9.0, 300.0, 999.0]), torch.arange(4)
    expected = ours.net(x, t, ours.cond({"label": label}, 4))
    torch.testing.assert_close(net(x, t, Cond(labels[label])), expected, rtol=1e-4, atol=1e-4)


def test_names_before_0_15() -> None:
    """Attention had other names when the first models were published."""
    weights = {f"net.{name}": tensor for name, tensor in PlainUNet(PLAIN).state_dict().items()}
    config, tensors = write_unet(PLAIN, weights, (8, 8))
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def renamed(name: str) -> str:
        for now, then in former.items():
            name = name.replace(f".{now}.", f".{then}.")
        return name

    _, found, _ = read_unet(config, ForeignTensors({renamed(name): t for name, t in tensors.items()}, "theirs"))
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_wrong_shape_is_named() -> None:
    weights = {f"net.{name}": tensor for name, tensor in PlainUNet(PLAIN).state_dict().items()}
    config, tensors = write_unet(PLAIN, weights, (8, 8))
    tensors["mid_block.attentions.0.to_k.weight"] = torch.zeros(16, 8)
    with refuses("incompatible", "mid_block.attentions.0.to_k.weight", "(16, 8)"):
        read_unet(config, ForeignTensors(tensors, "theirs"))
