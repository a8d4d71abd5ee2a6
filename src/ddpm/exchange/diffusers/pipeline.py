"""Pipelines of diffusers without text, and its UNet2DModel alone."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ddpm.config.data import DataConfig
from ddpm.config.network import UNetSettings
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.exchange.diffusers.autoencoder import read_autoencoder
from ddpm.exchange.diffusers.dit_pipeline import read_dit_pipeline
from ddpm.exchange.diffusers.folder import CONFIG, PIPELINE, PipelinePart, class_name, read_part, settings_in
from ddpm.exchange.diffusers.scheduler import Process, read_scheduler
from ddpm.exchange.diffusers.unet import read_unet
from ddpm.exchange.flags import refuse_flags
from ddpm.exchange.imported import DROPOUT, LABEL_TABLE, MODES, Imported
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import InputError
from ddpm.system.names import Mode

SCHEDULER = "scheduler_config.json"
USUAL = {"_class_name": "DDPMScheduler"}
"""The scheduler of a network that came without one."""
SIDE = 64
"""The side of x if the network does not state it."""


def recognises(path: Path) -> bool:
    """Whether a folder is a pipeline without text, supported or not, or a UNet2DModel."""
    name = class_name(path / PIPELINE)
    if name:
        return name in READERS or "text_encoder" not in settings_in(path / PIPELINE)
    return class_name(path / CONFIG) in READERS


def read_model(path: Path, flags: str | None) -> Imported:
    """Read a pipeline or a network.

    Raises:
        InputError: it is another kind of model, its files are missing or damaged, or a setting is not supported.
    """
    refuse_flags(flags, path)
    name = class_name(path / PIPELINE) or class_name(path / CONFIG)
    if name not in READERS:
        raise InputError(
            "incompatible", f"{path} is a {name}, which is not supported; use one of {', '.join(sorted(READERS))}"
        )
    return READERS[name](path)


def _pixels(path: Path) -> Imported:
    """A network of pixels and its scheduler, or the network alone."""
    return _imported(path, read_part(_part(path, "unet")))


def _latents(path: Path) -> Imported:
    """A network of latents, an autoencoder and a scheduler."""
    vae = read_part(_part(path, "vqvae"))
    return _imported(path, read_part(_part(path, "unet")), read_autoencoder(vae.config, vae.tensors), (vae.words,))


def _part(path: Path, name: str) -> Path:
    """The folder of a part: the first pipelines have the network and the scheduler next to model_index.json."""
    return path / name if (path / name).is_dir() else path


def _imported(path: Path, unet: PipelinePart, codec: StoredCodec | None = None, read: tuple[str, ...] = ()) -> Imported:
    network, weights, labels = read_unet(unet.config, unet.tensors)
    learned = network.out_channels == 2 * network.in_channels
    process = _process(path, learned)
    mode, size, said = _images(unet, network.in_channels, codec)
    classes: tuple[str, ...] = ()
    null = False
    if labels is not None:
        classes, null, named = _classes(path, len(labels))
        said += named
        # a row that is never used where there is no null label
        weights[LABEL_TABLE] = labels if null else torch.cat([labels, torch.zeros_like(labels[:1])])
    config = RunConfig.parse(
        {
            "recipe": IMPORTED,
            "request": {"import": str(path)},
            "data": DataConfig.unknown(size, mode, classes).model_dump(),
            "network": asdict(network) if isinstance(network, UNetSettings) else network.model_dump(),
            "training": {"images": 0, "label_dropout": DROPOUT if null else 0.0},
            **({} if codec is None else {"codec": codec.settings.model_dump()}),
            **({"objective": {"loss": "hybrid"}} if learned else {}),
            **_sections(process, codec),
        },
        str(path),
    )
    words = unet.words + (" (as our U-Net)" if network.kind == "unet" else "")
    return Imported(config, weights, (words, *read, *process.read), (*said, *process.inferred), codec)


def _process(path: Path, learned: bool) -> Process:
    """The scheduler of a pipeline, or that of Ho et al. 2020 for a network alone.

    Raises:
        InputError: a pipeline has none, or it is not supported.
    """
    file = _part(path, "scheduler") / SCHEDULER
    if file.exists() or (path / PIPELINE).exists():
        return read_scheduler(settings_in(file), str(file), learned=learned)
    process = read_scheduler(USUAL, str(path), learned=learned)
    said = f"no scheduler next to the network; taken to be that of Ho et al. 2020: {process.read[0]}"
    return Process(process.trees, (), (said, *process.inferred))


def _sections(process: Process, codec: StoredCodec | None) -> dict[str, Any]:
    """The sections of a run's settings from its scheduler; latents have no range to clip to."""
    if codec is None:
        return process.trees
    return {**process.trees, "sampling": {**process.trees["sampling"], "clip": {"kind": "none"}}}


def _images(unet: PipelinePart, channels: int, codec: StoredCodec | None) -> tuple[Mode, tuple[int, int], list[str]]:
    """The mode and (H, W) of the images, and lines about what was inferred.

    Raises:
        InputError: there is no such mode.
    """
    side = unet.config.get("sample_size") or SIDE
    size = (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
    said = [] if unet.config.get("sample_size") else [f"x of {SIDE} × {SIDE}, as sample_size is not set"]
    if codec is not None:
        factor, data = codec.config.network.factor, codec.config.data
        return data.mode, (size[0] * factor, size[1] * factor), said
    if channels not in MODES:
        raise InputError(
            "incompatible",
            f"{unet.file} has {channels} channels, which is neither grey nor colour; latents need their autoencoder",
        )
    return MODES[channels], size, [*said, f"{MODES[channels]} images, as the network has {channels} channels"]


def _classes(path: Path, labels: int) -> tuple[tuple[str, ...], bool, list[str]]:
    """The names of the classes, whether there is a null label after them, and a line about them."""
    index = settings_in(path / PIPELINE) if (path / PIPELINE).exists() else {}
    names = index.get("id2label")
    if isinstance(names, dict) and len(names) in (labels, labels - 1):
        found = [names.get(str(i)) for i in range(len(names))]
        if all(isinstance(name, str) for name in found) and len(set(found)) == len(found):
            return tuple(map(str, found)), len(names) < labels, []
    return tuple(map(str, range(labels))), False, [f"{labels} classes without names, and no null label to guide with"]


READERS: dict[str, Callable[[Path], Imported]] = {
    "UNet2DModel": _pixels,
    "DDPMPipeline": _pixels,
    "DDIMPipeline": _pixels,
    "PNDMPipeline": _pixels,
    "LDMPipeline": _latents,
    "DiTPipeline": read_dit_pipeline,
}
"""By the name of the class in model_index.json, or in the config.json of a network alone."""
