"""Pipelines of Stable Diffusion in the format of diffusers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as tensors_to_bytes

from ddpm.config.plain_unet import PlainUNetSettings
from ddpm.exchange.diffusers.autoencoder import read_autoencoder
from ddpm.exchange.diffusers.folder import (
    CONFIG,
    PIPELINE,
    PipelinePart,
    class_name,
    read_part,
    settings_in,
    weights_file,
)
from ddpm.exchange.diffusers.scheduler import read_scheduler
from ddpm.exchange.diffusers.unet import read_unet
from ddpm.exchange.files import read_tensors
from ddpm.exchange.flags import refuse_flags
from ddpm.exchange.imported import Imported
from ddpm.exchange.text import StoredText, stored_text, tokenizer_files
from ddpm.exchange.text_to_image import text_to_image
from ddpm.system.errors import InputError
from ddpm.text.folder import WEIGHTS

PIPELINES = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline")
PARTS: dict[str, tuple[str, ...]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "scheduler": (),
}
"""The parts of a pipeline that are read, and their classes; none for any."""
SIDE = 64
"""The side of the latents if the network does not state it, as in diffusers."""


def recognises(path: Path) -> bool:
    """Whether a folder is a pipeline with a text encoder, supported or not."""
    name = class_name(path / PIPELINE)
    return name in PIPELINES or (bool(name) and "text_encoder" in settings_in(path / PIPELINE))


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a pipeline.

    Raises:
        InputError: it is another one than Stable Diffusion 1 or 2, its files are missing or damaged, or a setting is
            not supported.
    """
    refuse_flags(flags, path)
    index = settings_in(path / PIPELINE)
    left_out = _check(index, path)
    unet, vae = read_part(path / "unet"), read_part(path / "vae")
    text, text_words = _text(path)
    codec = read_autoencoder(vae.config, vae.tensors)
    network, weights, labels = read_unet(unet.config, unet.tensors)
    if not isinstance(network, PlainUNetSettings) or labels is not None:
        raise InputError(
            "incompatible", f"{unet.file} is not a network conditioned on captions alone; use another model"
        )
    scheduler = path / "scheduler" / "scheduler_config.json"
    process = read_scheduler(settings_in(scheduler), str(scheduler))
    side, inferred = _size(unet)
    return text_to_image(
        network,
        weights,
        codec,
        text,
        process.trees,
        size=side,
        source=str(path),
        read=(unet.words, vae.words, text_words, *process.read),
        inferred=(*inferred, *process.inferred, *left_out),
    )


def _check(index: Mapping[str, Any], path: Path) -> list[str]:
    """Check the parts of a pipeline; return a line about those that are left out.

    Raises:
        InputError: the pipeline or one of its parts is not supported.
    """
    name = index.get("_class_name")
    if name not in PIPELINES:
        raise InputError(
            "incompatible",
            f"{path} is a {name}, which is not supported; use a pipeline of Stable Diffusion 1 or 2: "
            f"{', '.join(PIPELINES)}",
        )
    found = {part: value[1] for part, value in index.items() if isinstance(value, list) and len(value) == 2}
    for part, known in PARTS.items():
        if found.get(part) is None:
            raise InputError("missing", f"{path} has no {part}; use a complete pipeline")
        if known and found[part] not in known:
            raise InputError(
                "incompatible",
                f"the {part} of {path} is a {found[part]}, which is not supported; use one of {', '.join(known)}",
            )
    others = [part.replace("_", " ") for part, kind in found.items() if kind is not None and part not in PARTS]
    return [f"{' and '.join(others)} left out"] if others else []


def _text(path: Path) -> tuple[StoredText, str]:
    """The text encoder, and what was read."""
    folder = path / "text_encoder"
    file, config = weights_file(folder), settings_in(folder / CONFIG)
    if file.suffix == ".safetensors":
        weights: Path | bytes = file
    else:
        found = {name: tensor.contiguous() for name, tensor in read_tensors(file).items()}
        weights = tensors_to_bytes(found, {"format": "pt"})
    files = {CONFIG: folder / CONFIG, WEIGHTS: weights, **tokenizer_files(path / "tokenizer")}
    text = stored_text(files, str(folder))
    name = next(iter(config.get("architectures") or ("CLIPTextModel",)))
    return text, f"{name}, {text.config.length} tokens of width {text.config.width}, from {file}"


def _size(unet: PipelinePart) -> tuple[tuple[int, int], list[str]]:
    """(H, W) of the latents, and a line about it if no file states it."""
    side = unet.config.get("sample_size")
    if side is None:
        return (SIDE, SIDE), [f"latents of {SIDE} × {SIDE}, as unet/config.json does not say it"]
    height, width = side if isinstance(side, list) else (side, side)
    return (height, width), []
