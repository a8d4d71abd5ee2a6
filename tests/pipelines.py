"""Pipelines of Stable Diffusion made on the spot: the published settings, shrunk, with random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel

from randomised import randomised
from text_encoders import clip_tokenizer, save_encoder

PROMPT, NEGATIVE = "a red cat on the house", "a small dog"
LENGTH = 12


def vae(**changes: Any) -> AutoencoderKL:
    """The autoencoder of Stable Diffusion 1.5, narrower and with a factor of 4."""
    settings: dict[str, Any] = {
        "block_out_channels": (8, 16, 16),
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "layers_per_block": 2,
        "norm_num_groups": 4,
        "sample_size": 32,
    }
    return randomised(lambda: AutoencoderKL(**settings | changes)).eval()


def unet(**changes: Any) -> UNet2DConditionModel:
    """The network of Stable Diffusion 1.5, narrower and shallower."""
    settings: dict[str, Any] = {
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "sample_size": 8,
    }
    return randomised(lambda: UNet2DConditionModel(**settings | changes)).eval()


def scheduler(**changes: Any) -> DDIMScheduler:
    """The process of Stable Diffusion."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        timestep_spacing="trailing",
        **changes,
    )


def text(folder: Path) -> tuple[Any, Any]:
    """The text encoder, and its tokenizer with a limited length."""
    save_encoder(folder, "clip_text_model")
    tokenizer = clip_tokenizer(model_max_length=LENGTH)
    return CLIPTextModel.from_pretrained(folder), tokenizer


def pipeline(folder: Path, *, inpainting: bool = False, **parts: Any) -> Any:
    """A pipeline with these parts in place of its own; files go to a folder."""
    encoder, tokenizer = text(folder)
    found = {
        "vae": vae(),
        "unet": unet(in_channels=9 if inpainting else 4),
        "text_encoder": encoder,
        "tokenizer": tokenizer,
        "scheduler": scheduler(),
        "safety_checker": None,
        "feature_extractor": None,
    }
    kind = StableDiffusionInpaintPipeline if inpainting else StableDiffusionPipeline
    made = kind(**found | parts, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made


def saved(folder: Path, **how: Any) -> Path:
    """A saved pipeline; the folder."""
    with torch.no_grad():
        pipeline(folder / "encoder", **how).save_pretrained(folder / "pipeline")
    return folder / "pipeline"
