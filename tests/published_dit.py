"""The transformer of Peebles & Xie 2023 as a function of its weights, written from the paper and their names."""

import math

import torch
import torch.nn.functional as F


def sines(places: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) float64 -> (N, width), sines before cosines."""
    angle = places[:, None] / 10_000 ** (torch.arange(width // 2, dtype=torch.float64) / (width // 2))
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def make_state(depth=2, width=16, patch=2, channels=3, out=6, side=4, classes=3) -> dict[str, torch.Tensor]:
    """Random weights for images of ``side`` patches."""
    torch.manual_seed(0)
    layers = {"t_embedder.mlp.0": (width, 256), "t_embedder.mlp.2": (width, width)}
    layers |= {"x_embedder.proj": (width, channels, patch, patch), "final_layer.linear": (patch**2 * out, width)}
    layers |= {"final_layer.adaLN_modulation.1": (2 * width, width)}
    for i in range(depth):
        layers |= {f"blocks.{i}.attn.qkv": (3 * width, width), f"blocks.{i}.attn.proj": (width, width)}
        layers |= {f"blocks.{i}.mlp.fc1": (4 * width, width), f"blocks.{i}.mlp.fc2": (width, 4 * width)}
        layers |= {f"blocks.{i}.adaLN_modulation.1": (6 * width, width)}
    state = {"y_embedder.embedding_table.weight": torch.randn(classes + 1, width)}
    for name, shape in layers.items():
        state[f"{name}.weight"] = torch.randn(shape) / math.sqrt(math.prod(shape[1:]))
        state[f"{name}.bias"] = 0.2 * torch.randn(shape[0])
    rows, columns = (g.flatten() for g in torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij"))
    state["pos_embed"] = torch.cat([sines(columns, width // 2), sines(rows, width // 2)], dim=1).float()[None]
    return state


def forward(
    state: dict[str, torch.Tensor], heads: int, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """The output for x (B, C, H, W) at t (B,) with labels y (B,)."""

    def linear(name: str, h: torch.Tensor) -> torch.Tensor:
        return F.linear(h, state[f"{name}.weight"], state[f"{name}.bias"])

    def modulated(h: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(h, h.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    angle = t.float()[:, None] * torch.exp(-math.log(10_000) * torch.arange(128) / 128)
    time = linear("t_embedder.mlp.0", torch.cat([angle.cos(), angle.sin()], dim=1))
    c = F.silu(linear("t_embedder.mlp.2", F.silu(time)) + state["y_embedder.embedding_table.weight"][y])
    patch = state["x_embedder.proj.weight"].shape[-1]
    h = F.conv2d(x, state["x_embedder.proj.weight"], state["x_embedder.proj.bias"], stride=patch)
    grid = h.shape[2:]
    h = h.flatten(2).transpose(1, 2) + state["pos_embed"]
    i = 0
    while f"blocks.{i}.attn.qkv.weight" in state:
        parts = linear(f"blocks.{i}.adaLN_modulation.1", c).chunk(6, dim=1)
        q, k, v = linear(f"blocks.{i}.attn.qkv", modulated(h, *parts[:2])).chunk(3, dim=2)
        q, k, v = (z.unflatten(2, (heads, -1)).transpose(1, 2) for z in (q, k, v))
        weight = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(-1)
        mixed = linear(f"blocks.{i}.attn.proj", (weight @ v).transpose(1, 2).flatten(2))
        h = h + parts[2][:, None] * mixed
        hidden = F.gelu(linear(f"blocks.{i}.mlp.fc1", modulated(h, *parts[3:5])), approximate="tanh")
        h = h + parts[5][:, None] * linear(f"blocks.{i}.mlp.fc2", hidden)
        i += 1
    h = linear("final_layer.linear", modulated(h, *linear("final_layer.adaLN_modulation.1", c).chunk(2, dim=1)))
    h = h.reshape(len(x), *grid, patch, patch, -1)
    return torch.einsum("nhwpqc->nchpwq", h).reshape(len(x), h.shape[-1], *x.shape[2:])
