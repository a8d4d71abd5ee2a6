"""The features of two large vision networks, DINOv2 and CLIP, through transformers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from ddpm.metrics.features.rgb import as_rgb
from ddpm.metrics.features.weights import extractor_hash
from ddpm.system.device import exact_convolutions
from ddpm.system.errors import InputError
from ddpm.system.files import parse_json, read_file
from ddpm.system.pretrained import import_transformers, loading, read_network

Triple = tuple[float, float, float]

CLIP_COLOURS: tuple[Triple, Triple] = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""The mean and standard deviation of the channels that CLIP was trained with."""

PIECE = 32
"""The batch size."""
ADVICE = (
    "use --weights FOLDER with config.json and model.safetensors, or --weights NAME of a model on huggingface.co if "
    "you are online"
)
"""The fix for a network that cannot be loaded."""


def prepared(images: torch.Tensor, size: int, mean: Triple, std: Triple) -> torch.Tensor:
    """``(x / 255 - mean) / std`` of pictures resized to size × size: (B, H, W, C) uint8 -> (B, 3, size, size) float32.

    Pictures are resized to a square without cropping, whatever their proportions, as in Stein et al. 2023: by Pillow's
    antialiased bicubic interpolation, which rounds to 8 bits after each of the two axes.
    """
    x = as_rgb(images)
    for shape in ((x.shape[-2], size), (size, size)):  # along rows first
        x = F.interpolate(x, shape, mode="bicubic", antialias=True).round().clamp(0, 255)
    centre, scale = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (mean, std))
    return (x / 255 - centre) / scale


class Vision:
    """A network of transformers as an Extractor, computed in float32, never in TF32.

    Args:
        name: the name on the command line.
        net: the network.
        embed: (B, 3, size, size) pixels -> (B, dim) features.
        size, colours: how pictures are prepared; the colours are the mean and standard deviation of each channel.
    """

    def __init__(
        self,
        name: str,
        net: torch.nn.Module,
        embed: Callable[[torch.Tensor], torch.Tensor],
        dim: int,
        size: int,
        colours: tuple[Triple, Triple],
        device: torch.device,
    ) -> None:
        self.name = name
        self.dim = dim
        self.size = (size, size)
        self.resize = f"antialiased bicubic straight to {size} × {size}, as Pillow does it"
        mean, std = colours
        preparation = f"Preparation({size=}, {mean=}, {std=}); {self.resize}; alpha on white"
        self.hash = extractor_hash(net.state_dict(), preparation)
        self._prepare, self._embed, self._device = partial(prepared, size=size, mean=mean, std=std), embed, device
        net.to(device)

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 -> (B, dim) float32, on the CPU."""
        with exact_convolutions():
            pieces = [self._embed(self._prepare(piece.to(self._device))).cpu() for piece in torch.split(images, PIECE)]
        return torch.cat(pieces)


def dinov2(weights: str | None, device: torch.device) -> Vision:
    """Load DINOv2 (Oquab et al. 2023): the class token after the last norm, of pictures of 224 × 224.

    Args:
        weights: a folder or a name on huggingface.co; by default facebook/dinov2-large, the ViT-L/14 of Stein et al.
            2023, as distances are only comparable between papers with the same network.

    Raises:
        InputError: transformers is not installed, or the weights cannot be loaded.
    """
    source = weights or "facebook/dinov2-large"
    net, given = _load(source, "Dinov2Model", {"dinov2"})
    standard = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    crop = given.get("crop_size", 224)
    size = crop.get("height", 224) if isinstance(crop, dict) else crop
    return Vision(
        "dinov2",
        net,
        lambda x: net(pixel_values=x).last_hidden_state[:, 0],
        net.config.hidden_size,
        size,
        colours(source, given, *standard),
        device,
    )


def clip(weights: str | None, device: torch.device) -> Vision:
    """Load CLIP (Radford et al. 2021): the picture's projected embedding, not normalised.

    Args:
        weights: a folder or a name on huggingface.co; by default openai/clip-vit-large-patch14-336, the network of
            CMMD (Jayasumana et al. 2024), which normalises each embedding.

    Raises:
        InputError: transformers is not installed, or the weights cannot be loaded.
    """
    source = weights or "openai/clip-vit-large-patch14-336"
    net, given = _load(source, "CLIPVisionModelWithProjection", {"clip", "clip_vision_model"})
    return Vision(
        "clip",
        net,
        lambda x: net(pixel_values=x).image_embeds,
        net.config.projection_dim,
        net.config.image_size,
        colours(source, given, *CLIP_COLOURS),
        device,
    )


def _load(source: str, kind: str, types: set[str]) -> tuple[Any, dict[str, Any]]:
    """Load the network in float32 and its preprocessor_config.json. Weights are read from safetensors only."""
    transformers = import_transformers("DINOv2 and CLIP", "features")
    with loading(source, ADVICE):
        found = transformers.AutoConfig.from_pretrained(source).model_type
        if found not in types:
            raise InputError(
                "incompatible",
                f"{source} is a network of type {found}; use one of type {' or '.join(sorted(types))}",
            )
        return read_network(getattr(transformers, kind), source), preprocessor(source)


def preprocessor(source: str) -> dict[str, Any]:
    """Read preprocessor_config.json; empty if the network has none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    name = "preprocessor_config.json"
    try:
        path = Path(source) / name if Path(source).is_dir() else Path(hf_hub_download(source, name))
        given = parse_json(read_file(path))
    except (FileNotFoundError, EntryNotFoundError):
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"{name} is not a JSON object")
    return given


def colours(source: str, given: dict[str, Any], mean: Triple, std: Triple) -> tuple[Triple, Triple]:
    """Return the mean and standard deviation of the channels: as given, or the standard ones of the family."""
    found = tuple(tuple(given.get(key) or value) for key, value in (("image_mean", mean), ("image_std", std)))
    if any(len(values) != 3 for values in found):
        raise InputError(
            "unreadable",
            f"preprocessor_config.json of {source} has an invalid image_mean or image_std; use three numbers each",
        )
    return found[0], found[1]
