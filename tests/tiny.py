"""The smallest pipeline that has all parts, with no training behind it."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from ddpm import build
from ddpm.config.data import DataConfig
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.dit import DiTSettings, PlainDiTSettings
from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.config.network import NetworkSettings, UNetSettings
from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.text import WordsConfig
from ddpm.config.training import TrainSettings
from ddpm.config.upscaling import UpscalingConfig
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.run import LoadedRun
from ddpm.pipeline import Pipeline

TEXT = WordsConfig(vocabulary="red green blue heart shape", characters="abcdefghijklmnopqrstuvwxyz", length=8)
CLASSES = ("circle", "square", "star")
NETWORKS = {
    "unet": UNetSettings(width=8, multipliers=(1, 2), blocks=1, attention=(2,), cond_width=8),
    "dit": DiTSettings(depth=2, width=32, heads=2, cond_width=32, class_tokens=2, long_skips=True, final_conv=True),
    "plain-dit": PlainDiTSettings(depth=2, width=32, heads=2, cond_width=32),
    "plain-unet": PlainUNetSettings(
        width=8, multipliers=(1, 2), blocks=(1,), attention=("self", "transformer"), norm_groups=4, cond_width=32
    ),
    "lucidrains-unet": LucidrainsUNetSettings(
        width=8, multipliers=(1, 2), heads=(2, 2), head_width=(4, 4), cond_width=8
    ),
}
"""The smallest network of each kind that has all parts."""


@cache
def loaded(mode: Any, steps: int = 3, scale: int | None = None, kind: str = "unet", *, text: bool = False) -> LoadedRun:
    """A small conditional network of 8 × 8 images, with weights that are random also where a fresh one begins at zero.

    Args:
        scale: how many times it makes small images larger; None for one that draws from nothing.
        text: whether it takes captions as well.
    """
    channels = len(mode)
    seen = channels if scale is None else 2 * channels
    network = TypeAdapter(NetworkSettings).dump_python(NETWORKS[kind])
    if text and kind in ("unet", "plain-unet"):
        network["token_width"] = network["cond_width"]
    config = RunConfig(
        recipe="auto",
        request={},
        data=DataConfig(
            source="shapes", fingerprint="", images=100, held_out=0, size=(8, 8), mode=mode, classes=CLASSES
        ),
        diffusion=DiffusionConfig(schedule="cosine", T=100, prediction="v"),
        network={
            **network,
            "in_channels": seen,
            "out_channels": channels,
        },
        training=TrainSettings(images=1),
        sampling=SamplingConfig.of(steps=steps),
        upscaling=None if scale is None else UpscalingConfig(scale=scale),
        text=TEXT if text else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build.build_model(config)
        with torch.no_grad():
            for p in model.parameters():
                p += 0.1 * torch.randn_like(p)
    model.eval().requires_grad_(False)
    engine, encoder = Diffusion.of(config, model, torch.device("cpu")), build.build_text(config, torch.device("cpu"))
    return LoadedRun(engine, config, Path("shapes"), "", text=encoder)


def pipeline(mode: Any, steps: int = 3, scale: int | None = None, kind: str = "unet") -> Pipeline:
    """The same with its face."""
    return Pipeline(loaded(mode, steps, scale, kind))
