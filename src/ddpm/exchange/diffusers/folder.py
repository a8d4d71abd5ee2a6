"""The parts of a pipeline of diffusers: folders of settings and weights."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from safetensors.torch import save as tensors_to_bytes

from ddpm.exchange.files import read_tensors
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.files import parse_json, read_file, write_file
from ddpm.system.record import Strict, explain

Foreign = TypeVar("Foreign", bound=Strict)

CONFIG, PIPELINE = "config.json", "model_index.json"
"""The settings of a part, and the parts of a pipeline."""
LONGEST = 1 << 20
"""The largest file of settings, in bytes; published ones have a few thousand."""
STEM = "(diffusion_pytorch_|pytorch_)?model"
WEIGHTS = (
    rf"{STEM}\.safetensors",
    rf"{STEM}\.safetensors\.index\.json",
    rf"{STEM}\.\w+\.safetensors",
    rf"{STEM}\.safetensors\.index\.\w+\.json",
    rf"{STEM}\.bin",
    rf"{STEM}\.bin\.index\.json",
    rf"{STEM}\.\w+\.bin",
)
"""Patterns of names of files of weights, best first: safetensors, then PyTorch's; whole, in shards, or of a variant."""


@dataclass(frozen=True)
class PipelinePart:
    """A part of a pipeline.

    Attributes:
        config: the contents of its config.json.
        tensors: its weights.
        file: where they are from.
        parameters: their number.
    """

    config: dict[str, Any]
    tensors: ForeignTensors
    file: Path
    parameters: int

    @property
    def words(self) -> str:
        """What was read: "UNet2DModel, 35,746,307 parameters, from unet/diffusion_pytorch_model.safetensors"."""
        name = self.config.get("_class_name") or next(iter(self.config.get("architectures") or ()), "model")
        return f"{name}, {self.parameters:,} parameters, from {self.file}"


def read_part(folder: Path) -> PipelinePart:
    """The settings and the weights in a folder.

    Raises:
        InputError: a file is missing or damaged, or would run code.
    """
    file = weights_file(folder)
    tensors = read_tensors(file)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    return PipelinePart(settings_in(folder / CONFIG), ForeignTensors(tensors, str(file)), file, parameters)


def write_part(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the settings and the weights of a part.

    Raises:
        InputError: a file cannot be written.
    """
    write_file(folder / CONFIG, as_json(config))
    # copies, as safetensors refuses a tensor under two names
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    write_file(folder / "diffusion_pytorch_model.safetensors", tensors_to_bytes(own, {"format": "pt"}))


def as_json(settings: Mapping[str, Any]) -> bytes:
    """Settings as the contents of a file."""
    return f"{json.dumps(settings, indent=2)}\n".encode()


def settings_in(path: Path) -> dict[str, Any]:
    """The settings in a JSON file.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        found = parse_json(read_file(path, LONGEST))
        if not isinstance(found, dict):
            raise ValueError("it holds no settings")
    except FileNotFoundError:
        raise InputError("missing", f"{path} does not exist; use a complete folder of diffusers") from None
    except (OSError, ValueError) as error:
        raise InputError("unreadable", f"{path} is damaged ({error}); download it again") from error
    return found


def parsed(kind: type[Foreign], config: Mapping[str, Any], source: str) -> Foreign:
    """Settings of a class, without the entries that only diffusers itself uses, which begin with "_".

    Raises:
        InputError: one is unknown, or not supported.
    """
    tree = {key: value for key, value in config.items() if key == "_class_name" or not key.startswith("_")}
    try:
        return kind.model_validate(tree)
    except ValidationError as e:
        raise InputError("incompatible", f"{source}: {explain(e, kind)}; use another model") from e


def class_name(path: Path) -> str:
    """The name of the class in a JSON file of settings; empty if there is none, or no such file."""
    try:
        return str(settings_in(path).get("_class_name") or "")
    except InputError:
        return ""


def weights_file(folder: Path) -> Path:
    """The file of the weights in a folder, or the index of its shards.

    Raises:
        InputError: there is none.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    for pattern in WEIGHTS:
        if found := [name for name in names if re.fullmatch(pattern, name)]:
            # averaged weights in the highest precision
            return folder / min(found, key=lambda name: ("non_ema" in name, "bf16" in name, "fp16" in name, name))
    raise InputError("missing", f"{folder} has no weights, such as model.safetensors; use a complete folder")
