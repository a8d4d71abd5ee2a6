"""The U-Net of OpenAI's guided-diffusion as a function of its weights, written from the paper and their names."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

SMALL = {
    "image_size": 16,
    "num_channels": 32,
    "num_res_blocks": 1,
    "channel_mult": "1,2",
    "attention_resolutions": "8",
    "num_heads": 4,
    "num_head_channels": -1,
    "class_cond": True,
    "learn_sigma": True,
    "use_scale_shift_norm": True,
    "resblock_updown": True,
    "use_new_attention_order": False,
}
"""The flags of a small network."""
CLASSIFIER = SMALL | {"num_channels": 64, "num_head_channels": 64, "class_cond": False, "pool": "attention"}
"""Those of a small classifier, whose heads always have 64 channels."""
CLASSES = 5


class Weights:
    """Weights by name, which are drawn when they are first asked for."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = state

    def get(self, name: str, *shape: int) -> torch.Tensor:
        if name not in self.state:
            scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.2
            self.state[name] = scale * torch.randn(shape) + float(name.endswith("weight") and len(shape) == 1)
        return self.state[name]

    def linear(self, name: str, x: torch.Tensor, out: int) -> torch.Tensor:
        return F.linear(x, self.get(f"{name}.weight", out, x.shape[1]), self.get(f"{name}.bias", out))

    def conv(self, name: str, x: torch.Tensor, out: int, kernel: int = 3, stride: int = 1) -> torch.Tensor:
        shape = (out, x.shape[1], *[kernel] * (x.ndim - 2))
        how = {"stride": stride, "padding": kernel // 2}
        convolve = F.conv2d if x.ndim == 4 else F.conv1d
        return convolve(x, self.get(f"{name}.weight", *shape), self.get(f"{name}.bias", out), **how)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[1]
        return F.group_norm(x, 32, self.get(f"{name}.weight", n), self.get(f"{name}.bias", n), 1e-5)


def block(w: Weights, name: str, x: torch.Tensor, time: torch.Tensor, out: int, shift: bool, resample: Any = None):
    h = F.silu(w.norm(f"{name}.in_layers.0", x))
    if resample is not None:
        h, x = resample(h), resample(x)
    h = w.conv(f"{name}.in_layers.2", h, out)
    embedded = w.linear(f"{name}.emb_layers.1", F.silu(time), 2 * out if shift else out)[..., None, None]
    if shift:
        scale, offset = embedded.chunk(2, dim=1)
        h = w.norm(f"{name}.out_layers.0", h) * (1 + scale) + offset
    else:
        h = w.norm(f"{name}.out_layers.0", h + embedded)
    h = w.conv(f"{name}.out_layers.3", F.silu(h), out)
    return h + (x if x.shape[1] == out else w.conv(f"{name}.skip_connection", x, out, 1))


def attention(w: Weights, name: str, x: torch.Tensor, heads: int, new_order: bool) -> torch.Tensor:
    b, c, *space = x.shape
    flat = x.flatten(2)
    qkv = w.conv(f"{name}.qkv", w.norm(f"{name}.norm", flat), 3 * c, 1)
    shape = (b, 3, heads, -1) if new_order else (b, heads, 3, -1)
    q, k, v = qkv.unflatten(1, shape[1:]).unbind(1 if new_order else 2)  # (b, heads, d, n) each
    weight = torch.einsum("bhdn,bhdm->bhnm", q, k).div(math.sqrt(q.shape[2])).softmax(-1)
    mixed = torch.einsum("bhnm,bhdm->bhdn", weight, v).flatten(1, 2)
    return (flat + w.conv(f"{name}.proj_out", mixed, c, 1)).reshape(b, c, *space)


def pooled(w: Weights, flags: Mapping[str, Any], h: torch.Tensor) -> torch.Tensor:
    """The logits of a classifier."""
    h = h.flatten(2)
    if flags["pool"] == "adaptive":
        return w.conv("out.3", h.mean(2)[..., None, None], CLASSES, 1)[..., 0, 0]
    h = torch.cat([h.mean(2, keepdim=True), h], dim=2)
    h = h + w.get("out.2.positional_embedding", *h.shape[1:])
    heads = h.shape[1] // flags["num_head_channels"]
    q, k, v = w.conv("out.2.qkv_proj", h, 3 * h.shape[1], 1).unflatten(1, (3, heads, -1)).unbind(1)
    weight = torch.einsum("bhd,bhdm->bhm", q[..., 0], k).div(math.sqrt(q.shape[2])).softmax(-1)
    mixed = torch.einsum("bhm,bhdm->bhd", weight, v).flatten(1)
    return w.conv("out.2.c_proj", mixed[..., None], CLASSES, 1)[..., 0]


def forward(
    state: dict[str, torch.Tensor], flags: Mapping[str, Any], x: torch.Tensor, t: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """The output for x (B, C, H, W) at t (B,) with labels y (B,), drawing the weights that ``state`` lacks.

    With a flag ``pool``, the logits of a classifier.
    """
    w, width, shift = Weights(state), flags["num_channels"], flags["use_scale_shift_norm"]
    frequencies = torch.exp(-math.log(10_000) * torch.arange(width // 2, dtype=torch.float32) / (width // 2))
    angle = t.float()[:, None] * frequencies
    time = w.linear("time_embed.0", torch.cat([angle.cos(), angle.sin()], dim=1), 4 * width)
    time = w.linear("time_embed.2", F.silu(time), 4 * width)
    if flags["class_cond"]:
        time = time + w.get("label_emb.weight", CLASSES, 4 * width)[y]
    channels = [int(float(m) * width) for m in flags["channel_mult"].split(",")]
    sides = [int(word) for word in flags["attention_resolutions"].split(",")]
    attends = [flags["image_size"] // 2**i in sides for i in range(len(channels))]
    convolves = flags.get("conv_resample", True)

    def attend(name: str, h: torch.Tensor) -> torch.Tensor:
        each = flags["num_head_channels"]
        heads = flags["num_heads"] if each == -1 else h.shape[1] // each
        return attention(w, name, h, heads, flags["use_new_attention_order"])

    h = w.conv("input_blocks.0.0", x, channels[0])
    skips, n = [h], 0
    for i, c in enumerate(channels):
        for _ in range(flags["num_res_blocks"]):
            n += 1
            h = block(w, f"input_blocks.{n}.0", h, time, c, shift)
            h = attend(f"input_blocks.{n}.1", h) if attends[i] else h
            skips.append(h)
        if i < len(channels) - 1:
            n += 1
            if flags["resblock_updown"]:
                h = block(w, f"input_blocks.{n}.0", h, time, c, shift, lambda z: F.avg_pool2d(z, 2))
            else:
                h = w.conv(f"input_blocks.{n}.0.op", h, c, stride=2) if convolves else F.avg_pool2d(h, 2)
            skips.append(h)
    h = block(w, "middle_block.0", h, time, channels[-1], shift)
    h = block(w, "middle_block.2", attend("middle_block.1", h), time, channels[-1], shift)
    if "pool" in flags:
        return pooled(w, flags, F.silu(w.norm("out.0", h)))
    n = -1
    for i, c in reversed(list(enumerate(channels))):
        for j in range(flags["num_res_blocks"] + 1):
            n += 1
            h = block(w, f"output_blocks.{n}.0", torch.cat([h, skips.pop()], dim=1), time, c, shift)
            h = attend(f"output_blocks.{n}.1", h) if attends[i] else h
            if i and j == flags["num_res_blocks"]:
                last = f"output_blocks.{n}.{2 if attends[i] else 1}"
                if flags["resblock_updown"]:
                    h = block(w, last, h, time, c, shift, lambda z: F.interpolate(z, scale_factor=2))
                else:
                    h = F.interpolate(h, scale_factor=2)
                    h = w.conv(f"{last}.conv", h, c) if convolves else h
    out = flags.get("out_channels", x.shape[1]) * (2 if flags["learn_sigma"] else 1)
    return w.conv("out.2", F.silu(w.norm("out.0", h)), out)


def make_state(flags: Mapping[str, Any], channels: int = 3) -> dict[str, torch.Tensor]:
    """Random weights of such a network."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {}
    side = flags["image_size"]
    forward(state, flags, torch.zeros(1, channels, side, side), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    return state


def text(flags: Mapping[str, Any]) -> str:
    """Flags as they are typed."""
    return " ".join(f"--{name} {value}" for name, value in flags.items())
