"""The networks of a run as functions of tensors alone."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ddpm.codec import AutoencoderCodec, TrainedAutoencoder
from ddpm.config.run import RunConfig
from ddpm.config.text import WordsConfig
from ddpm.core.model import Model
from ddpm.engine.run import LoadedRun
from ddpm.text.pretrained import PretrainedEncoder

ROWS = 3
"""The rows of the examples, an unusual number that is not confused with any other dimension."""


@dataclass(frozen=True)
class Graph:
    """A network to export.

    Attributes:
        name: of its file.
        module: the network, on the CPU.
        inputs: examples of its inputs by name, of ``ROWS`` rows each.
        output: the name of its output.
    """

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    output: str


class Conditioned(nn.Module):
    """``(x, t, raw conditions …) -> output`` of a model, with its conditioners."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.kinds = model, tuple(model.conditioners)

    def forward(self, x: torch.Tensor, t: torch.Tensor, *raw: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W), t (B,), one raw condition (B, …) of each kind -> (B, C', H, W)."""
        cond = self.model.cond(dict(zip(self.kinds, raw, strict=True)), x.shape[0])
        out: torch.Tensor = self.model.net(x, t, cond)
        return out


class Decoding(nn.Module):
    """Normalised latents -> images in [-1, 1], roughly, colours multiplied by alpha if there is one."""

    def __init__(self, trained: TrainedAutoencoder) -> None:
        super().__init__()
        self.net: Any = trained.net
        self.mean, self.spread = (nn.Buffer(values[:, None, None]) for values in trained[1:])

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(B, C', h, w) -> (B, C, H, W)."""
        images: torch.Tensor = self.net.decode(z * self.spread + self.mean)
        return images


class Encoding(nn.Module):
    """Images in [-1, 1], colours multiplied by alpha if there is one -> the mean of their normalised latents."""

    def __init__(self, trained: TrainedAutoencoder) -> None:
        super().__init__()
        self.net: Any = trained.net
        self.mean, self.spread = (nn.Buffer(values[:, None, None]) for values in trained[1:])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', h, w)."""
        z: torch.Tensor = (self.net.moments(images)[0] - self.mean) / self.spread
        return z


class Features(nn.Module):
    """Tokens of a pretrained text encoder -> the features of each."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Two of (B, L) int64 -> (B, L, E)."""
        out: torch.Tensor = self.net(input_ids=ids, attention_mask=mask).last_hidden_state
        return out


def denoiser(run: LoadedRun) -> Graph:
    """The network with the encoders of its conditions."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, *run.engine.shape, generator=random)
    t = torch.tensor([run.engine.schedule.level(max(1, run.engine.schedule.T * i // ROWS)).t for i in range(ROWS)])
    model = deepcopy(run.engine.model).float().cpu().eval()
    raw = {kind: RAW[kind](run.config, random) for kind in model.conditioners}
    return Graph("denoiser", Conditioned(model), {"x": x, "t": t.float(), **raw}, "output")


def autoencoder(run: LoadedRun) -> list[Graph]:
    """The decoder and the encoder of a run in latents; empty for any other run."""
    if not isinstance(run.engine.codec, AutoencoderCodec):
        return []
    trained = run.engine.codec.trained
    trained = TrainedAutoencoder(deepcopy(trained.net).float().cpu(), trained.mean.cpu(), trained.spread.cpu())  # type: ignore[attr-defined]
    random = torch.Generator().manual_seed(0)
    images = torch.rand(ROWS, len(run.config.data.mode), *run.config.data.size, generator=random) * 2 - 1
    z = torch.randn(ROWS, *run.engine.shape, generator=random)
    return [
        Graph("decoder", Decoding(trained), {"z": z}, "images"),
        Graph("encoder", Encoding(trained), {"images": images}, "z"),
    ]


def text(encoder: PretrainedEncoder) -> Graph:
    """A pretrained text encoder without its tokenizer."""
    length = encoder.tokens.length
    ids = torch.arange(ROWS * length).reshape(ROWS, length) % encoder.net.get_input_embeddings().num_embeddings
    mask = (torch.arange(length) < torch.tensor([[length], [length - 1], [1]])).long()
    return Graph("text", Features(deepcopy(encoder.net).float().cpu()), {"ids": ids, "mask": mask}, "features")


def _label(config: RunConfig, random: torch.Generator) -> torch.Tensor:
    return torch.arange(ROWS) % (len(config.data.classes) + 1)


def _caption(config: RunConfig, random: torch.Generator) -> torch.Tensor:
    """Tokens and their weights, the last one being padding."""
    assert config.text is not None
    length, width = config.text.length, 1 if isinstance(config.text, WordsConfig) else config.text.width
    weights = torch.ones(ROWS, length, 1)
    weights[:, -1] = 0
    if width == 1:
        return torch.cat([torch.arange(ROWS * length).reshape(ROWS, length, 1) % 8, weights], 2)
    return torch.cat([torch.randn(ROWS, length, width, generator=random), weights], 2)


def _low_resolution(config: RunConfig, random: torch.Generator) -> torch.Tensor:
    """Enlarged images, and the strength of their noise in the last channel."""
    images = torch.rand(ROWS, len(config.data.mode), *config.data.size, generator=random) * 2 - 1
    return torch.cat([images, torch.zeros_like(images[:, :1])], 1)


def _masked_image(config: RunConfig, random: torch.Generator) -> torch.Tensor:
    """The mask, and x without what it hides."""
    x = torch.randn(ROWS, *config.shape, generator=random)
    return torch.cat([torch.ones_like(x[:, :1]), x], 1)


def _number(config: RunConfig, random: torch.Generator) -> torch.Tensor:
    return 1 + torch.rand(ROWS, generator=random)


RAW: dict[str, Callable[[RunConfig, torch.Generator], torch.Tensor]] = {
    "label": _label,
    "caption": _caption,
    "low_resolution": _low_resolution,
    "masked_image": _masked_image,
    "steps": _number,
    "guidance": _number,
}
"""Examples of raw conditions by kind."""
