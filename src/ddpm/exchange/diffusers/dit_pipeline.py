"""diffusers' DiTPipeline, and our ``plain-dit`` with class labels in latents."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ddpm.config.data import DataConfig
from ddpm.config.dit import PlainDiTSettings
from ddpm.config.run import IMPORTED, RunConfig
from ddpm.exchange.diffusers import dit
from ddpm.exchange.diffusers.autoencoder import read_autoencoder
from ddpm.exchange.diffusers.dit import ForeignDiT
from ddpm.exchange.diffusers.folder import PIPELINE, read_part, settings_in
from ddpm.exchange.diffusers.scheduler import read_scheduler
from ddpm.exchange.imported import DROPOUT, LABEL_TABLE, Imported
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError

CLASSES = 1000
"""The number of classes of the pipeline, whose null label is therefore 1000."""
GUIDANCE = 4.0
"""The pipeline's default guidance scale."""


def read_dit_pipeline(path: Path) -> Imported:
    """Read a folder of transformer, vae and scheduler.

    A table of fewer classes than the pipeline's, by the names in its index, is one that :func:`write_dit` padded.

    Raises:
        InputError: a file is missing or damaged, or a setting is not supported.
    """
    part, vae = read_part(path / "transformer"), read_part(path / "vae")
    found = dit.read_settings(part.config, str(part.file))
    weights = dit.read_weights(found, part.tensors)
    codec = read_autoencoder(vae.config, vae.tensors)
    names, said = _names(settings_in(path / PIPELINE).get("id2label"), found.classes)
    weights[LABEL_TABLE] = _without_filling(weights[LABEL_TABLE], len(names), str(part.file))
    learned = found.settings.out_channels == 2 * found.settings.in_channels
    scheduler = path / "scheduler" / "scheduler_config.json"
    process = read_scheduler(settings_in(scheduler), str(scheduler), learned=learned)
    side = found.side * codec.config.network.factor
    sampling = {**process.trees["sampling"], "clip": {"kind": "none"}, "guidance": {"scale": GUIDANCE}}
    config = RunConfig.parse(
        {
            "recipe": IMPORTED,
            "request": {"import": str(path)},
            "data": DataConfig.unknown((side, side), codec.config.data.mode, names).model_dump(),
            "diffusion": process.trees["diffusion"],
            "sampling": sampling,
            "objective": {"loss": "hybrid"} if learned else {},
            "network": found.settings.model_dump(),
            "codec": codec.settings.model_dump(),
            "training": {"images": 0, "label_dropout": DROPOUT},
        },
        str(path),
    )
    inferred = (*said, f"guidance {GUIDANCE:g}, the default of DiTPipeline", *process.inferred)
    return Imported(config, weights, (part.words, vae.words, *process.read), inferred, codec)


def write_dit(settings: PlainDiTSettings, weights: Weights, side: int) -> tuple[dict[str, Any], Weights]:
    """The contents of config.json of the pipeline's transformer, and its tensors.

    The table of labels is padded to the pipeline's classes with the null label.

    Args:
        side: the side of x.

    Raises:
        InputError: the pipeline has fewer classes.
    """
    classes = len(weights[LABEL_TABLE]) - 1
    if classes > CLASSES:
        raise InputError(
            "incompatible",
            f"diffusers' DiTPipeline has {CLASSES} classes, but the run {classes}; train a run with fewer classes",
        )
    table, null = weights[LABEL_TABLE], weights[LABEL_TABLE][-1:]
    filled = torch.cat([table[:-1], null.expand(CLASSES - classes + 1, -1)])
    tree = dit.write_settings(ForeignDiT(settings, CLASSES, side))
    return tree, dit.write_weights(settings, {**weights, LABEL_TABLE: filled})


def _without_filling(table: torch.Tensor, classes: int, source: str) -> torch.Tensor:
    """The rows of the classes that have names, and the null label."""
    if classes < len(table) - 1 and not torch.equal(table[classes:], table[-1:].expand(len(table) - classes, -1)):
        raise InputError(
            "incompatible",
            f"{source} has {len(table) - 1} classes, but id2label in {PIPELINE} names {classes}; complete it, or "
            "remove it to number them",
        )
    return torch.cat([table[:classes], table[-1:]])


def _names(id2label: object, classes: int) -> tuple[tuple[str, ...], list[str]]:
    """The names of the classes, those that occur twice with their number, and lines about what was inferred."""
    if not isinstance(id2label, Mapping) or not id2label:
        return tuple(map(str, range(classes))), [f"{classes} classes without names"]
    given = [id2label.get(str(i)) for i in range(len(id2label))]
    if len(given) > classes or not all(isinstance(name, str) for name in given):
        raise InputError(
            "incompatible", f"id2label in {PIPELINE} must name classes 0 to {classes - 1}, each by a text; correct it"
        )
    names = [str(name) for name in given]
    several = {name for name in names if names.count(name) > 1}
    told = [f"{name}, the name of several classes, with the number of each" for name in sorted(several)]
    return tuple(f"{name} ({i})" if name in several else name for i, name in enumerate(names)), told
