"""An exact codec, an orthonormal transform of each 2 × 2 block: its runs must equal those of pixels."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ddpm.codec import PixelCodec
from ddpm.config.codec import AutoencoderCodecConfig
from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.run import LoadedRun

HAAR = 0.5 * torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64)
"""Rows are orthonormal: it rotates the values of a block, and so neither white noise nor a density changes."""


def to_patches(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, 4 C, H / 2, W / 2)."""
    blocks = torch.nn.functional.pixel_unshuffle(x, 2)
    b, _, h, w = blocks.shape
    return torch.einsum("ij,bcjhw->bcihw", HAAR.to(x), blocks.reshape(b, -1, 4, h, w)).reshape(b, -1, h, w)


def to_pixels(z: torch.Tensor) -> torch.Tensor:
    """The inverse."""
    b, _, h, w = z.shape
    blocks = torch.einsum("ij,bcihw->bcjhw", HAAR.to(z), z.reshape(b, -1, 4, h, w)).reshape(b, -1, h, w)
    return torch.nn.functional.pixel_shuffle(blocks, 2)


@dataclass(frozen=True)
class PatchCodec:
    moments: None = None

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return to_patches(PixelCodec().encode(images))

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        return PixelCodec().decode(to_pixels(x))

    def sample(self, stored: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        return self.encode(stored)


@dataclass(frozen=True)
class OfPatches:
    """A denoiser of pixels, of their coefficients."""

    denoise: Denoiser

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(to_patches(self.denoise(to_pixels(x), level, cond).x0))


class PatchNet(torch.nn.Module):
    """A network of pixels, of their coefficients."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        return to_patches(self.net(to_pixels(x), t, cond))


class PatchDiffusion(Diffusion):
    """An engine whose noise is that of the pixels."""

    def noise(self, rows: Any, size: tuple[int, int] | None = None, purpose: str = "image") -> Any:
        height, width = size or self.shape[1:]
        pixels = replace(super().noise(rows, purpose=purpose), shape=(self.shape[0] // 4, 2 * height, 2 * width))
        return lambda: to_patches(pixels())


def in_patches(run: LoadedRun) -> LoadedRun:
    """A run with the same network, whose x0 is the coefficients."""
    engine, (channels, height, width) = run.engine, run.engine.shape
    codec = AutoencoderCodecConfig(
        source="patches", weights="", factor=2, image_channels=channels, latent_channels=4 * channels
    )
    clip = {"clip": {"kind": "none"}}
    config = run.config.model_copy(
        update={"codec": codec, "sampling": run.config.sampling.model_validate(run.config.sampling.model_dump() | clip)}
    )
    made = PatchDiffusion(
        Model(PatchNet(engine.model.net), dict(engine.model.conditioners)).eval(),
        engine.schedule,
        engine.parameterisation,
        PatchCodec(),
        (4 * channels, height // 2, width // 2),
        engine.variance,
        factor=2,
    )
    return replace(run, engine=made, config=config, source=Path("patches"))
